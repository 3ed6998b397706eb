// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dataplane/steer.hh"

namespace weir {

std::uint32_t steer_parsed(const Packet& packet, std::uint32_t workers, std::uint16_t vlan,
                           const HashSecret& secret) noexcept {
    // The checksum is the owner's to verify: a broken packet may go to any worker.
    const Parsed parsed = parse({packet.data, packet.contiguous}, packet.length,
                                {.vlan = vlan, .ip_checksum = NicChecksum::good});
    if (parsed.l3 != L3Status::ip) return 0;
    return owner_of(flow_hash(flow_key(packet.data, parsed), secret), workers);
}

}  // namespace weir
