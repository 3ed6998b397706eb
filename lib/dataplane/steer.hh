// SPDX-License-Identifier: BSD-3-Clause
// Which worker owns a packet: one function of the flow key, the same for the whole instance, all
// ports and both receive modes. Whoever receives a packet that it does not own passes it over the
// owner's ring.
#pragma once

#include <cstdint>
#include <span>

#include "lib/dataplane/packet.hh"
#include "lib/flow/key.hh"

namespace weir {

// Owner of a flow: bits 32..63 of its flow hash, scaled to the number of workers. (The connection
// table uses bits 0..31.)
[[nodiscard]] constexpr std::uint32_t owner_of(std::uint64_t hash, std::uint32_t workers) noexcept {
    return static_cast<std::uint32_t>(((hash >> 32) * workers) >> 32);
}

// Owner of each packet, 0 .. workers-1. TCP and UDP: of the flow; other IP and fragments: of the
// address pair; what is not IP or broken: worker 0. `vlans` by PortId. owners.size() >=
// packets.size(). Cost: a parse and a hash per packet; nothing when workers == 1.
void steer(std::span<const Packet> packets, std::span<std::uint32_t> owners, std::uint32_t workers,
           std::span<const std::uint16_t> vlans, const HashSecret& secret) noexcept;

}  // namespace weir
