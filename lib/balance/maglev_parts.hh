// SPDX-License-Identifier: BSD-3-Clause
// What both steps of maglev.hh share. For their sources alone.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "lib/balance/maglev.hh"

namespace weir {

// The finalizer of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014, with Stafford's constants 13): a
// bijection that mixes every bit into every other.
constexpr std::uint64_t maglev_mix(std::uint64_t x) noexcept {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

// A value below `bound` from the high half of a mixed hash (multiply-shift).
constexpr std::uint32_t maglev_scale(std::uint64_t hash, std::uint32_t bound) noexcept {
    return static_cast<std::uint32_t>(((hash >> 32) * bound) >> 32);
}

// All seats by name hash, so that the order of the file does not matter. Cost: linear, as the
// hashes are evenly spread.
[[nodiscard]] std::vector<Seat> maglev_order(std::span<const MaglevMember> members);

}  // namespace weir
