// SPDX-License-Identifier: BSD-3-Clause
// An ICMP error that becomes one of the other family, with the packet that it is about (RFC 7915
// 4.2, 4.3, 5.2, 5.3).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "lib/wire/rewrite_icmp.hh"

namespace weir {

// Type, code and the last four bytes of the header (host byte order).
struct IcmpWords {
    std::uint8_t type = 0, code = 0;
    std::uint32_t rest = 0;
    friend bool operator==(const IcmpWords&, const IcmpWords&) = default;
};
// Of an error of `from`, what the other family says; nullopt: it has nothing for that. MTUs change
// by what headers differ, and are `mtu_less` less.
[[nodiscard]] std::optional<IcmpWords> other_icmp_words(Family from, const IcmpWords& words,
                                                        std::uint16_t mtu_less) noexcept;

// The longest packet that is made: 576 bytes of IPv4 (RFC 1812 4.3.2.3), 1280 of IPv6 (RFC 4443
// 2.4).
inline constexpr std::size_t longest_translated_icmp = 1280;

// Writes the IP packet that says in the other family what the one at `parts` says, a hop older,
// with `to`, of which all four ends are there and of the other family. Answers its length; 0: there
// is nothing that it could say. `id`: its identification where IPv4 needs one. Extensions (RFC
// 4884) stay behind. The checksum is made anew: that of `parts` must have been verified.
[[nodiscard]] std::size_t translate_icmp_family(
    const IcmpErrorParts& parts, const IcmpErrorRewrite& to, std::uint16_t id,
    std::span<std::uint8_t, longest_translated_icmp> out) noexcept;

}  // namespace weir
