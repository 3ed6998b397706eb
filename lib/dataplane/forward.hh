// SPDX-License-Identifier: BSD-3-Clause
// Last half of the pipeline: a packet and its backend -> bytes ready for the wire.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "lib/balance/tables.hh"
#include "lib/dataplane/packet.hh"
#include "lib/dataplane/verdict.hh"
#include "lib/wire/encapsulate.hh"
#include "lib/wire/headers.hh"
#include "lib/wire/parse.hh"

namespace weir {

// Destination, source and EtherType; the stores go whole, as wide as they come.
inline void write_link_header(std::uint8_t* out, const NextHop& hop, std::uint16_t vlan,
                              std::uint16_t ether_type) noexcept {
    static_assert(offsetof(NextHop, destination) == 0 && offsetof(NextHop, source) == 6);
    std::memcpy(out, &hop, 12);
    auto& ethernet = *reinterpret_cast<EthernetHeader*>(out);
    if (vlan == 0) [[likely]] {
        ethernet.ether_type = be16::from_host(ether_type);
        return;
    }
    ethernet.ether_type = be16::from_host(ether_type_vlan);
    auto& tag = *reinterpret_cast<VlanTag*>(out + ethernet_length);
    tag.control = be16::from_host(vlan);
    tag.ether_type = be16::from_host(ether_type);
}

inline void trim_padding(Packet& packet, const Parsed& parsed) noexcept {
    packet.length = std::uint32_t{parsed.l3_offset} + parsed.ip_length;
    packet.contiguous = std::min(packet.contiguous, packet.length);
}

// Writes the Ethernet header (and tag) of the egress port, and for ipip the outer IP header, in
// front of the client's IP packet, which stays as it is to the last byte. ipip trims Ethernet
// padding first. `flow_hash` varies the outer source address where the port has a tunnel_source.
// Drops: no_route, no_neighbor, too_big, no_headroom; the packet is then unchanged.
[[nodiscard]] inline Verdict forward(const Tables& tables, const BackendEntry& backend,
                                     const Parsed& parsed, std::uint64_t flow_hash,
                                     Packet& packet) noexcept {
    if (backend.next_hop == invalid_next_hop) return Verdict::dropped(DropReason::no_route);
    const NextHop& hop = tables.next_hops[index(backend.next_hop)];
    if (!hop.resolved) return Verdict::dropped(DropReason::no_neighbor);
    const PortTable& port = tables.ports[index(hop.port)];
    const std::uint32_t outer_length = backend.outer.length;
    if (parsed.ip_length + outer_length > port.mtu) return Verdict::dropped(DropReason::too_big);

    const std::size_t link_length = ethernet_length + (port.vlan == 0 ? 0 : vlan_length);
    const int front = static_cast<int>(link_length + outer_length) - parsed.l3_offset;
    if (front > packet.headroom) return Verdict::dropped(DropReason::no_headroom);

    if (outer_length != 0) trim_padding(packet, parsed);
    packet.grow_front(front);
    Family family = parsed.family;
    if (outer_length != 0) {
        write_outer(packet.data + link_length, backend.outer, parsed.ip_length, parsed.family,
                    parsed.traffic_class, static_cast<std::uint32_t>(flow_hash));
        family = outer_length == sizeof(Ipv4Header) ? Family::v4 : Family::v6;
    }
    write_link_header(packet.data, hop, port.vlan,
                      family == Family::v4 ? ether_type_ipv4 : ether_type_ipv6);
    return Verdict::sent(hop.port);
}

}  // namespace weir
