// SPDX-License-Identifier: BSD-3-Clause
// mss_clamp of a service: the greatest segment that a SYN announces is lowered.
#pragma once

#include <cstdint>

#include "lib/balance/tables.hh"
#include "lib/dataplane/packet.hh"

namespace weir {

// `packet`: with the SYN flag, as it came. `most`: bytes. Cost: parse().
void clamp_syn(const Tables& tables, std::uint16_t most, Packet& packet) noexcept;

}  // namespace weir
