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

OuterTemplate make_outer_template(const IpPrefix& source, const IpAddress& backend, Family inner,
                                  Shim shim) noexcept {
    OuterTemplate outer;
    if (source.address.family != backend.family) return outer;
    const unsigned host_bits = backend.bits() - std::min<unsigned>(source.length, backend.bits());
    outer.entropy_bits = static_cast<std::uint8_t>(std::min(host_bits, 32u));
    outer.entropy_mask = static_cast<std::uint32_t>((std::uint64_t{1} << outer.entropy_bits) - 1);
    const std::uint8_t protocol = outer_protocol(shim, inner);
    std::size_t entropy_at = outer_v4_entropy_at;
    if (backend.family == Family::v4) {
        Ipv4Header ip{};
        ip.version_ihl = 0x45;
        ip.fragment = be16::from_host(ipv4_dont_fragment);
        ip.ttl = outer_ttl;
        ip.protocol = protocol;
        std::copy_n(source.address.bytes.begin(), 4, ip.source.begin());
        std::copy_n(backend.bytes.begin(), 4, ip.destination.begin());
        outer.length = sizeof ip;
        std::memcpy(outer.bytes.data(), &ip, sizeof ip);
    } else {
        entropy_at = outer_v6_entropy_at;
        const Ipv6Header ip{.version_class_label = be32::from_host(6u << 28),
                            .payload_length = {},
                            .next_header = protocol,
                            .hop_limit = outer_ttl,
                            .source = source.address.bytes,
                            .destination = backend.bytes};
        outer.length = sizeof ip;
        std::memcpy(outer.bytes.data(), &ip, sizeof ip);
    }
    std::uint8_t* varying = outer.bytes.data() + entropy_at;
    store32(varying, load32(varying).host() & ~outer.entropy_mask);
    if (backend.family == Family::v4) {
        outer.checksum_seed = checksum_sum({outer.bytes.data(), outer.length});
        std::fill_n(outer.bytes.begin() + offsetof(Ipv4Header, checksum), 2, std::uint8_t{0xff});
    }
    return outer;
}

}  // namespace weir
