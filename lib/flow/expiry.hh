// SPDX-License-Identifier: BSD-3-Clause
// Expiry: the last moment of an entry, in 20 bits of 256 ms (a quarter of a second that a 32-bit
// Tick holds without a rest, so that both wrap together). Entries live through the whole of that
// quarter: never shorter than asked, and up to 255 ms longer.
#pragma once

#include <cstdint>

#include "lib/flow/tick.hh"

namespace weir {

// In [0, 2^20). Ordered within half of the range, 37 hours; the sweep takes what expired long
// before it could look alive again.
enum class Expiry : std::uint32_t {};

inline constexpr unsigned expiry_bits = 20, expiry_unit_shift = 8;
inline constexpr std::uint32_t expiry_mask = (1u << expiry_bits) - 1;
// The longest timeout that this representation holds, with an hour to spare.
inline constexpr std::uint32_t longest_timeout = 36u * 3600 * 1000;
static_assert(longest_timeout < (1u << (expiry_bits - 1 + expiry_unit_shift)));

[[nodiscard]] constexpr Expiry expiry_of(Tick last) noexcept {
    return Expiry{(static_cast<std::uint32_t>(last) >> expiry_unit_shift) & expiry_mask};
}

[[nodiscard]] constexpr bool is_past(Expiry expiry, Tick now) noexcept {
    const std::uint32_t ahead =
        static_cast<std::uint32_t>(expiry) - static_cast<std::uint32_t>(expiry_of(now));
    return (ahead & 1u << (expiry_bits - 1)) != 0;  // the sign of a 20-bit difference
}

// The last tick at which an entry with this expiry lives, seen from `now`.
[[nodiscard]] constexpr Tick last_tick(Expiry expiry, Tick now) noexcept {
    const std::uint32_t ahead =
        static_cast<std::uint32_t>(expiry) - static_cast<std::uint32_t>(expiry_of(now));
    const auto units = static_cast<std::int32_t>(ahead << (32 - expiry_bits)) >> (32 - expiry_bits);
    const auto begin = static_cast<std::uint32_t>(now) >> expiry_unit_shift;
    return Tick{((begin + static_cast<std::uint32_t>(units)) << expiry_unit_shift) |
                ((1u << expiry_unit_shift) - 1)};
}

}  // namespace weir
