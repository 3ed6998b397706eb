// SPDX-License-Identifier: BSD-3-Clause
// IPv6 extension headers: which are walked, and how long each is (RFC 8200 section 4). Reads no
// packet by itself.
#pragma once

#include <cstdint>

namespace weir {

// IANA protocol numbers.
inline constexpr std::uint8_t ext_hop_by_hop = 0, ext_routing = 43, ext_fragment = 44,
                              ext_auth = 51, ext_destination = 60, ext_mobility = 135,
                              ext_hip = 139, ext_shim6 = 140;
// The field of RFC 8200 4.5 that says where a fragment lies; the last is what any has some bit of.
inline constexpr std::uint16_t ipv6_more_fragments = 1, ipv6_offset_mask = 0xfff8,
                               ipv6_fragment_mask = 0xfff9;
// What is walked at most, in one packet; more is refused.
inline constexpr unsigned max_ext_headers = 8, max_ext_bytes = 256;

[[nodiscard]] constexpr bool is_extension(std::uint8_t next) noexcept {
    switch (next) {
        case ext_hop_by_hop:
        case ext_routing:
        case ext_fragment:
        case ext_auth:
        case ext_destination:
        case ext_mobility:
        case ext_hip:
        case ext_shim6:
            return true;
        default:
            return false;
    }
}

// Bytes of the header `type` whose second byte is `length_field`: 8 at least.
[[nodiscard]] constexpr std::uint32_t extension_length(std::uint8_t type,
                                                       std::uint8_t length_field) noexcept {
    if (type == ext_fragment) return 8;                    // RFC 8200 4.5, the field is reserved
    if (type == ext_auth) return (length_field + 2u) * 4;  // RFC 4302 2.2
    return (length_field + 1u) * 8;                        // RFC 6564
}

}  // namespace weir
