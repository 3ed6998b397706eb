// SPDX-License-Identifier: BSD-3-Clause
// An input read as a little program: its bytes are taken from the front, and what is asked for
// behind its end is 0.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace weir::fuzz {

class Input {
public:
    explicit Input(std::span<const std::uint8_t> bytes) noexcept : rest_(bytes) {}

    [[nodiscard]] bool empty() const noexcept { return rest_.empty(); }
    [[nodiscard]] std::size_t size() const noexcept { return rest_.size(); }

    std::uint8_t byte() noexcept {
        if (rest_.empty()) return 0;
        const std::uint8_t value = rest_.front();
        rest_ = rest_.subspan(1);
        return value;
    }
    // Little-endian.
    std::uint16_t two() noexcept {
        const std::uint8_t low = byte();
        return static_cast<std::uint16_t>(low | byte() << 8);
    }
    std::uint32_t four() noexcept {
        const std::uint32_t low = two();
        return low | std::uint32_t{two()} << 16;
    }
    // At most `count` bytes.
    std::span<const std::uint8_t> take(std::size_t count) noexcept {
        const auto taken = rest_.first(std::min(count, rest_.size()));
        rest_ = rest_.subspan(taken.size());
        return taken;
    }

private:
    std::span<const std::uint8_t> rest_;
};

}  // namespace weir::fuzz
