// SPDX-License-Identifier: BSD-3-Clause
// L3 direct server return: the destination address becomes the backend's, and the DSCP tells it
// for which VIP the packet was. Checksums follow by what changed alone (checksum_change.hh).
#pragma once

#include <array>
#include <cstdint>

#include "lib/wire/packet_headers.hh"

namespace weir {

// Prepared on the control plane, read by workers; immutable once published. Trivial, so that it may
// share its place with what other modes need.
struct DestinationRewrite {
    std::array<std::uint8_t, 16> address;  // of the backend; IPv4: 4 bytes, the rest zero
    std::uint8_t dscp;                     // 1 .. 63
};

// ECN stays. Preconditions: the headers are writable; the address in the rewrite is of the same
// family. Cost: the sums of two addresses, and at most three stores to the packet.
void rewrite_destination(const PacketHeaders& headers, const DestinationRewrite& to) noexcept;

}  // namespace weir
