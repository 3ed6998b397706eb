// SPDX-License-Identifier: BSD-3-Clause
// Wire formats as structs of alignment 1, laid over frame bytes. Fields are big-endian types, so no
// byte order is ever implicit. Layouts are asserted against the RFC named above each.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/wire/endian.hh"

namespace weir {

inline constexpr std::uint16_t ether_type_ipv4 = 0x0800, ether_type_arp = 0x0806,
                               ether_type_vlan = 0x8100, ether_type_ipv6 = 0x86dd,
                               ether_type_qinq = 0x88a8;
inline constexpr std::size_t ethernet_length = 14, vlan_length = 4;

// IEEE 802.3
struct EthernetHeader {
    std::array<std::uint8_t, 6> destination, source;
    be16 ether_type;
};
static_assert(sizeof(EthernetHeader) == 14 && alignof(EthernetHeader) == 1);

// IEEE 802.1Q, behind the two addresses: the tag control information, then the inner EtherType.
struct VlanTag {
    be16 control;  // 3 bits priority, 1 bit DEI, 12 bits VLAN id
    be16 ether_type;
};
static_assert(sizeof(VlanTag) == 4);

// RFC 791 3.1, without options
struct Ipv4Header {
    std::uint8_t version_ihl, tos;
    be16 total_length, id, fragment;  // fragment: reserved, DF, MF, 13 bits of offset in 8 bytes
    std::uint8_t ttl, protocol;
    be16 checksum;
    std::array<std::uint8_t, 4> source, destination;
};
static_assert(sizeof(Ipv4Header) == 20 && offsetof(Ipv4Header, source) == 12);

// Its field `fragment`; the last is what any fragment has some bit of.
inline constexpr std::uint16_t ipv4_dont_fragment = 0x4000, ipv4_more_fragments = 0x2000,
                               ipv4_offset_mask = 0x1fff, ipv4_fragment_mask = 0x3fff;

// RFC 8200 section 3
struct Ipv6Header {
    be32 version_class_label;
    be16 payload_length;
    std::uint8_t next_header, hop_limit;
    std::array<std::uint8_t, 16> source, destination;
};
static_assert(sizeof(Ipv6Header) == 40 && offsetof(Ipv6Header, destination) == 24);

// RFC 9293 3.1, without options
struct TcpHeader {
    be16 source_port, destination_port;
    be32 sequence, acknowledgment;
    std::uint8_t data_offset, flags;
    be16 window, checksum, urgent;
};
static_assert(sizeof(TcpHeader) == 20);

// RFC 768
struct UdpHeader {
    be16 source_port, destination_port, length, checksum;
};
static_assert(sizeof(UdpHeader) == 8);

// RFC 9260 3.1
struct SctpHeader {
    be16 source_port, destination_port;
    be32 verification_tag, checksum;  // CRC32c, of the SCTP packet alone
};
static_assert(sizeof(SctpHeader) == 12);

// RFC 792, RFC 4443: what both share
struct IcmpHeader {
    std::uint8_t type, code;
    be16 checksum;
    be32 rest;
};
static_assert(sizeof(IcmpHeader) == 8);

// RFC 826 for IPv4 over Ethernet
struct ArpPacket {
    be16 hardware, protocol;
    std::uint8_t hardware_size, protocol_size;
    be16 operation;  // 1 request, 2 reply
    std::array<std::uint8_t, 6> sender_mac;
    std::array<std::uint8_t, 4> sender_ip;
    std::array<std::uint8_t, 6> target_mac;
    std::array<std::uint8_t, 4> target_ip;
};
static_assert(sizeof(ArpPacket) == 28);

}  // namespace weir
