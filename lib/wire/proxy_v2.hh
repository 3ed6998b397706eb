// SPDX-License-Identifier: BSD-3-Clause
// The PROXY protocol, version 2
// (haproxy.org/download/2.8/doc/proxy-protocol.txt, 2.2): a binary header in
// front of a TCP stream that says whose connection it is.
//
//   signature, 12 bytes | 0x21: version 2, PROXY | 0x11 TCP over IPv4, 0x21
//   over IPv6 | length of the rest: 12 or 36 | source address | destination
//   address | both ports
//                                                                             (big-endian)
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/wire/rewrite.hh"

namespace weir {

// 28 or 52.
[[nodiscard]] constexpr std::size_t proxy_v2_length(Family family) noexcept {
    return family == Family::v4 ? 28 : 52;
}

// Writes proxy_v2_length() bytes at `out`. `source`: the client; `destination`:
// what it asked, of the same family.
void write_proxy_v2(std::uint8_t* out, const PacketEnd& source,
                    const PacketEnd& destination) noexcept;

}  // namespace weir
