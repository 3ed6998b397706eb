// SPDX-License-Identifier: BSD-3-Clause
// IP in IP (RFC 2003 for an IPv4 outer header, RFC 2473 for IPv6): a prepared outer header per
// backend, finished per packet by a few stores.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "lib/wire/address.hh"
#include "lib/wire/checksum.hh"
#include "lib/wire/headers.hh"

namespace weir {

// Prepared on the control plane, read by workers; immutable once published.
struct OuterTemplate {
    // IPv4 (20) or IPv6 (40) header; what write_outer() fills in is zero.
    alignas(8) std::array<std::uint8_t, 40> bytes{};
    std::uint8_t length = 0;  // 20 or 40; 0: no encapsulation
    // Low bits of the outer source address that vary per flow, 0..32.
    std::uint8_t entropy_bits = 0;
    // IPv4: ones' complement sum of `bytes`, not inverted, of words as the machine reads them (RFC
    // 1071 2B: the order of their bytes does not matter, as long as it is the same for all).
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
//
// Cost: some 5 cycles. The header is put together in registers and stored whole: bytes written one
// by one over a copied template would have to wait for each other.
inline void write_outer(std::uint8_t* out, const OuterTemplate& outer, std::uint16_t inner_length,
                        Family inner, std::uint8_t traffic_class, std::uint32_t flow_hash) noexcept;

// Of the above and of make_outer_template(): the last four bytes of the source address are all that
// entropy may touch.
inline constexpr std::size_t outer_v4_entropy_at = offsetof(Ipv4Header, source);
inline constexpr std::size_t outer_v6_entropy_at = offsetof(Ipv6Header, source) + 12;
[[nodiscard]] constexpr std::uint32_t outer_entropy_mask(unsigned bits) noexcept {
    return static_cast<std::uint32_t>((std::uint64_t{1} << bits) - 1);
}

namespace outer_header {

// 16 bits as they lie on the wire, of a host's number.
[[nodiscard]] constexpr std::uint32_t wire16(std::uint32_t host) noexcept {
    return __builtin_bswap16(static_cast<std::uint16_t>(host));
}

// All words as the machine reads them; the template is zero wherever something is added.
inline void write_v4(std::uint8_t* out, const OuterTemplate& outer, std::uint32_t total,
                     std::uint64_t protocol, std::uint64_t traffic_class,
                     std::uint32_t entropy) noexcept {
    const std::uint8_t* bytes = outer.bytes.data();
    std::uint64_t first, second;
    std::memcpy(&first, bytes, 8);
    std::memcpy(&second, bytes + 8, 8);
    const std::uint64_t length = wire16(total);
    // Of 35 bits at most; two folds leave 17, the third 16.
    std::uint64_t sum = outer.checksum_seed + length + ((traffic_class + protocol) << 8) + entropy;
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    sum += sum >> 16;
    first |= traffic_class << 8 | length << 16;
    second |= protocol << 8 | (~sum & 0xffff) << 16 | std::uint64_t{entropy} << 32;
    std::memcpy(out, &first, 8);
    std::memcpy(out + 8, &second, 8);
    std::memcpy(out + 16, bytes + 16, 4);
}

inline void write_v6(std::uint8_t* out, const OuterTemplate& outer, std::uint32_t payload,
                     std::uint64_t protocol, std::uint8_t traffic_class,
                     std::uint32_t entropy) noexcept {
    const std::uint8_t* bytes = outer.bytes.data();
    const std::uint64_t hop_limit = bytes[7];
    const std::uint32_t start = __builtin_bswap32(6u << 28 | std::uint32_t{traffic_class} << 20);
    const std::uint64_t first =
        start | std::uint64_t{wire16(payload)} << 32 | protocol << 48 | hop_limit << 56;
    std::uint64_t third;
    std::memcpy(&third, bytes + 16, 8);
    third |= std::uint64_t{entropy} << 32;
    std::memcpy(out, &first, 8);
    std::memcpy(out + 8, bytes + 8, 8);
    std::memcpy(out + 16, &third, 8);
    std::memcpy(out + 24, bytes + 24, 16);
}

}  // namespace outer_header

inline void write_outer(std::uint8_t* out, const OuterTemplate& outer, std::uint16_t inner_length,
                        Family inner, std::uint8_t traffic_class,
                        std::uint32_t flow_hash) noexcept {
    static_assert(std::endian::native == std::endian::little);
    // IANA protocol numbers of a whole IP packet as payload (RFC 2003, RFC 4213), by Family.
    static constexpr std::uint8_t protocols[] = {0, 0, 0, 0, 4, 0, 41};
    const std::uint64_t protocol = protocols[static_cast<std::size_t>(inner)];
    const std::uint32_t entropy =
        __builtin_bswap32(flow_hash & outer_entropy_mask(outer.entropy_bits));
    if (outer.length == sizeof(Ipv4Header)) [[likely]] {
        outer_header::write_v4(out, outer, inner_length + std::uint32_t{sizeof(Ipv4Header)},
                               protocol, traffic_class, entropy);
    } else {
        outer_header::write_v6(out, outer, inner_length, protocol, traffic_class, entropy);
    }
}

}  // namespace weir
