// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dataplane/forward.hh"

#include "lib/dataplane/family_change.hh"
#include "lib/dataplane/nat.hh"
#include "lib/dataplane/rewritten_headers.hh"
#include "lib/dataplane/syn_mss.hh"
#include "lib/wire/extension.hh"
#include "lib/wire/fragmentation.hh"
#include "lib/wire/redirect.hh"
#include "lib/wire/shim.hh"

namespace weir {
namespace {

// Destination, source, tag if there is one, and EtherType.
void write_link_header(std::uint8_t* out, const NextHop& hop, std::uint16_t vlan,
                       Family family) noexcept {
    const be16 ether_type =
        be16::from_host(family == Family::v4 ? ether_type_ipv4 : ether_type_ipv6);
    auto& ethernet = *reinterpret_cast<EthernetHeader*>(out);
    ethernet.destination = hop.destination.bytes;
    ethernet.source = hop.source.bytes;
    ethernet.ether_type = ether_type;
    if (vlan == 0) return;
    ethernet.ether_type = be16::from_host(ether_type_vlan);
    auto& tag = *reinterpret_cast<VlanTag*>(out + ethernet_length);
    tag.control = be16::from_host(vlan);
    tag.ether_type = ether_type;
}

// Outer header and shim at `out`; answers the outer family.
Family write_tunnel(std::uint8_t* out, const BackendEntry& backend, const PacketMeta& meta,
                    std::uint32_t flow_hash) noexcept {
    const Shim shim = shim_of(backend.rewrite);
    const auto payload = static_cast<std::uint16_t>(meta.ip_length + shim_length(shim));
    write_outer(out, backend.outer, payload, meta.traffic_class, flow_hash);
    write_shim(out + backend.outer.length, shim, meta.family, meta.ip_length, backend.gue_port,
               flow_hash);
    return backend.outer.length == sizeof(Ipv4Header) ? Family::v4 : Family::v6;
}

// An IPv4 packet that became one of IPv6, behind whose header a fragment header stands or comes.
bool may_cut_v6(std::uint32_t mtu, const PacketMeta& meta, const Packet& packet) noexcept {
    if (!meta.may_cut_v6) return false;
    const auto& ip = *reinterpret_cast<const Ipv6Header*>(packet.data + meta.l3_offset);
    constexpr std::uint32_t of_each = sizeof(Ipv6Header) + sizeof(Ipv6FragmentHeader);
    const std::uint32_t header =
        ip.next_header == ext_fragment ? of_each : std::uint32_t{sizeof(Ipv6Header)};
    return fragment_count(meta.ip_length - header, of_each, mtu) != 0;
}

// Whether a packet that does not fit may be cut: an IPv4 packet whose sender allows it by DF, or
// the outer packet of a tunnel that it goes in (RFC 2003 3.1, RFC 2473 7.2). Nobody but the sender
// cuts IPv6, and what any IPv6 link must carry fits: the configuration sees to that.
bool may_cut(const BackendEntry& backend, std::uint32_t mtu, const PacketMeta& meta,
             const Packet& packet) noexcept {
    if (meta.family == Family::v6) return may_cut_v6(mtu, meta, packet);
    const auto& ip = *reinterpret_cast<const Ipv4Header*>(packet.data + meta.l3_offset);
    if (has_dont_fragment(packet.data + meta.l3_offset)) return false;
    const std::uint32_t outer = outer_length(backend), total = meta.ip_length + outer;
    if (total > 0xffff) return false;
    // Of what is cut, and of each of its pieces.
    const std::uint32_t header = outer != 0 ? backend.outer.length : (ip.version_ihl & 15u) * 4;
    const bool outer_v6 = outer != 0 && header == sizeof(Ipv6Header);
    const std::size_t of_each = header + (outer_v6 ? sizeof(Ipv6FragmentHeader) : 0);
    return fragment_count(total - header, static_cast<std::uint32_t>(of_each), mtu) != 0;
}

}  // namespace

Verdict forward_any(const Tables& tables, const BackendEntry& backend, const PacketMeta& meta,
                    std::uint64_t flow_hash, Packet& packet) noexcept {
    const NextHopId way = backend.way();
    if (way == invalid_next_hop) return Verdict::dropped(DropReason::no_route);
    const NextHop& hop = tables.next_hops[index(way)];
    if (!hop.resolved) return Verdict::dropped(DropReason::no_neighbor);
    const PortTable& port = tables.ports[index(hop.port)];
    const std::uint32_t outer = outer_length(backend);
    const bool whole = meta.ip_length + outer <= port.mtu;
    if (!whole && !may_cut(backend, port.mtu, meta, packet))
        return Verdict::dropped(DropReason::too_big);

    const std::uint32_t link_length = link_header_length(port);
    const std::uint32_t before = link_length + outer;  // the client's IP packet
    const int front = static_cast<int>(before) - meta.l3_offset;
    const std::size_t spare = whole ? 0 : sizeof(Ipv6FragmentHeader);
    if (front + static_cast<int>(spare) > packet.headroom)
        return Verdict::dropped(DropReason::no_headroom);

    if (backend.mss_clamp != 0 && (meta.tcp_flags & tcp_syn) != 0)
        clamp_syn(tables, backend.mss_clamp, packet);
    if (backend.rewrite == Rewrite::destination)
        rewrite_destination(headers_of(tables, meta, packet), backend.target);
    if (packet.length - meta.l3_offset > port.mtu)  // padding
        packet.length = std::uint32_t{meta.l3_offset} + meta.ip_length;
    if (backend.rewrite == Rewrite::nat) translate_request(tables, backend.id, meta, packet);
    packet.data -= front;
    Family family = meta.family;
    if (outer == 0) {
        packet.length += static_cast<std::uint32_t>(front);
    } else {
        packet.length = before + meta.ip_length;
        family = write_tunnel(packet.data + link_length, backend, meta,
                              static_cast<std::uint32_t>(flow_hash));
    }
    write_link_header(packet.data, hop, port.vlan, family);
    return whole ? Verdict::sent(hop.port) : Verdict::sent_in_pieces(hop.port);
}

std::uint32_t longest_packet(const Tables& tables, const BackendEntry& backend,
                             Family client) noexcept {
    std::uint32_t mtu = mtu_behind(tables, backend.way()), more = outer_length(backend);
    if (backend.rewrite == Rewrite::full_nat) {
        mtu = mtu_in(client, tables.nat->end(backend.id).address.family, mtu);
        if (tables.nat->client_address(backend.id) == ClientAddress::proxy_v2)
            more += telling_length(ClientAddress::proxy_v2, client);
    }
    return mtu > more ? mtu - more : 0;
}

Verdict forward_link(const Tables& tables, NextHopId next_hop, const PacketMeta& meta,
                     Packet& packet, std::uint16_t mss_clamp) noexcept {
    BackendEntry way;
    way.next_hop = next_hop;
    way.mss_clamp = mss_clamp;
    return forward_any(tables, way, meta, 0, packet);
}

}  // namespace weir
