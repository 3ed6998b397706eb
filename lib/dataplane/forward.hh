// SPDX-License-Identifier: BSD-3-Clause
// Last half of the pipeline: a packet and its backend -> bytes ready for the wire.
#pragma once

#include "lib/balance/tables.hh"
#include "lib/dataplane/packet.hh"
#include "lib/dataplane/verdict.hh"
#include "lib/wire/parse.hh"

namespace weir {

// Writes the Ethernet header (and tag) of the egress port, and for ipip the outer IP header, in
// front of the client's IP packet, which stays as it is to the last byte. ipip trims Ethernet
// padding first. `flow_hash` varies the outer source address where the port has a tunnel_source.
// Drops: no_route, no_neighbor, too_big, no_headroom; the packet is then unchanged.
[[nodiscard]] Verdict forward(const Tables& tables, const BackendEntry& backend,
                              const Parsed& parsed, std::uint64_t flow_hash,
                              Packet& packet) noexcept;

}  // namespace weir
