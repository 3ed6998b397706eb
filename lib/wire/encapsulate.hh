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

inline void write_outer(std::uint8_t* out, const OuterTemplate& outer, std::uint16_t inner_length,
                        Family inner, std::uint8_t traffic_class,
                        std::uint32_t flow_hash) noexcept {
    static_assert(std::endian::native == std::endian::little);
    const std::uint8_t* bytes = outer.bytes.data();
    const std::uint32_t entropy = flow_hash & outer_entropy_mask(outer.entropy_bits);
    // IANA protocol numbers of a whole IP packet as payload (RFC 2003, RFC 4213).
    const std::uint8_t protocol = inner == Family::v4 ? 4 : 41;
    std::uint64_t third;
    std::memcpy(&third, bytes + 16, 8);
    if (outer.length == sizeof(Ipv4Header)) {
        std::uint64_t first, second;
        std::memcpy(&first, bytes, 8);
        std::memcpy(&second, bytes + 8, 8);
        const std::uint32_t total = inner_length + std::uint32_t{sizeof(Ipv4Header)};
        // The template has zeros wherever something is written here, so its sum just grows.
        const std::uint16_t checksum =
            checksum_finish(std::uint32_t{outer.checksum_seed} + total + traffic_class + protocol +
                            (entropy >> 16) + (entropy & 0xffff));
        const auto swapped = [](std::uint32_t value) {
            return std::uint64_t{__builtin_bswap16(static_cast<std::uint16_t>(value))};
        };
        first |= std::uint64_t{traffic_class} << 8 | swapped(total) << 16;
        second |= std::uint64_t{protocol} << 8 | swapped(checksum) << 16 |
                  std::uint64_t{__builtin_bswap32(entropy)} << 32;
        const auto last = static_cast<std::uint32_t>(third);
        std::memcpy(out, &first, 8);
        std::memcpy(out + 8, &second, 8);
        std::memcpy(out + 16, &last, 4);
        return;
    }
    const std::uint64_t hop_limit = bytes[7];
    const std::uint32_t start = __builtin_bswap32(6u << 28 | std::uint32_t{traffic_class} << 20);
    const std::uint64_t first = start | std::uint64_t{__builtin_bswap16(inner_length)} << 32 |
                                std::uint64_t{protocol} << 48 | hop_limit << 56;
    third |= std::uint64_t{__builtin_bswap32(entropy)} << 32;
    std::memcpy(out, &first, 8);
    std::memcpy(out + 8, bytes + 8, 8);
    std::memcpy(out + 16, &third, 8);
    std::memcpy(out + 24, bytes + 24, 16);
}

}  // namespace weir
