// SPDX-License-Identifier: BSD-3-Clause
// Big-endian integers as they lie on the wire. No implicit conversion either way: the byte order
// is always written down. Alignment 1, so that a header struct may lie at any byte of a frame.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace weir {

template <typename Host>
struct BigEndian {
    unsigned char bytes[sizeof(Host)];

    // The value in host byte order. Compiles to one load and one byte swap.
    [[nodiscard]] Host host() const noexcept {
        Host value;
        std::memcpy(&value, bytes, sizeof value);
        return swap(value);
    }
    [[nodiscard]] static BigEndian from_host(Host value) noexcept {
        BigEndian result;
        const Host swapped = swap(value);
        std::memcpy(result.bytes, &swapped, sizeof swapped);
        return result;
    }
    friend bool operator==(const BigEndian&, const BigEndian&) = default;

private:
    static Host swap(Host value) noexcept {
        static_assert(sizeof(Host) == 2 || sizeof(Host) == 4 || sizeof(Host) == 8);
        if constexpr (std::endian::native == std::endian::big) return value;
        if constexpr (sizeof(Host) == 2) return __builtin_bswap16(value);
        if constexpr (sizeof(Host) == 4) return __builtin_bswap32(value);
        if constexpr (sizeof(Host) == 8) return __builtin_bswap64(value);
    }
};

using be16 = BigEndian<std::uint16_t>;
using be32 = BigEndian<std::uint32_t>;
using be64 = BigEndian<std::uint64_t>;
static_assert(sizeof(be16) == 2 && sizeof(be32) == 4 && sizeof(be64) == 8 && alignof(be64) == 1);

}  // namespace weir
