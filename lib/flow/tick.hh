// SPDX-License-Identifier: BSD-3-Clause
// Tick: monotonic milliseconds in 32 bits, taken once per burst and passed as an argument. It wraps
// after 49.7 days; differences up to 24.8 days are exact, and no timeout may be longer.
#pragma once

#include <cstdint>

namespace weir {

enum class Tick : std::uint32_t {};

[[nodiscard]] constexpr Tick operator+(Tick tick, std::uint32_t milliseconds) noexcept {
    return Tick{static_cast<std::uint32_t>(tick) + milliseconds};
}
// Milliseconds from `earlier` to `later`; negative when `later` lies before.
[[nodiscard]] constexpr std::int32_t elapsed(Tick earlier, Tick later) noexcept {
    return static_cast<std::int32_t>(static_cast<std::uint32_t>(later) -
                                     static_cast<std::uint32_t>(earlier));
}

}  // namespace weir
