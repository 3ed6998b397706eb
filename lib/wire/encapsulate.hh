// SPDX-License-Identifier: BSD-3-Clause
// The outer IP header of a tunnel (RFC 2003 for IPv4, RFC 2473 for IPv6; what GRE and GUE have
// behind it is in shim.hh): a prepared header per backend, finished per packet by a few stores.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "lib/wire/address.hh"
#include "lib/wire/headers.hh"
#include "lib/wire/shim.hh"

namespace weir {

// Prepared on the control plane, read by workers; immutable once published.
struct OuterTemplate {
    // IPv4 (20) or IPv6 (40) header; what is filled in per packet is zero, but for the checksum of
    // IPv4, which is 0xffff.
    alignas(8) std::array<std::uint8_t, 40> bytes{};
    // Low bits of the outer source address's last word that vary per flow, host byte order.
    std::uint32_t entropy_mask = 0;
    // IPv4: ones' complement sum of `bytes`, not inverted, host byte order.
    std::uint16_t checksum_seed = 0;
    std::uint8_t length = 0;        // 20 or 40; 0: no encapsulation
    std::uint8_t entropy_bits = 0;  // of entropy_mask, 0..32
};

// Outer header towards `backend` for packets of family `inner` behind a `shim`. `source`: an
// address or a prefix of the backend's family; the bits after its length (32 at most) are taken
// from the flow, so that the backend's NIC can spread flows by the outer header. A /32 or /128 does
// not vary. The all-ones and all-zeros host are not avoided: the prefix is the operator's own.
// Source and backend of different families: length 0. Outer TTL 64 (hop limit 64), IPv4: DF set, id
// 0.
OuterTemplate make_outer_template(const IpPrefix& source, const IpAddress& backend, Family inner,
                                  Shim shim = Shim::none) noexcept;

// Writes outer.length bytes at `out` in front of `inner_length` bytes: shim and inner packet, its
// own IP header included. `traffic_class`: the inner DSCP and ECN, copied
// (RFC 2983 uniform model; ECN by RFC 6040 normal mode). `flow_hash`: fills the entropy bits.
// Precondition: inner_length + outer.length <= 65535.
//
// Cost: some 5 cycles. The header is put together in registers and stored whole: bytes written one
// by one over a copied template would have to wait for each other.
inline void write_outer(std::uint8_t* out, const OuterTemplate& outer, std::uint16_t inner_length,
                        std::uint8_t traffic_class, std::uint32_t flow_hash) noexcept;

// Of the above and of make_outer_template(): the last four bytes of the source address are all that
// entropy may touch.
inline constexpr std::size_t outer_v4_entropy_at = offsetof(Ipv4Header, source);
inline constexpr std::size_t outer_v6_entropy_at = offsetof(Ipv6Header, source) + 12;

// The same for a template whose length is known. `total`: inner and outer length, at most 65535.
template <typename Header>
void write_outer_as(std::uint8_t* out, const OuterTemplate& outer, std::uint32_t total,
                    std::uint32_t traffic_class, std::uint32_t flow_hash) noexcept;

template <>
inline void write_outer_as<Ipv4Header>(std::uint8_t* out, const OuterTemplate& outer,
                                       std::uint32_t total, std::uint32_t traffic_class,
                                       std::uint32_t flow_hash) noexcept {
    static_assert(std::endian::native == std::endian::little);
    const std::uint8_t* bytes = outer.bytes.data();
    std::uint64_t first, second;
    const std::uint32_t start = (traffic_class << 16) + total;  // of the header, but the version
    const std::uint32_t entropy = flow_hash & outer.entropy_mask;
    // RFC 1071, two 16-bit words side by side. Only the entropy can carry out of 32 bits.
    std::uint32_t sum;
    const bool carry = __builtin_add_overflow(start + outer.checksum_seed, entropy, &sum);
    sum += carry ? 1 : 0;
    sum += std::rotl(sum, 16);  // upper half: the sum of both, and the carry out of that
    std::memcpy(&first, bytes, 8);
    first |= __builtin_bswap32(start);
    std::memcpy(out, &first, 8);
    // The template's 0xffff inverts the sum.
    std::memcpy(&second, bytes + 8, 8);
    second ^= __builtin_bswap64(std::uint64_t{sum >> 16} << 32 | entropy);
    std::memcpy(out + 8, &second, 8);
    std::memcpy(out + 16, bytes + 16, 4);
}

template <>
inline void write_outer_as<Ipv6Header>(std::uint8_t* out, const OuterTemplate& outer,
                                       std::uint32_t total, std::uint32_t traffic_class,
                                       std::uint32_t flow_hash) noexcept {
    const std::uint8_t* bytes = outer.bytes.data();
    const std::uint64_t payload = total - sizeof(Ipv6Header);
    const std::uint32_t entropy = flow_hash & outer.entropy_mask;
    std::uint64_t first;
    std::uint32_t varying;
    std::memcpy(&first, bytes, 8);
    first |= __builtin_bswap64((std::uint64_t{traffic_class} << 36 | payload) << 16);
    std::memcpy(out, &first, 8);
    std::memcpy(out + 8, bytes + 8, 16);
    std::memcpy(out + 24, bytes + 24, 16);
    std::memcpy(&varying, bytes + outer_v6_entropy_at, 4);
    varying |= __builtin_bswap32(entropy);
    std::memcpy(out + outer_v6_entropy_at, &varying, 4);
}

inline void write_outer(std::uint8_t* out, const OuterTemplate& outer, std::uint16_t inner_length,
                        std::uint8_t traffic_class, std::uint32_t flow_hash) noexcept {
    const std::uint32_t total = std::uint32_t{inner_length} + outer.length;
    if (outer.length == sizeof(Ipv4Header)) [[likely]]
        write_outer_as<Ipv4Header>(out, outer, total, traffic_class, flow_hash);
    else
        write_outer_as<Ipv6Header>(out, outer, total, traffic_class, flow_hash);
}

}  // namespace weir
