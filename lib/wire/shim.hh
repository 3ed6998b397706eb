// SPDX-License-Identifier: BSD-3-Clause
// What tunnels other than IP in IP have between the outer IP header and the client's packet:
//
//   GRE (RFC 2784, without checksum, key and sequence number)                         4 bytes
//   UDP and directly behind it the packet (GUE variant 1, draft-ietf-intarea-gue 4)   8 bytes
//   UDP and the header of GUE variant 0 without options (the same, 3)                12 bytes
//
// GUE's UDP source port is taken from the flow, so that whoever spreads packets by ports spreads
// tunnelled flows as well (RFC 7510 section 4). Its UDP checksum is 0, over IPv6 too: the inner
// packet has one of its own, and the outer addresses that it would protect decide nothing but which
// station opens the tunnel (RFC 6935, RFC 6936 section 4).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "lib/wire/address.hh"
#include "lib/wire/headers.hh"
#include "lib/wire/parse.hh"

namespace weir {

enum class Shim : std::uint8_t { none, gre, gue_direct, gue_header };

// IANA protocol numbers.
inline constexpr std::uint8_t proto_ipv4_packet = 4, proto_ipv6_packet = 41, proto_gre = 47;

// RFC 2784 section 2
struct GreHeader {
    be16 flags_version;  // all zero: no checksum, version 0
    be16 protocol_type;  // EtherType of the payload
};
static_assert(sizeof(GreHeader) == 4);

// GUE variant 0 without options and private data
struct GueHeader {
    std::uint8_t version_control_length;  // 2 bits version, 1 bit control, 5 bits option words
    std::uint8_t protocol;                // of the payload
    be16 flags;
};
static_assert(sizeof(GueHeader) == 4);

inline constexpr std::size_t longest_shim = sizeof(UdpHeader) + sizeof(GueHeader);

[[nodiscard]] constexpr std::size_t shim_length(Shim shim) noexcept {
    switch (shim) {
        case Shim::none:
            break;
        case Shim::gre:
            return sizeof(GreHeader);
        case Shim::gue_direct:
            return sizeof(UdpHeader);
        case Shim::gue_header:
            return sizeof(UdpHeader) + sizeof(GueHeader);
    }
    return 0;
}

// The protocol that the outer IP header names; Shim::none: the packet itself (RFC 2003, RFC 4213,
// RFC 2473).
[[nodiscard]] constexpr std::uint8_t outer_protocol(Shim shim, Family inner) noexcept {
    if (shim == Shim::gre) return proto_gre;
    if (shim != Shim::none) return proto_udp;
    return inner == Family::v4 ? proto_ipv4_packet : proto_ipv6_packet;
}

// A port of 49152 .. 65535 (RFC 6335 section 6) from the upper 14 bits of `flow_hash`; an outer
// source address takes its variation from the lower ones.
[[nodiscard]] constexpr std::uint16_t gue_source_port(std::uint32_t flow_hash) noexcept {
    return static_cast<std::uint16_t>(0xc000 | flow_hash >> 18);
}

// Writes shim_length(shim) bytes at `out`, in front of an inner packet of `inner_length` bytes and
// family `inner`. `gue_port`: UDP destination, host byte order. Precondition: the sum of lengths is
// at most 65535.
inline void write_shim(std::uint8_t* out, Shim shim, Family inner, std::uint16_t inner_length,
                       std::uint16_t gue_port, std::uint32_t flow_hash) noexcept {
    if (shim == Shim::none) return;
    if (shim == Shim::gre) {
        const GreHeader gre{.flags_version = {},
                            .protocol_type = be16::from_host(
                                inner == Family::v4 ? ether_type_ipv4 : ether_type_ipv6)};
        std::memcpy(out, &gre, sizeof gre);
        return;
    }
    const UdpHeader udp{
        .source_port = be16::from_host(gue_source_port(flow_hash)),
        .destination_port = be16::from_host(gue_port),
        .length = be16::from_host(static_cast<std::uint16_t>(shim_length(shim) + inner_length)),
        .checksum = {}};
    std::memcpy(out, &udp, sizeof udp);
    if (shim == Shim::gue_direct) return;
    const GueHeader gue{
        .version_control_length = 0, .protocol = outer_protocol(Shim::none, inner), .flags = {}};
    std::memcpy(out + sizeof udp, &gue, sizeof gue);
}

}  // namespace weir
