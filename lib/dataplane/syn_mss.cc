// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dataplane/syn_mss.hh"

#include "lib/wire/mss.hh"
#include "lib/wire/parse.hh"

namespace weir {

// Where the TCP header lies, only parse() knows: there may be options and extension headers.
void clamp_syn(const Tables& tables, std::uint16_t most, Packet& packet) noexcept {
    const std::span<std::uint8_t> frame{packet.data, packet.contiguous};
    const Parsed parsed =
        parse(frame, packet.length,
              {.vlan = tables.ports[index(packet.port)].vlan, .ip_checksum = NicChecksum::good});
    if (parsed.l3 == L3Status::ip && parsed.l4 == L4Status::ok && parsed.protocol == proto_tcp)
        clamp_mss(frame.subspan(parsed.l4_offset), most);
}

}  // namespace weir
