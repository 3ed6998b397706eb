// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dataplane/steer.hh"

#include "lib/wire/headers.hh"

namespace weir {

void steer(std::span<const Packet> packets, std::span<std::uint32_t> owners, std::uint32_t workers,
           std::span<const std::uint16_t> vlans, const HashSecret& secret) noexcept {
    for (std::size_t i = 0; i < packets.size(); ++i) {
        owners[i] = 0;
        if (workers == 1) continue;
        const Packet& packet = packets[i];
        // The checksum is the owner's to verify: a broken packet may go to any worker.
        const Parsed parsed =
            parse({packet.data, packet.contiguous}, packet.length,
                  {.vlan = vlans[index(packet.port)], .ip_checksum = NicChecksum::good});
        if (parsed.l3 != L3Status::ip) continue;
        owners[i] = owner_of(flow_hash(flow_key(packet.data, parsed), secret), workers);
    }
}

}  // namespace weir
