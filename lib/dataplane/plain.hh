// SPDX-License-Identifier: BSD-3-Clause
// The plain case, read in one go: a sound IPv4 packet without options and not a fragment, or an
// IPv6 packet without extension headers; TCP or UDP; addressed to this port. classify() is its slow
// twin: what reads as plain here, classify() finds sound too, with the same fields; everything
// else, odd or broken, is left to it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "lib/balance/tables.hh"
#include "lib/dataplane/packet.hh"
#include "lib/wire/headers.hh"
#include "lib/wire/parse.hh"

namespace weir {

namespace plain {

template <typename Word>
[[nodiscard]] inline Word load(const std::uint8_t* at) noexcept {
    Word word;
    std::memcpy(&word, at, sizeof word);
    return word;
}

[[nodiscard]] inline bool same_mac(const std::uint8_t* a, const std::uint8_t* b) noexcept {
    return ((load<std::uint32_t>(a) ^ load<std::uint32_t>(b)) |
            std::uint32_t{static_cast<std::uint16_t>(load<std::uint16_t>(a + 4) ^
                                                     load<std::uint16_t>(b + 4))}) == 0;
}

// True when the 20 bytes sum to all ones (RFC 1071; the byte order does not matter for that).
[[nodiscard]] inline bool sum_is_good(const std::uint8_t* ip) noexcept {
    std::uint64_t sum = load<std::uint32_t>(ip + 16);
    const auto first = load<std::uint64_t>(ip), second = load<std::uint64_t>(ip + 8);
    sum += (first & 0xffffffff) + (first >> 32) + (second & 0xffffffff) + (second >> 32);
    sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    return (sum & 0xffff) + (sum >> 16) == 0xffff;
}

// First bytes of source addresses that no client has: see is_martian() of classify.cc.
[[nodiscard]] inline bool is_martian_net(std::uint8_t first) noexcept {
    return first == 0 || first == 127 || first >= 224;
}

// Behind the IP header, at `transport`: ports, flags and lengths. `length`: of the IP payload;
// `readable`: bytes that may be read there, at least those of a UDP header.
[[nodiscard]] inline bool read_transport(const std::uint8_t* transport, std::uint32_t length,
                                         std::uint32_t readable, Parsed& parsed) noexcept {
    if (parsed.protocol == proto_tcp) {
        if (readable < sizeof(TcpHeader)) return false;
        const auto& tcp = *reinterpret_cast<const TcpHeader*>(transport);
        const std::uint32_t header = (tcp.data_offset >> 4) * 4u;
        if (header < sizeof(TcpHeader) || header > length || tcp_flags_contradict(tcp.flags))
            return false;
        parsed.tcp_flags = tcp.flags;
    } else if (parsed.protocol == proto_udp) {
        const auto& udp = *reinterpret_cast<const UdpHeader*>(transport);
        const std::uint32_t claimed = udp.length.host();
        if (claimed < sizeof(UdpHeader) || claimed > length) return false;
        if (parsed.family == Family::v6 && load<std::uint16_t>(transport + 6) == 0) return false;
        parsed.tcp_flags = 0;
    } else {
        return false;
    }
    const auto& ports = *reinterpret_cast<const UdpHeader*>(transport);  // as TCP's begin
    parsed.l3 = L3Status::ip;
    parsed.l4 = L4Status::ok;
    parsed.source_port = ports.source_port.host();
    parsed.destination_port = ports.destination_port.host();
    return true;
}

// The IPv4 packet at `at` in the frame.
[[nodiscard]] inline bool read_ipv4(const Packet& packet, std::uint32_t at,
                                    Parsed& parsed) noexcept {
    if (packet.contiguous < at + sizeof(Ipv4Header) + sizeof(UdpHeader)) return false;
    const std::uint8_t* raw = packet.data + at;
    const auto& ip = *reinterpret_cast<const Ipv4Header*>(raw);
    constexpr std::uint16_t fragment_bits = 0x3fff;  // more-fragments and the offset
    const std::uint16_t fragment = ip.fragment.host();
    const std::uint32_t total = ip.total_length.host();
    if (ip.version_ihl != 0x45 || (fragment & fragment_bits) != 0 || ip.ttl <= 1 ||
        is_martian_net(ip.source[0]) ||
        load<std::uint32_t>(ip.source.data()) == load<std::uint32_t>(ip.destination.data()) ||
        total < sizeof(Ipv4Header) || total > packet.length - at)
        return false;
    if (packet.ip_checksum != NicChecksum::good &&
        (packet.ip_checksum == NicChecksum::bad || !sum_is_good(raw)))
        return false;
    parsed.family = Family::v4;
    parsed.protocol = ip.protocol;
    parsed.ttl = ip.ttl;
    parsed.traffic_class = ip.tos;
    parsed.dont_fragment = (fragment & 0x4000) != 0;
    parsed.ether_type = ether_type_ipv4;
    parsed.l3_offset = static_cast<std::uint16_t>(at);
    parsed.l4_offset = static_cast<std::uint16_t>(at + sizeof(Ipv4Header));
    parsed.ip_length = static_cast<std::uint16_t>(total);
    constexpr std::uint32_t header = sizeof(Ipv4Header);
    return read_transport(raw + header, total - header, packet.contiguous - at - header, parsed);
}

// The IPv6 packet at `at` in the frame.
[[nodiscard]] inline bool read_ipv6(const Packet& packet, std::uint32_t at,
                                    Parsed& parsed) noexcept {
    constexpr std::uint32_t header = sizeof(Ipv6Header);
    if (packet.contiguous < at + header + sizeof(UdpHeader)) return false;
    const std::uint8_t* raw = packet.data + at;
    const auto& ip = *reinterpret_cast<const Ipv6Header*>(raw);
    const std::uint32_t word = ip.version_class_label.host();
    const std::uint32_t payload = ip.payload_length.host();
    const std::uint64_t same = (load<std::uint64_t>(raw + 8) ^ load<std::uint64_t>(raw + 24)) |
                               (load<std::uint64_t>(raw + 16) ^ load<std::uint64_t>(raw + 32));
    // Sources that begin with ff are multicast; of those that begin with 0 some are martian.
    if (word >> 28 != 6 || ip.hop_limit <= 1 || same == 0 || ip.source[0] == 0 ||
        ip.source[0] == 0xff || payload + header > packet.length - at || payload + header > 0xffff)
        return false;
    parsed.family = Family::v6;
    parsed.protocol = ip.next_header;
    parsed.ttl = ip.hop_limit;
    parsed.traffic_class = static_cast<std::uint8_t>(word >> 20);
    parsed.dont_fragment = true;
    parsed.ether_type = ether_type_ipv6;
    parsed.l3_offset = static_cast<std::uint16_t>(at);
    parsed.l4_offset = static_cast<std::uint16_t>(at + header);
    parsed.ip_length = static_cast<std::uint16_t>(payload + header);
    return read_transport(raw + header, payload, packet.contiguous - at - header, parsed);
}

}  // namespace plain

// Fills every field of `parsed` and answers true, or answers false with `parsed` in any state.
// Cost: some 10 cycles when the frame's first line is in cache.
[[nodiscard]] inline bool read_plain(const Packet& packet, const PortTable& port,
                                     Parsed& parsed) noexcept {
    const std::uint8_t* frame = packet.data;
    if (packet.contiguous < ethernet_length + vlan_length) return false;
    const std::uint8_t* own = port.mac.bytes.data();
    if (!plain::same_mac(frame, own) || plain::same_mac(frame + 6, own)) return false;
    std::uint32_t at = ethernet_length;
    if (port.vlan != 0) {
        const auto& ethernet = *reinterpret_cast<const EthernetHeader*>(frame);
        const auto& tag = *reinterpret_cast<const VlanTag*>(frame + ethernet_length);
        if (ethernet.ether_type.host() != ether_type_vlan ||
            (tag.control.host() & 0x0fff) != port.vlan)
            return false;
        at += vlan_length;
    }
    const std::uint16_t type = reinterpret_cast<const be16*>(frame + at - 2)->host();
    if (type == ether_type_ipv4) return plain::read_ipv4(packet, at, parsed);
    return type == ether_type_ipv6 && plain::read_ipv6(packet, at, parsed);
}

}  // namespace weir
