// SPDX-License-Identifier: BSD-3-Clause
// What the files of lanes.hh share. Only functions that carry WEIR_AVX512 may use the wide
// registers: the rest of the program runs on CPUs without them. Lambdas do not inherit it.
#pragma once

#if defined(__x86_64__)

#include <cstddef>
#include <cstdint>

// gcc 12 takes the placeholders of its own intrinsics for variables without a value.
#if !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#if !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#include "lib/dataplane/lanes.hh"

#define WEIR_AVX512 [[gnu::target("avx512f,avx512bw,avx512dq,avx512vl")]]
#define WEIR_AVX512_INLINE \
    [[gnu::target("avx512f,avx512bw,avx512dq,avx512vl"), gnu::always_inline]] inline

namespace weir::lanes {

static_assert(group_size == 16);  // 32-bit lanes of a register
inline constexpr __mmask16 all_lanes = 0xffff;
// A group with fewer packets costs less one by one.
inline constexpr std::size_t fewest = 8;

WEIR_AVX512_INLINE __m512i all(std::uint32_t value) noexcept {
    return _mm512_set1_epi32(static_cast<int>(value));
}
template <std::uint32_t value>
inline constexpr std::uint32_t in_memory = value;
// The same of a constant, which gcc 12 would bring there through a general register.
template <std::uint32_t value>
WEIR_AVX512_INLINE __m512i all() noexcept {
    __m512i lanes;
    asm("vpbroadcastd %1, %0" : "=v"(lanes) : "m"(in_memory<value>));
    return lanes;
}
WEIR_AVX512_INLINE __m512i all64(std::uint64_t value) noexcept {
    return _mm512_set1_epi64(static_cast<long long>(value));
}
WEIR_AVX512_INLINE __m512i both(__m512i a, __m512i b) noexcept {
    return _mm512_and_si512(a, b);
}
WEIR_AVX512_INLINE __m512i either(__m512i a, __m512i b) noexcept {
    return _mm512_or_si512(a, b);
}
// Lanes 0..7 and 8..15 as eight 64-bit lanes each.
WEIR_AVX512_INLINE __m512i low_half(__m512i words) noexcept {
    return _mm512_cvtepu32_epi64(_mm512_castsi512_si256(words));
}
WEIR_AVX512_INLINE __m512i high_half(__m512i words) noexcept {
    return _mm512_cvtepu32_epi64(_mm512_extracti64x4_epi64(words, 1));
}

WEIR_AVX512_INLINE __m512i swap16(__m512i words) noexcept {  // both halves of each lane
    return _mm512_or_si512(_mm512_slli_epi16(words, 8), _mm512_srli_epi16(words, 8));
}
WEIR_AVX512_INLINE __m512i swap32(__m512i words) noexcept {
    return _mm512_ror_epi32(swap16(words), 16);
}
// The low half of `upper` above the high half of `lower`.
WEIR_AVX512_INLINE __m512i joined(__m512i lower, __m512i upper) noexcept {
    return _mm512_mask_blend_epi16(0xaaaaaaaa, _mm512_srli_epi32(lower, 16),
                                   _mm512_slli_epi32(upper, 16));
}
WEIR_AVX512_INLINE __m512i low16(__m512i words) noexcept {
    return both(words, all<0xffff>());
}
WEIR_AVX512_INLINE __m512i halves(__m512i words) noexcept {  // their sum
    return _mm512_add_epi32(low16(words), _mm512_srli_epi32(words, 16));
}

// fold_multiply(): the product's high half xor its low one.
WEIR_AVX512_INLINE __m512i folded_product(__m512i a, __m512i b) noexcept {
    const __m512i a_high = _mm512_srli_epi64(a, 32), b_high = _mm512_srli_epi64(b, 32);
    const __m512i low = _mm512_mul_epu32(a, b), high = _mm512_mul_epu32(a_high, b_high);
    const __m512i cross1 = _mm512_mul_epu32(a, b_high), cross2 = _mm512_mul_epu32(a_high, b);
    const __m512i ones = all64(0xffff'ffff);
    const __m512i middle = _mm512_add_epi64(
        _mm512_srli_epi64(low, 32), _mm512_add_epi64(both(cross1, ones), both(cross2, ones)));
    const __m512i carried = _mm512_add_epi64(
        _mm512_add_epi64(high, _mm512_srli_epi64(middle, 32)),
        _mm512_add_epi64(_mm512_srli_epi64(cross1, 32), _mm512_srli_epi64(cross2, 32)));
    return _mm512_xor_si512(carried, either(both(low, ones), _mm512_slli_epi64(middle, 32)));
}

inline const __m128i* row_at(const void* at) noexcept {
    return static_cast<const __m128i*>(at);
}

// Of sixteen rows row(i) of 16 bytes, and of those that follow them, `count` of each: part[r][j]
// has number r of rows j, j + 4, j + 8 and j + 12.
template <std::size_t count, typename Row>
WEIR_AVX512_INLINE void load_rows(const Row& row, __m512i (&part)[count][4]) noexcept {
#pragma GCC unroll 4
    for (std::size_t j = 0; j < 4; ++j) {
        const __m128i* const from[4] = {row(j), row(j + 4), row(j + 8), row(j + 12)};
#pragma GCC unroll 3
        for (std::size_t r = 0; r < count; ++r) {
            part[r][j] = _mm512_castsi128_si512(_mm_loadu_si128(from[0] + r));
            part[r][j] = _mm512_inserti32x4(part[r][j], _mm_loadu_si128(from[1] + r), 1);
            part[r][j] = _mm512_inserti32x4(part[r][j], _mm_loadu_si128(from[2] + r), 2);
            part[r][j] = _mm512_inserti32x4(part[r][j], _mm_loadu_si128(from[3] + r), 3);
        }
        // Or gcc loads all rows first, and has no registers to hold them.
        asm volatile("" ::: "memory");
    }
}

// Such parts turned: lane i of word[w] is word w of row i. Words as the machine reads them.
WEIR_AVX512_INLINE void turn_parts(const __m512i (&part)[4], __m512i (&word)[4]) noexcept {
    const __m512i low01 = _mm512_unpacklo_epi32(part[0], part[1]);
    const __m512i low23 = _mm512_unpacklo_epi32(part[2], part[3]);
    const __m512i high01 = _mm512_unpackhi_epi32(part[0], part[1]);
    const __m512i high23 = _mm512_unpackhi_epi32(part[2], part[3]);
    word[0] = _mm512_unpacklo_epi64(low01, low23);
    word[1] = _mm512_unpackhi_epi64(low01, low23);
    word[2] = _mm512_unpacklo_epi64(high01, high23);
    word[3] = _mm512_unpackhi_epi64(high01, high23);
}

// The words of sixteen rows, and of those that follow them.
template <typename Row, typename... Words>
WEIR_AVX512_INLINE void turn(const Row& row, Words&... words) noexcept {
    __m512i part[sizeof...(words)][4];
    load_rows(row, part);
    std::size_t r = 0;
    (turn_parts(part[r++], words), ...);
}

}  // namespace weir::lanes

#endif
