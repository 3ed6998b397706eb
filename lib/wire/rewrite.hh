// SPDX-License-Identifier: BSD-3-Clause
// Network address translation of a packet in place (RFC 3022 4.1 to 4.3): addresses and ports at
// either end, and the TTL of a router's hop, with all checksums updated by what changed alone
// (checksum_change.hh).
#pragma once

#include <cstdint>

#include "lib/wire/packet_headers.hh"

namespace weir {

// One end of a packet.
struct PacketEnd {
    IpAddress address;
    std::uint16_t port = 0;  // host byte order
    friend bool operator==(const PacketEnd&, const PacketEnd&) = default;
};

// Replaces source, destination or both; nullptr: stays. Then counts the TTL or hop limit down by
// one. A later fragment has no ports to be replaced. Preconditions: the headers are writable, of
// TCP or UDP, the addresses are of the headers' family, TTL or hop limit is not 0.
// Cost: some 10 cycles for IPv4.
void translate(const PacketHeaders& headers, const PacketEnd* source,
               const PacketEnd* destination) noexcept;

}  // namespace weir
