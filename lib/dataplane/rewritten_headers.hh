// SPDX-License-Identifier: BSD-3-Clause
// Where the headers of a packet lie that is rewritten in place.
#pragma once

#include "lib/balance/tables.hh"
#include "lib/dataplane/packet.hh"
#include "lib/dataplane/packet_meta.hh"
#include "lib/wire/packet_headers.hh"

namespace weir {

// `meta` was read from this frame, which came by packet.port. Cost: a few loads; where IPv6
// extension headers are, parse().
[[nodiscard]] PacketHeaders headers_of(const Tables& tables, const PacketMeta& meta,
                                       const Packet& packet) noexcept;

// Whether the packet is a piece of a datagram. `headers`: of this packet.
[[nodiscard]] bool is_fragment(const Tables& tables, const PacketHeaders& headers,
                               const Packet& packet) noexcept;

}  // namespace weir
