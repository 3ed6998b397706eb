// SPDX-License-Identifier: BSD-3-Clause
// IP in IP (RFC 2003 for an IPv4 outer header, RFC 2473 for IPv6): a prepared outer header per
// backend, finished per packet by a few stores.
#pragma once

#include <array>
#include <cstdint>

#include "lib/wire/address.hh"

namespace weir {

// Prepared on the control plane, read by workers; immutable once published.
struct OuterTemplate {
    // IPv4 (20) or IPv6 (40) header; what write_outer() fills in is zero.
    alignas(8) std::array<std::uint8_t, 40> bytes{};
    std::uint8_t length = 0;  // 20 or 40; 0: no encapsulation
    // Low bits of the outer source address that vary per flow, 0..32.
    std::uint8_t entropy_bits = 0;
    // IPv4: ones' complement sum of `bytes`, not inverted, host order.
    std::uint16_t checksum_seed = 0;
};

// Outer header towards `backend`. `source`: an address or a prefix of the backend's family; the
// bits after its length (32 at most) are taken from the flow, so that the backend's NIC can spread
// flows by the outer header. A /32 or /128 does not vary. The all-ones and all-zeros host are not
// avoided: the prefix is the operator's own. Families that differ: length 0. Outer TTL 64 (hop
// limit 64), IPv4: DF set, id 0.
OuterTemplate make_outer_template(const IpPrefix& source, const IpAddress& backend) noexcept;

// Writes outer.length bytes at `out` in front of an inner packet of `inner_length` bytes (its own
// IP header included) and family `inner`. `traffic_class`: the inner DSCP and ECN, copied (RFC
// 2983 uniform model; ECN by RFC 6040 normal mode). `flow_hash`: fills the entropy bits.
// Precondition: inner_length + outer.length <= 65535.
void write_outer(std::uint8_t* out, const OuterTemplate& outer, std::uint16_t inner_length,
                 Family inner, std::uint8_t traffic_class, std::uint32_t flow_hash) noexcept;

}  // namespace weir
