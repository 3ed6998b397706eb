// SPDX-License-Identifier: BSD-3-Clause
// xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators", 2016), with
// a fixed seed: every run draws the same.
#pragma once

#include <cstdint>

namespace weir::bench {

class Random {
public:
    [[nodiscard]] std::uint64_t next() noexcept {
        state_ ^= state_ >> 12;
        state_ ^= state_ << 25;
        state_ ^= state_ >> 27;
        return state_ * 0x2545f4914f6cdd1d;
    }
    [[nodiscard]] std::uint32_t below(std::uint64_t bound) noexcept {
        return static_cast<std::uint32_t>(((next() >> 32) * bound) >> 32);
    }

private:
    std::uint64_t state_ = 0x9e3779b97f4a7c15;
};

}  // namespace weir::bench
