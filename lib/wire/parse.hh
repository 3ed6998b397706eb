// SPDX-License-Identifier: BSD-3-Clause
// Frame bytes -> Parsed: where the headers lie and what they say, after every check that the rules
// of IP ask for. Reads nothing outside the span. No state, no allocation, no exception.
//
// Order of checks: Ethernet and VLAN, then RFC 1812 5.2.2 for IPv4 (version and header length
// first, as there is nothing to sum without them), RFC 8200 section 4 for IPv6, then the transport
// header. The first check that fails names the status.
#pragma once

#include <cstdint>
#include <span>

#include "lib/wire/address.hh"

namespace weir {

// Verdict on Ethernet and IP. Anything but `ip` leaves the IP fields of Parsed unset.
enum class L3Status : std::uint8_t {
    ip,               // a sound IPv4 or IPv6 header; see L4Status for the rest
    arp,              // for the kernel
    not_ip,           // another EtherType
    l2_truncated,     // no room for the Ethernet header and its tag
    vlan_unexpected,  // a tag that the port is not configured for, or none where one is due
    ip_bad_header,    // version or header length contradict the frame
    ip_bad_length,  // total length beyond the frame or below the header; IPv6 of 64 KiB; jumbogram
    ip_bad_checksum,  // IPv4 header checksum
    ip_source_route,  // LSRR or SSRR option, IPv6 routing header type 0
    ip_bad_option,    // an IPv4 option of length 0 or 1, or past the header (drop: ip_bad_header)
    ipv6_ext_chain,   // more than 8 extension headers or 256 bytes of them, or past the packet
};

// What is known of the transport header. Only packets for a service are judged by it: what is for
// our own address goes to the kernel as it is.
enum class L4Status : std::uint8_t {
    ok,                // TCP, UDP or SCTP with ports, flags and sound lengths
    other,             // a protocol without ports, ICMP among them; l4_offset is set
    fragment,          // more-fragments set or an offset: see Parsed::fragment
    bad_length,        // TCP data offset below 5 or past the end; UDP length below 8 or past it;
                       // SCTP without its whole common header
    bad_flags,         // TCP: SYN+FIN, SYN+RST, FIN without ACK... : see tcp_flags_contradict()
    udp_zero_checksum  // IPv6 UDP without a checksum (RFC 8200 8.1)
};

// What the NIC said of the IPv4 header.
enum class NicChecksum : std::uint8_t { unknown, good, bad };

struct ParseOptions {
    // The port's VLAN id, 0 = untagged. A priority tag (VID 0) is accepted on either.
    std::uint16_t vlan = 0;
    NicChecksum ip_checksum = NicChecksum::unknown;  // software verifies only what the NIC did not
};

// Of a packet that is a piece of a datagram.
struct FragmentFields {
    std::uint32_t identification = 0;  // IPv4: 16 bits
    std::uint16_t offset = 0;          // of its payload in that of the datagram, bytes
    std::uint16_t payload_offset = 0;  // of its payload, bytes from frame start
    bool more = false;
    // What there is to say of the transport header, of a first fragment (offset 0) alone:
    // bad_length when it is not whole, never fragment. A UDP length may reach behind the fragment.
    L4Status first = L4Status::bad_length;
    friend bool operator==(const FragmentFields&, const FragmentFields&) = default;
};

struct Parsed {
    L3Status l3 = L3Status::l2_truncated;
    L4Status l4 = L4Status::other;
    Family family = Family::v4;
    std::uint8_t protocol = 0;       // after IPv6 extension headers
    std::uint8_t ttl = 0;            // or hop limit
    std::uint8_t traffic_class = 0;  // DSCP and ECN, as in the IPv4 TOS byte
    std::uint8_t tcp_flags = 0;      // tcp_fin ... below
    bool dont_fragment = false;      // IPv4 DF; always true for IPv6
    std::uint16_t ether_type = 0;    // host byte order, behind the tag
    std::uint16_t l3_offset = 0;     // bytes from frame start
    std::uint16_t l4_offset = 0;     // bytes from frame start
    std::uint16_t ip_length = 0;     // IP header and payload, without Ethernet padding
    // Host byte order; set when l4, or fragment.first, is ok, bad_flags or udp_zero_checksum.
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
    FragmentFields fragment;  // when l4 is fragment
};

inline constexpr std::uint8_t tcp_fin = 0x01, tcp_syn = 0x02, tcp_rst = 0x04, tcp_psh = 0x08,
                              tcp_ack = 0x10, tcp_urg = 0x20;
inline constexpr std::uint8_t proto_icmp = 1, proto_tcp = 6, proto_udp = 17, proto_icmp6 = 58,
                              proto_sctp = 132;

// ICMP or ICMPv6.
[[nodiscard]] constexpr std::uint8_t icmp_protocol(Family family) noexcept {
    return family == Family::v4 ? proto_icmp : proto_icmp6;
}

// An IPv6 extension header that parse() walks (IANA's list, without the experimental ones).
[[nodiscard]] bool is_extension_header(std::uint8_t next) noexcept;

// `frame`: the contiguous bytes from the destination MAC on. `frame_length`: of the whole frame,
// >= frame.size(), else l2_truncated; larger when the rest lies in further segments (then only
// headers that lie in `frame` can be parsed; at most 256 + 14 + 4 + 40 + 60 bytes are ever read).
// Cost: about 20 cycles for a plain TCP/IPv4 frame whose first line is in cache.
[[nodiscard]] Parsed parse(std::span<const std::uint8_t> frame, std::uint32_t frame_length,
                           const ParseOptions& options) noexcept;

// One bit for each set of the six flags that no stack sends: SYN with FIN or RST, no flag at all,
// FIN without ACK, PSH or URG without ACK or SYN (a SYN with data, RFC 7413, may carry PSH). ECE
// and CWR may join any (RFC 3168).
inline constexpr std::uint64_t tcp_contradictions = [] {
    std::uint64_t bits = 0;
    for (unsigned set = 0; set < 64; ++set) {
        const bool syn_against = (set & tcp_syn) != 0 && (set & (tcp_fin | tcp_rst)) != 0;
        const bool fin_alone = (set & tcp_fin) != 0 && (set & tcp_ack) == 0;
        const bool data_alone =
            (set & (tcp_psh | tcp_urg)) != 0 && (set & (tcp_ack | tcp_syn)) == 0;
        if (set == 0 || syn_against || fin_alone || data_alone) bits |= std::uint64_t{1} << set;
    }
    return bits;
}();
[[nodiscard]] inline bool tcp_flags_contradict(std::uint8_t flags) noexcept {
    return (tcp_contradictions >> (flags & 63) & 1) != 0;
}

}  // namespace weir
