// SPDX-License-Identifier: BSD-3-Clause
// Tag comparison of the connection table: which of 16 places hold a tag. Two implementations of one
// rule; a test compares them.
#pragma once

#include <cstdint>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace weir {

inline constexpr unsigned tags_per_bucket = 8;

// Bit i: first[i] == tag; bit 8 + i: second[i] == tag.
[[nodiscard]] constexpr std::uint32_t match_tags_scalar(const std::uint16_t* first,
                                                        const std::uint16_t* second,
                                                        std::uint16_t tag) noexcept {
    std::uint32_t mask = 0;
    for (unsigned i = 0; i < tags_per_bucket; ++i) {
        mask |= static_cast<std::uint32_t>(first[i] == tag) << i;
        mask |= static_cast<std::uint32_t>(second[i] == tag) << (tags_per_bucket + i);
    }
    return mask;
}

// The same, eight tags an instruction. `first` and `second` are 16-byte aligned.
[[nodiscard]] inline std::uint32_t match_tags(const std::uint16_t* first,
                                              const std::uint16_t* second,
                                              std::uint16_t tag) noexcept {
#if defined(__SSE2__)
    const __m128i wanted = _mm_set1_epi16(static_cast<short>(tag));
    const __m128i in_first =
        _mm_cmpeq_epi16(_mm_load_si128(reinterpret_cast<const __m128i*>(first)), wanted);
    const __m128i in_second =
        _mm_cmpeq_epi16(_mm_load_si128(reinterpret_cast<const __m128i*>(second)), wanted);
    return static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_packs_epi16(in_first, in_second)));
#else
    return match_tags_scalar(first, second, tag);
#endif
}

}  // namespace weir
