// SPDX-License-Identifier: BSD-3-Clause
// Last half of the pipeline: a packet and its backend -> bytes ready for the wire.
#pragma once

#include <cstddef>
#include <cstring>

#include "lib/balance/tables.hh"
#include "lib/dataplane/packet.hh"
#include "lib/dataplane/packet_meta.hh"
#include "lib/dataplane/verdict.hh"
#include "lib/wire/encapsulate.hh"
#include "lib/wire/headers.hh"

namespace weir {

// Destination, source and EtherType; the stores go whole, as wide as they come.
inline void write_link_header(std::uint8_t* out, const NextHop& hop, std::uint16_t vlan,
                              Family family) noexcept {
    static_assert(offsetof(NextHop, destination) == 0 && offsetof(NextHop, source) == 6);
    std::memcpy(out, &hop, 12);
    const be16 ether_type =
        be16::from_host(family == Family::v4 ? ether_type_ipv4 : ether_type_ipv6);
    auto& ethernet = *reinterpret_cast<EthernetHeader*>(out);
    ethernet.ether_type = ether_type;
    if (vlan == 0) [[likely]]
        return;
    ethernet.ether_type = be16::from_host(ether_type_vlan);
    auto& tag = *reinterpret_cast<VlanTag*>(out + ethernet_length);
    tag.control = be16::from_host(vlan);
    tag.ether_type = ether_type;
}

// Writes the Ethernet header (and tag) of the egress port, and for ipip the outer IP header, in
// front of the client's IP packet, which stays as it is to the last byte. ipip trims Ethernet
// padding first. `flow_hash` varies the outer source address where the port has a tunnel_source.
// Sets the packet's data and length. Drops: no_route, no_neighbor, too_big, no_headroom; the packet
// is then unchanged.
[[nodiscard]] inline Verdict forward(const Tables& tables, const BackendEntry& backend,
                                     const PacketMeta& meta, std::uint64_t flow_hash,
                                     Packet& packet) noexcept {
    if (backend.next_hop == invalid_next_hop) return Verdict::dropped(DropReason::no_route);
    const NextHop& hop = tables.next_hops[index(backend.next_hop)];
    if (!hop.resolved) return Verdict::dropped(DropReason::no_neighbor);
    const PortTable& port = tables.ports[index(hop.port)];
    const std::uint32_t outer_length = backend.outer.length;
    if (meta.ip_length + outer_length > port.mtu) return Verdict::dropped(DropReason::too_big);

    std::uint32_t link_length = ethernet_length;
    if (port.vlan != 0) [[unlikely]]
        link_length += vlan_length;
    const std::uint32_t before = link_length + outer_length;  // the client's IP packet
    const int front = static_cast<int>(before) - meta.l3_offset;
    if (front > packet.headroom) return Verdict::dropped(DropReason::no_headroom);

    packet.data -= front;
    if (outer_length == 0) {
        packet.length += static_cast<std::uint32_t>(front);
        write_link_header(packet.data, hop, port.vlan, meta.family);
    } else {
        packet.length = before + meta.ip_length;
        write_outer(packet.data + link_length, backend.outer, meta.ip_length, meta.family,
                    meta.traffic_class, static_cast<std::uint32_t>(flow_hash));
        write_link_header(packet.data, hop, port.vlan,
                          outer_length == sizeof(Ipv4Header) ? Family::v4 : Family::v6);
    }
    return Verdict::sent(hop.port);
}

}  // namespace weir
