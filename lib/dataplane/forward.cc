// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dataplane/forward.hh"

#include <algorithm>

#include "lib/wire/encapsulate.hh"
#include "lib/wire/headers.hh"

namespace weir {
namespace {

void write_link_header(std::uint8_t* out, const NextHop& hop, std::uint16_t vlan,
                       std::uint16_t ether_type) noexcept {
    auto& ethernet = *reinterpret_cast<EthernetHeader*>(out);
    ethernet.destination = hop.destination.bytes;
    ethernet.source = hop.source.bytes;
    if (vlan == 0) {
        ethernet.ether_type = be16::from_host(ether_type);
        return;
    }
    ethernet.ether_type = be16::from_host(ether_type_vlan);
    auto& tag = *reinterpret_cast<VlanTag*>(out + ethernet_length);
    tag.control = be16::from_host(vlan);
    tag.ether_type = be16::from_host(ether_type);
}

void trim_padding(Packet& packet, const Parsed& parsed) noexcept {
    packet.length = std::uint32_t{parsed.l3_offset} + parsed.ip_length;
    packet.contiguous = std::min(packet.contiguous, packet.length);
}

}  // namespace

Verdict forward(const Tables& tables, const BackendEntry& backend, const Parsed& parsed,
                std::uint64_t flow_hash, Packet& packet) noexcept {
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
