// SPDX-License-Identifier: BSD-3-Clause
// A load that is always carried out, and for which nobody waits.
//
// A prefetch would do, but some CPUs drop those whose address is in no TLB, which with a table of
// many megabytes many are. For loops that do little else: where hundreds of instructions follow, a
// load that is not there yet holds them up, and a prefetch does not.
#pragma once

#include <cstdint>

namespace weir {

[[gnu::always_inline]] inline void touch(const std::uint32_t& word) noexcept {
    static_cast<void>(*static_cast<const volatile std::uint32_t*>(&word));
}

}  // namespace weir
