// SPDX-License-Identifier: BSD-3-Clause
// Which worker owns a packet: one function of the flow key, the same for the whole instance, all
// ports and both receive modes. Whoever receives a packet that it does not own passes it over the
// owner's ring.
#pragma once

#include <bit>
#include <cstdint>
#include <span>

#include "lib/dataplane/packet.hh"
#include "lib/flow/key.hh"
#include "lib/wire/headers.hh"
#include "lib/wire/parse.hh"

namespace weir {

// Owner of a flow: bits 32..63 of its flow hash, scaled to the number of workers. (The connection
// table uses bits 0..31.)
[[nodiscard]] constexpr std::uint32_t owner_of(std::uint64_t hash, std::uint32_t workers) noexcept {
    return static_cast<std::uint32_t>(((hash >> 32) * workers) >> 32);
}

namespace steering {

// Behind the IP header, `at` bytes into the frame, up to `end`: true when parse() would find the
// ports; then they are in `words`.
[[nodiscard]] inline bool read_ports(const Packet& packet, std::uint32_t at, std::uint32_t end,
                                     std::uint8_t protocol, Family family,
                                     FlowWords& words) noexcept {
    const std::uint8_t* transport = packet.data + at;
    const std::uint32_t readable = packet.contiguous < end ? packet.contiguous : end;
    if (protocol == proto_tcp) {
        if (at + sizeof(TcpHeader) > readable) return false;
        const auto& tcp = *reinterpret_cast<const TcpHeader*>(transport);
        const std::uint32_t header = (tcp.data_offset >> 4) * 4u;
        if (header < sizeof(TcpHeader) || at + header > end || tcp_flags_contradict(tcp.flags))
            return false;
    } else if (protocol == proto_udp) {
        if (at + sizeof(UdpHeader) > readable) return false;
        const auto& udp = *reinterpret_cast<const UdpHeader*>(transport);
        const std::uint32_t length = udp.length.host();
        if (length < sizeof(UdpHeader) || at + length > end) return false;
        if (family == Family::v6 && udp.checksum == be16{}) return false;
    } else {
        return false;
    }
    // Both ports in host byte order, the source in the low half.
    const auto ports = static_cast<std::uint32_t>(load_word<std::uint32_t>(transport, 0));
    words.rest = std::rotl(__builtin_bswap32(ports), 16) | std::uint64_t{protocol} << 32 |
                 std::uint64_t{static_cast<std::uint8_t>(family)} << 40;
    return true;
}

// The key of a TCP or UDP packet without IP options, extension headers or fragmentation, read in
// one go. False: it is another kind of packet, or broken, and parse() has to look.
[[nodiscard]] inline bool read_key(const Packet& packet, std::uint16_t vlan,
                                   FlowWords& words) noexcept {
    std::uint32_t at = ethernet_length + (vlan == 0 ? 0 : vlan_length);
    if (packet.contiguous > packet.length || packet.contiguous < at + sizeof(Ipv4Header))
        return false;
    const std::uint8_t* frame = packet.data;
    if (vlan != 0) [[unlikely]] {
        const auto& ethernet = *reinterpret_cast<const EthernetHeader*>(frame);
        const auto& tag = *reinterpret_cast<const VlanTag*>(frame + ethernet_length);
        if (ethernet.ether_type.host() != ether_type_vlan || (tag.control.host() & 0x0fff) != vlan)
            return false;
    }
    const std::uint16_t type = reinterpret_cast<const be16*>(frame + at - 2)->host();
    if (type == ether_type_ipv4) {
        const auto& ip = *reinterpret_cast<const Ipv4Header*>(frame + at);
        const std::uint32_t total = ip.total_length.host();
        constexpr std::uint16_t fragment_bits = 0x3fff;  // more-fragments and the offset
        if (ip.version_ihl != 0x45 || (ip.fragment.host() & fragment_bits) != 0 ||
            total < sizeof(Ipv4Header) || total > packet.length - at)
            return false;
        words.source = load_word<std::uint32_t>(&ip, offsetof(Ipv4Header, source));
        words.destination = load_word<std::uint32_t>(&ip, offsetof(Ipv4Header, destination));
        return read_ports(packet, at + sizeof(Ipv4Header), at + total, ip.protocol, Family::v4,
                          words);
    }
    if (type != ether_type_ipv6 || packet.contiguous < at + sizeof(Ipv6Header)) return false;
    const auto& ip = *reinterpret_cast<const Ipv6Header*>(frame + at);
    const std::uint32_t total = ip.payload_length.host() + std::uint32_t{sizeof(Ipv6Header)};
    if (ip.version_class_label.host() >> 28 != 6 || total > packet.length - at || total > 0xffff)
        return false;
    words.source = load_word<std::uint64_t>(&ip, offsetof(Ipv6Header, source));
    words.source_rest = load_word<std::uint64_t>(&ip, offsetof(Ipv6Header, source) + 8);
    words.destination = load_word<std::uint64_t>(&ip, offsetof(Ipv6Header, destination));
    words.destination_rest = load_word<std::uint64_t>(&ip, offsetof(Ipv6Header, destination) + 8);
    return read_ports(packet, at + sizeof(Ipv6Header), at + total, ip.next_header, Family::v6,
                      words);
}

}  // namespace steering

// What steer() answers, by parse() alone: for what read_key() leaves, and its slow twin in tests.
[[nodiscard]] std::uint32_t steer_parsed(const Packet& packet, std::uint32_t workers,
                                         std::uint16_t vlan, const HashSecret& secret) noexcept;

// Owner of a packet, 0 .. workers-1. TCP and UDP: of the flow; other IP and fragments: of the
// address pair; what is not IP or broken: worker 0. `vlan`: of the port that it came from. Cost: a
// look at the headers and a hash.
[[nodiscard]] inline std::uint32_t steer(const Packet& packet, std::uint32_t workers,
                                         std::uint16_t vlan, const HashSecret& secret) noexcept {
    FlowWords words;
    if (steering::read_key(packet, vlan, words)) [[likely]]
        return owner_of(flow_hash(words, secret), workers);
    return steer_parsed(packet, workers, vlan, secret);
}

}  // namespace weir
