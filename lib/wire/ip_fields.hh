// SPDX-License-Identifier: BSD-3-Clause
// What an IP header says in either family: what goes along when a packet changes its family (RFC
// 7915 4.1 and 5.1). Options and extension headers do not.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/wire/address.hh"

namespace weir {

struct IpFields {
    std::uint8_t traffic_class = 0, hop_limit = 0;  // TOS, TTL
    std::uint8_t protocol = 0;                      // of what lies behind
    // IPv4: DF. IPv6: only a sender cuts, so this is false where there is a fragment header.
    bool dont_fragment = false;
    bool is_fragment = false;  // a piece; of IPv6 whatever has a fragment header
    bool more = false;
    std::uint16_t offset = 0;  // of a piece, bytes
    std::uint32_t identification = 0;
    std::uint32_t payload = 0;  // bytes behind all headers of IP, as the header says
};

// `ip`: a header that parse() or read_embedded() found sound, `length` bytes with its options or
// extension headers. `protocol`: what they found behind it.
[[nodiscard]] IpFields read_ip_fields(const std::uint8_t* ip, std::size_t length, Family family,
                                      std::uint8_t protocol) noexcept;

// Bytes that write_ip_header() writes: 20; of IPv6 40, with a fragment header 48.
[[nodiscard]] constexpr std::size_t ip_header_length(Family family,
                                                     const IpFields& fields) noexcept {
    if (family == Family::v4) return 20;
    return fields.is_fragment ? 48 : 40;
}

// Of `family`, as are both addresses, and with an IPv4 header's checksum. A whole IPv4 packet with
// DF has identification 0 (RFC 6864 4.1). A length that IPv4 cannot tell becomes the longest that
// it can.
void write_ip_header(std::uint8_t* out, Family family, const IpFields& fields,
                     const IpAddress& source, const IpAddress& destination) noexcept;

}  // namespace weir
