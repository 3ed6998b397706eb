// SPDX-License-Identifier: BSD-3-Clause
#include "lib/wire/encapsulate.hh"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "lib/wire/checksum.hh"
#include "lib/wire/headers.hh"

namespace weir {

namespace {

constexpr std::uint8_t outer_ttl = 64;
constexpr std::uint16_t dont_fragment_bit = 0x4000;
// Last four bytes of the source address: all that entropy may touch.
constexpr std::size_t v4_entropy_at = offsetof(Ipv4Header, source);
constexpr std::size_t v6_entropy_at = offsetof(Ipv6Header, source) + 12;

// IANA protocol numbers of a whole IP packet as payload (RFC 2003, RFC 4213).
constexpr std::uint8_t payload_protocol(Family inner) noexcept {
    return inner == Family::v4 ? 4 : 41;
}

constexpr std::uint32_t entropy_mask(unsigned bits) noexcept {
    return static_cast<std::uint32_t>((std::uint64_t{1} << bits) - 1);
}

be32 load32(const std::uint8_t* at) noexcept {
    be32 value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

void store32(std::uint8_t* at, std::uint32_t host) noexcept {
    const be32 value = be32::from_host(host);
    std::memcpy(at, &value, sizeof value);
}

}  // namespace

OuterTemplate make_outer_template(const IpPrefix& source, const IpAddress& backend) noexcept {
    OuterTemplate outer;
    if (source.address.family != backend.family) return outer;
    const unsigned host_bits = backend.bits() - std::min<unsigned>(source.length, backend.bits());
    outer.entropy_bits = static_cast<std::uint8_t>(std::min(host_bits, 32u));
    std::size_t entropy_at = v4_entropy_at;
    if (backend.family == Family::v4) {
        Ipv4Header ip{};
        ip.version_ihl = 0x45;
        ip.fragment = be16::from_host(dont_fragment_bit);
        ip.ttl = outer_ttl;
        std::copy_n(source.address.bytes.begin(), 4, ip.source.begin());
        std::copy_n(backend.bytes.begin(), 4, ip.destination.begin());
        outer.length = sizeof ip;
        std::memcpy(outer.bytes.data(), &ip, sizeof ip);
    } else {
        entropy_at = v6_entropy_at;
        const Ipv6Header ip{.version_class_label = be32::from_host(6u << 28),
                            .payload_length = {},
                            .next_header = 0,
                            .hop_limit = outer_ttl,
                            .source = source.address.bytes,
                            .destination = backend.bytes};
        outer.length = sizeof ip;
        std::memcpy(outer.bytes.data(), &ip, sizeof ip);
    }
    std::uint8_t* varying = outer.bytes.data() + entropy_at;
    store32(varying, load32(varying).host() & ~entropy_mask(outer.entropy_bits));
    if (backend.family == Family::v4)
        outer.checksum_seed = checksum_sum({outer.bytes.data(), outer.length});
    return outer;
}

void write_outer(std::uint8_t* out, const OuterTemplate& outer, std::uint16_t inner_length,
                 Family inner, std::uint8_t traffic_class, std::uint32_t flow_hash) noexcept {
    const std::uint32_t entropy = flow_hash & entropy_mask(outer.entropy_bits);
    const std::uint8_t protocol = payload_protocol(inner);
    if (outer.length == sizeof(Ipv4Header)) {
        std::memcpy(out, outer.bytes.data(), sizeof(Ipv4Header));
        auto& ip = *reinterpret_cast<Ipv4Header*>(out);
        const auto total = static_cast<std::uint16_t>(inner_length + sizeof(Ipv4Header));
        ip.tos = traffic_class;
        ip.total_length = be16::from_host(total);
        ip.protocol = protocol;
        // The template has zeros wherever something is written here, so its sum just grows.
        ip.checksum = be16::from_host(checksum_finish(std::uint32_t{outer.checksum_seed} + total +
                                                      traffic_class + protocol + (entropy >> 16) +
                                                      (entropy & 0xffff)));
        store32(out + v4_entropy_at, load32(out + v4_entropy_at).host() | entropy);
        return;
    }
    std::memcpy(out, outer.bytes.data(), sizeof(Ipv6Header));
    auto& ip = *reinterpret_cast<Ipv6Header*>(out);
    ip.version_class_label = be32::from_host(6u << 28 | std::uint32_t{traffic_class} << 20);
    ip.payload_length = be16::from_host(inner_length);
    ip.next_header = protocol;
    store32(out + v6_entropy_at, load32(out + v6_entropy_at).host() | entropy);
}

}  // namespace weir
