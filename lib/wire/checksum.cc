// SPDX-License-Identifier: BSD-3-Clause
#include "lib/wire/checksum.hh"

#include <bit>
#include <cstring>

namespace weir {

// The sum of big-endian words equals the byte-swapped sum of native words (RFC 1071 2.B), so words
// are added as they lie, four bytes at a time, and swapped once.
std::uint16_t checksum_sum(std::span<const std::uint8_t> bytes, std::uint32_t initial) noexcept {
    const std::uint8_t* at = bytes.data();
    std::size_t left = bytes.size();
    std::uint64_t sum = 0;
    for (; left >= 4; left -= 4, at += 4) {
        std::uint32_t word;
        std::memcpy(&word, at, sizeof word);
        sum += word;
    }
    if (left > 0) {
        std::uint32_t tail = 0;
        std::memcpy(&tail, at, left);
        sum += tail;
    }
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffffffff) + (sum >> 32);
    std::uint16_t folded = checksum_fold(static_cast<std::uint32_t>(sum));
    if constexpr (std::endian::native == std::endian::little) folded = __builtin_bswap16(folded);
    return checksum_fold(std::uint32_t{folded} + checksum_fold(initial));
}

std::uint32_t pseudo_header_sum(std::span<const std::uint8_t> source,
                                std::span<const std::uint8_t> destination, std::uint8_t protocol,
                                std::uint32_t length) noexcept {
    return std::uint32_t{checksum_sum(source)} + checksum_sum(destination) + protocol +
           (length >> 16) + (length & 0xffff);
}

}  // namespace weir
