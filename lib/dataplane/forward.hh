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

// Writes the Ethernet header (and tag) of the egress port, and for tunnels the outer IP header and
// what stands behind it, in front of the client's IP packet, which stays as it is to the last byte;
// l3dsr rewrites its destination address and DSCP, nat its destination and the TTL. Tunnels trim
// Ethernet padding first, others only where the frame would be longer than the egress MTU with it.
// `flow_hash` varies the outer source address where the port has a tunnel_source, and GUE's source
// port. Of a service with mss_clamp the MSS of a SYN is lowered. Sets the packet's data and length.
// What is then longer than the egress MTU but may be fragmented is to be sent in pieces, the whole
// of it ready. Drops: no_route, no_neighbor, too_big, no_headroom; the packet is then unchanged.
// Precondition: `meta` was read from this frame, so its EtherType lies in front of its IP header;
// and it is of the family that the backend's template was made for.
[[nodiscard]] inline Verdict forward(const Tables& tables, const BackendEntry& backend,
                                     const PacketMeta& meta, std::uint64_t flow_hash,
                                     Packet& packet) noexcept;
// The same; what is not plain `other()` answers for.
template <typename Other>
[[nodiscard]] Verdict forward(const Tables& tables, const BackendEntry& backend,
                              const PacketMeta& meta, std::uint64_t flow_hash, Packet& packet,
                              Other&& other) noexcept;

// The same, step by step, for any packet. forward() answers by itself for those of dsr-l2 and ipip
// that go untagged and asks this one about the others; a test holds them against each other.
[[nodiscard]] Verdict forward_any(const Tables& tables, const BackendEntry& backend,
                                  const PacketMeta& meta, std::uint64_t flow_hash,
                                  Packet& packet) noexcept;

// Longest IP packet of a client of that family that the way to `backend` carries, behind its
// tunnel's headers or in the backend's family, and with the PROXY header that the first one of a
// connection gets; 0 when there is no way.
[[nodiscard]] std::uint32_t longest_packet(const Tables& tables, const BackendEntry& backend,
                                           Family client) noexcept;

// As for a dsr-l2 backend behind this next hop, which is one of the tables'. `mss_clamp`: of its
// service; 0: none.
[[nodiscard]] Verdict forward_link(const Tables& tables, NextHopId next_hop, const PacketMeta& meta,
                                   Packet& packet, std::uint16_t mss_clamp = 0) noexcept;

namespace plain {

// The next hop's MAC addresses, and the EtherType that the frame has already.
[[nodiscard]] inline bool forward_dsr(const NextHop& hop, const PacketMeta& meta,
                                      Packet& packet) noexcept {
    // With its padding: what of that is too long is cut off out of line.
    if (packet.length - meta.l3_offset > hop.plain_mtu) [[unlikely]]
        return false;
    // Never negative: no headroom is needed.
    const std::size_t behind = meta.l3_offset - ethernet_length;
    std::uint8_t* out = packet.data + behind;
    packet.data = out;
    packet.length -= static_cast<std::uint32_t>(behind);
    std::memcpy(out, &hop, 12);
    return true;
}

template <typename Outer>
[[nodiscard]] inline bool forward_ipip(const NextHop& hop, const OuterTemplate& outer,
                                       const PacketMeta& meta, std::uint32_t flow_hash,
                                       Packet& packet) noexcept {
    constexpr std::uint32_t front = ethernet_length + sizeof(Outer);
    const std::uint32_t total = meta.ip_length + std::uint32_t{sizeof(Outer)};
    const std::uint32_t traffic_class = meta.traffic_class;
    const std::ptrdiff_t move = std::ptrdiff_t{meta.l3_offset} - front;
    if (total > hop.plain_mtu) [[unlikely]]
        return false;
    if (move + packet.headroom < 0) [[unlikely]]
        return false;
    std::uint8_t* out = packet.data + move;
    packet.data = out;
    packet.length = total + std::uint32_t{ethernet_length};
    // One store of 16 bytes; what follows the addresses is written over.
    std::memcpy(out, &hop, 16);
    const be16 ether_type =
        be16::from_host(sizeof(Outer) == sizeof(Ipv4Header) ? ether_type_ipv4 : ether_type_ipv6);
    std::memcpy(out + 12, &ether_type, sizeof ether_type);
    write_outer_as<Outer>(out + ethernet_length, outer, total, traffic_class, flow_hash);
    return true;
}

}  // namespace plain

template <typename Other>
[[gnu::always_inline]] inline Verdict forward(const Tables& tables, const BackendEntry& backend,
                                              const PacketMeta& meta, std::uint64_t flow_hash,
                                              Packet& packet, Other&& other) noexcept {
    static_assert(offsetof(NextHop, destination) == 0 && offsetof(NextHop, source) == 6);
    if (backend.is_plain()) [[likely]] {
        const NextHop& hop = tables.next_hops[index(backend.next_hop)];
        const auto hash = static_cast<std::uint32_t>(flow_hash);
        const std::uint32_t outer_length = backend.outer.length;
        bool sent;
        if (outer_length == sizeof(Ipv4Header))
            sent = plain::forward_ipip<Ipv4Header>(hop, backend.outer, meta, hash, packet);
        else if (outer_length == 0)
            sent = plain::forward_dsr(hop, meta, packet);
        else
            sent = plain::forward_ipip<Ipv6Header>(hop, backend.outer, meta, hash, packet);
        if (sent) [[likely]]
            return Verdict::sent(hop.port);
    }
    return other();
}

inline Verdict forward(const Tables& tables, const BackendEntry& backend, const PacketMeta& meta,
                       std::uint64_t flow_hash, Packet& packet) noexcept {
    return forward(tables, backend, meta, flow_hash, packet,
                   [&] { return forward_any(tables, backend, meta, flow_hash, packet); });
}

}  // namespace weir
