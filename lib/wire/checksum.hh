// SPDX-License-Identifier: BSD-3-Clause
// The Internet checksum: whole (RFC 1071) and incremental (RFC 1624, equation 3).
// All 16-bit values are in host byte order, as be16::host() gives them.
#pragma once

#include <cstdint>
#include <span>

namespace weir {

// Ones' complement sum of the bytes read as big-endian 16-bit words, an odd last byte padded with
// zero; folded to 16 bits, not inverted. `initial` continues an earlier sum of an even length.
[[nodiscard]] std::uint16_t checksum_sum(std::span<const std::uint8_t> bytes,
                                         std::uint32_t initial = 0) noexcept;

// Folds a 32-bit sum of 16-bit words to 16 bits (end-around carry).
[[nodiscard]] constexpr std::uint16_t checksum_fold(std::uint32_t sum) noexcept {
    sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>((sum & 0xffff) + (sum >> 16));
}

// The value that goes into the checksum field: the inverted sum.
[[nodiscard]] constexpr std::uint16_t checksum_finish(std::uint32_t sum) noexcept {
    return static_cast<std::uint16_t>(~checksum_fold(sum));
}

// Sum of the pseudo header (RFC 9293 3.1, RFC 8200 8.1); addresses of 4 or 16 bytes each.
[[nodiscard]] std::uint32_t pseudo_header_sum(std::span<const std::uint8_t> source,
                                              std::span<const std::uint8_t> destination,
                                              std::uint8_t protocol, std::uint32_t length) noexcept;

// RFC 1624 eqn. 3: HC' = ~(~HC + ~m + m'), for one 16-bit word m that becomes m'.
[[nodiscard]] constexpr std::uint16_t checksum_update(std::uint16_t checksum, std::uint16_t from,
                                                      std::uint16_t to) noexcept {
    const std::uint32_t sum = static_cast<std::uint16_t>(~checksum) +
                              std::uint32_t{static_cast<std::uint16_t>(~from)} + to;
    return checksum_finish(sum);
}

}  // namespace weir
