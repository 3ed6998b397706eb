// SPDX-License-Identifier: BSD-3-Clause
// Where the connection table looks for a flow: two buckets and a tag from its hash, and the
// comparison of the 16 tags in them. Internal to FlowTable; apart from it to be tested alone.
#pragma once

#include <cstdint>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace weir {

inline constexpr unsigned tags_per_bucket = 8;

struct Placement {
    std::uint32_t first, second;  // bucket numbers below the count; may be the same
    std::uint16_t tag;            // never 0, which marks a free slot
};

// The owner worker was chosen by bits 32..63, so within one worker these fill only a part of their
// range; bits 0..31 are uniform. The first bucket comes from the latter. The second comes from the
// upper half of a product, in which the part of bits 32..63 is spread over the whole range again by
// an odd factor. The tag takes the low ends of both, of which either bucket leaves one unknown.
[[nodiscard]] constexpr Placement placement(std::uint64_t hash, std::uint32_t buckets) noexcept {
    const auto low = static_cast<std::uint32_t>(hash);
    const auto remixed = static_cast<std::uint32_t>((hash * 0x9e3779b97f4a7c15u) >> 32);
    const auto tag = static_cast<std::uint16_t>(remixed ^ low);
    // A multiply-shift scales 32 bits to the count; their high ends decide.
    return {static_cast<std::uint32_t>((std::uint64_t{low} * buckets) >> 32),
            static_cast<std::uint32_t>((std::uint64_t{remixed} * buckets) >> 32),
            tag != 0 ? tag : std::uint16_t{1}};
}

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
