// SPDX-License-Identifier: BSD-3-Clause
// Weir's own ICMP errors: a packet that cannot go on becomes, in its own buffer, the answer to its
// sender (RFC 792, RFC 4443): fragmentation needed, packet too big, time exceeded.
#pragma once

#include <cstdint>

#include "lib/balance/tables.hh"
#include "lib/dataplane/packet.hh"
#include "lib/dataplane/verdict.hh"

namespace weir {

// What is wrong with the packet, and with which: its IP header lies at `l3_offset` bytes from frame
// start, `ip_length` bytes long with its payload.
struct Refusal {
    IcmpErrorType type = IcmpErrorType::too_big;
    Family family = Family::v4;
    std::uint16_t l3_offset = 0, ip_length = 0;
    std::uint32_t mtu = 0;  // too_big: the longest packet that would fit
    // Who says so; nullptr: the packet's destination, a VIP.
    const IpAddress* from = nullptr;
};

// Nobody is answered for an ICMP error, for a fragment but the first, without 8 bytes behind the IP
// header, to a group MAC address (RFC 1122 3.2.2, RFC 4443 2.4), about an IPv4 packet that may be
// fragmented or an IPv6 packet that any link must carry, or with an MTU that no link may have. What
// has a group or martian source, or came in a group frame, is not to be asked about.
[[nodiscard]] bool deserves_answer(const Packet& packet, const Refusal& refusal) noexcept;

// Makes `packet` the answer to its source, from whom `refusal` says, in a frame for
// the MAC address that it came from, with the tag of `port`, by which it came; as much of it inside
// as makes 576 bytes (RFC 1812 4.3.2.3) or 1280 (RFC 4443 2.4 c). False: no headroom for the
// headers, and nothing is changed. Precondition: deserves_answer(). Cost: a checksum over the
// quoted bytes.
[[nodiscard]] bool make_answer(const PortTable& port, const Refusal& refusal,
                               Packet& packet) noexcept;

}  // namespace weir
