// SPDX-License-Identifier: BSD-3-Clause
// ICMP and ICMPv6 (RFC 792, RFC 4443). Errors: which flow is one about? It carries the beginning of
// the packet that caused it, its 8 bytes behind the IP header at least, and these hold the ports.
// Reads nothing outside the span. No state, no allocation, no exception.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "lib/wire/address.hh"
#include "lib/wire/parse.hh"

namespace weir {

// ICMP: unreachable, source quench, time exceeded, parameter problem; ICMPv6: unreachable, packet
// too big, time exceeded, parameter problem. Others are no errors about a packet.
[[nodiscard]] bool is_icmp_error(Family family, std::uint8_t type) noexcept;

// The beginning of an IP packet, as far as it tells the flow.
struct EmbeddedPacket {
    enum class Status : std::uint8_t {
        flow,        // TCP, UDP or SCTP; all fields are set
        icmp,        // an ICMP message that is no error
        echo_reply,  // one that is an echo reply: destination_port is its identifier
        icmp_error,  // nobody sends errors about errors (RFC 1122 3.2.2, RFC 4443 2.4)
        other,       // another protocol
        fragment,    // not the first: no ports
        bad,  // no IP header of the family, more extension headers than are walked, or cut off
              // before its 8 bytes
    };
    Status status = Status::bad;
    std::uint8_t protocol = 0;           // after IPv6 extension headers; unless bad
    std::uint16_t source_port = 0;       // host byte order, as the packet has it
    std::uint16_t destination_port = 0;  // host byte order
    std::uint16_t transport_offset = 0;  // bytes from its IP header; unless bad or fragment
};
// `bytes`: from the IP header on. Neither lengths nor checksums in it are looked at, as not every
// host quotes them as they were. Reads at most 40 + 256 + 8 bytes.
[[nodiscard]] EmbeddedPacket read_embedded(std::span<const std::uint8_t> bytes,
                                           Family family) noexcept;

// What an ICMP message says.
struct IcmpMessage {
    enum class Kind : std::uint8_t {
        not_error,  // echo, neighbour discovery and the like; or not even a type
        error,      // `embedded` says about what
        bad_error,  // no room for an IP header, or an MTU that no link has
    };
    Kind kind = Kind::not_error;
    std::uint16_t embedded_offset = 0;  // bytes from frame start
    // The source of the embedded packet is the destination of the message, as it must be.
    bool about_destination = false;
    EmbeddedPacket embedded;
};
// MTUs below 68 (RFC 791; 0 is an old router's) and 1280 (RFC 8200 section 5) are refused.
// `parsed`: of this frame, l3 is ip, l4 is other. Any protocol may come. The message's checksum is
// not verified here.
[[nodiscard]] IcmpMessage read_icmp(std::span<const std::uint8_t> frame,
                                    const Parsed& parsed) noexcept;

// The identifier of an echo request, host byte order; nullopt: it is none, or its first 8 bytes are
// not all there. Its checksum is not verified. `parsed`: of this frame, l3 is ip, and it is no
// later fragment.
[[nodiscard]] std::optional<std::uint16_t> echo_identifier(std::span<const std::uint8_t> frame,
                                                           const Parsed& parsed) noexcept;

// The longest IP packet with an ICMP error whose checksum is verified: as long as RFC 4443 2.4
// allows. Some IPv4 routers send longer ones; the backend verifies these.
inline constexpr std::uint32_t longest_verified_icmp = 1280;

// The message's checksum (RFC 792, RFC 4443 2.3) is right, or the packet is longer than that; false
// where the frame ends before it. Precondition as for read_icmp().
[[nodiscard]] bool icmp_sum_is_good(std::span<const std::uint8_t> frame,
                                    const Parsed& parsed) noexcept;

}  // namespace weir
