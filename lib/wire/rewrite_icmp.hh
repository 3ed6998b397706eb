// SPDX-License-Identifier: BSD-3-Clause
// Network address translation of an ICMP or ICMPv6 error in place (RFC 3022 4.3, RFC 5508 section
// 4): the ends of the packet that it is about change as that packet's did, and its own addresses.
#pragma once

#include <cstdint>

#include "lib/wire/address.hh"
#include "lib/wire/rewrite.hh"

namespace weir {

// Where the parts of an ICMP error lie, which is about a TCP or UDP packet.
struct IcmpErrorParts {
    std::uint8_t* ip = nullptr;    // the message's IP header
    std::uint8_t* icmp = nullptr;  // its ICMP header
    PacketHeaders embedded;  // of the packet inside, which has 8 bytes of `transport` at least
    std::uint32_t transport_bytes = 0;  // that are readable from embedded.transport on
};

// What is replaced; nullptr: stays.
struct IcmpErrorRewrite {
    const IpAddress *source = nullptr, *destination = nullptr;  // of the message
    const PacketEnd *embedded_source = nullptr, *embedded_destination = nullptr;
    // TCP: how much greater the sequence number inside becomes.
    std::uint32_t sequence_more = 0;
    // By how much the MTU of "fragmentation needed" and "packet too big" is less to the receiver,
    // for packets grow after it sent them. None becomes less than 68, of IPv6 than 1280.
    std::uint16_t mtu_less = 0;
};

// Counts the message's TTL or hop limit down by one, too. The checksum of the packet inside follows
// where it is readable. Preconditions: all is writable and of one family, TTL or hop limit is not
// 0.
void translate_icmp_error(const IcmpErrorParts& parts, const IcmpErrorRewrite& to) noexcept;

}  // namespace weir
