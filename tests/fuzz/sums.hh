// SPDX-License-Identifier: BSD-3-Clause
// One's complement sums in the plainest form, for what lib/wire/checksum*.hh computes otherwise.
#pragma once

#include <cstdint>
#include <span>

namespace weir::fuzz {

// Of big-endian words of 16 bits, an odd last byte with a zero behind it (RFC 1071), from 0 to
// 65534. What is summed with its checksum and sums to 0 is sound; what is translated keeps its sum,
// sound or not. Precondition: `bytes` lies at an even place of what is summed.
[[nodiscard]] inline std::uint32_t sum_of(std::span<const std::uint8_t> bytes) noexcept {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i)
        sum += i % 2 == 0 ? std::uint64_t{bytes[i]} << 8 : bytes[i];
    return static_cast<std::uint32_t>(sum % 65'535);
}
template <typename... Spans>
[[nodiscard]] std::uint32_t sum_of_all(const Spans&... parts) noexcept {
    return static_cast<std::uint32_t>((std::uint64_t{0} + ... + sum_of(parts)) % 65'535);
}

// The checksum that makes `bytes` sum to 0, where its field holds 0; `before`: of a pseudo header.
[[nodiscard]] inline std::uint16_t checksum_for(std::span<const std::uint8_t> bytes,
                                                std::uint32_t before = 0) noexcept {
    return static_cast<std::uint16_t>(65'535 - (sum_of(bytes) + before) % 65'535);
}

}  // namespace weir::fuzz
