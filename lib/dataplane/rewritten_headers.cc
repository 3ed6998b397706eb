// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dataplane/rewritten_headers.hh"

#include <cstddef>

#include "lib/wire/headers.hh"
#include "lib/wire/parse.hh"

namespace weir {
namespace {

Parsed parsed_again(const Tables& tables, const Packet& packet) noexcept {
    return parse({packet.data, packet.contiguous}, packet.length,
                 {.vlan = tables.ports[index(packet.port)].vlan, .ip_checksum = NicChecksum::good});
}

// Behind extension headers, of which a fragment has one; nullptr in a later fragment.
std::uint8_t* behind_extensions(const Tables& tables, const Packet& packet) noexcept {
    const Parsed parsed = parsed_again(tables, packet);
    const bool later = parsed.l4 == L4Status::fragment && parsed.fragment.offset != 0;
    return later ? nullptr : packet.data + parsed.l4_offset;
}

}  // namespace

PacketHeaders headers_of(const Tables& tables, const PacketMeta& meta,
                         const Packet& packet) noexcept {
    std::uint8_t* const ip = packet.data + meta.l3_offset;
    PacketHeaders headers{
        .ip = ip, .transport = {}, .family = meta.family, .protocol = meta.protocol};
    if (meta.family == Family::v4) {
        const auto& header = *reinterpret_cast<const Ipv4Header*>(ip);
        if ((header.fragment.host() & ipv4_offset_mask) == 0)
            headers.transport = ip + (header.version_ihl & 0x0f) * std::size_t{4};
    } else if (ip[offsetof(Ipv6Header, next_header)] == meta.protocol) {
        headers.transport = ip + sizeof(Ipv6Header);
    } else {
        headers.transport = behind_extensions(tables, packet);
    }
    return headers;
}

bool is_fragment(const Tables& tables, const PacketHeaders& headers,
                 const Packet& packet) noexcept {
    if (headers.transport == nullptr) return true;
    if (headers.family == Family::v4) {
        const auto& header = *reinterpret_cast<const Ipv4Header*>(headers.ip);
        return (header.fragment.host() & ipv4_fragment_mask) != 0;
    }
    return headers.transport != headers.ip + sizeof(Ipv6Header) &&
           parsed_again(tables, packet).l4 == L4Status::fragment;
}

}  // namespace weir
