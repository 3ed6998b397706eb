// SPDX-License-Identifier: BSD-3-Clause
// Pattern: bytes of which some bits may be anything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

namespace weir::gen {

class Pattern {
public:
    static constexpr std::size_t least = 32;  // bytes; a pattern without any fits nothing

    Pattern() = default;
    // The bits of `bytes` that are set in `fixed`. Both are of the same length.
    Pattern(std::vector<std::uint8_t> bytes, std::vector<std::uint8_t> fixed)
        : bytes_(std::move(bytes)), fixed_(std::move(fixed)) {}

    [[nodiscard]] bool empty() const noexcept { return bytes_.empty(); }
    [[nodiscard]] std::span<const std::uint8_t> fixed() const noexcept { return fixed_; }

    // Is `data` as long, and the same but for free bits? Hot: without a branch on the bytes.
    [[nodiscard]] bool fits(std::span<const std::uint8_t> data) const noexcept {
        const std::size_t size = bytes_.size();
        if (data.size() != size || size < least) return false;
        using Words [[gnu::vector_size(least)]] = std::uint64_t;
        Words difference{};
        const auto compare = [&](std::size_t at) {
            Words is, want, fixed;
            std::memcpy(&is, &data[at], least);
            std::memcpy(&want, &bytes_[at], least);
            std::memcpy(&fixed, &fixed_[at], least);
            difference |= (is ^ want) & fixed;
        };
        for (std::size_t at = 0; at + least <= size; at += least)
            compare(at);
        compare(size - least);  // some again
        return (difference[0] | difference[1] | difference[2] | difference[3]) == 0;
    }

private:
    std::vector<std::uint8_t> bytes_, fixed_;
};

}  // namespace weir::gen
