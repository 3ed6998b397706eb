// SPDX-License-Identifier: BSD-3-Clause
// FlowLine: one cache line of a connection table, up to five entries. Internal to LineTable.
//
//   key word    63..8 remnant of the permuted key | 7 displaced | 6..5 state | 4..0 low of expiry
//   value word  31..15 backend | 14..0 high of expiry
//   header      31..5 how many entries have this home and lie in their alternate | 4..0 used slots
//
// Remnant and home line together are the permuted key. An entry that is displaced lies in its
// alternate line, from which the table computes its home.
#pragma once

#include <cassert>
#include <cstdint>

#include "lib/flow/expiry.hh"
#include "lib/flow/tcp_state.hh"

#if defined(__SSE4_1__)
#include <smmintrin.h>
#endif

namespace weir {

inline constexpr unsigned line_slots = 5, remnant_shift = 8, backend_bits = 17;
inline constexpr std::uint64_t displaced_bit = 0x80, key_care = ~std::uint64_t{0x7f};

struct FlowValue {
    std::uint32_t backend = 0;  // stable BackendId, below 2^17
    FlowState state = FlowState::untracked;
    Expiry expiry{};
};

struct alignas(64) FlowLine {
    std::uint64_t keys[line_slots];
    std::uint32_t values[line_slots];
    std::uint32_t header;

    static constexpr unsigned expiry_low_bits = 5, expiry_high_bits = 15;
    static_assert(expiry_low_bits + expiry_high_bits == expiry_bits);
    static_assert(backend_bits + expiry_high_bits == 32);
    [[nodiscard]] static constexpr std::uint32_t low_ones(unsigned bits) noexcept {
        return (1u << bits) - 1;
    }

    [[nodiscard]] std::uint32_t used() const noexcept { return header & used_mask; }
    // Entries that a lookup which missed here finds in their alternate.
    [[nodiscard]] std::uint32_t displaced() const noexcept { return header >> line_slots; }
    void count_displaced(bool more) noexcept { header += more ? one_displaced : -one_displaced; }
    [[nodiscard]] bool may_count() const noexcept { return displaced() != ~0u >> line_slots; }

    [[nodiscard]] std::uint64_t remnant(unsigned slot) const noexcept {
        return keys[slot] >> remnant_shift;
    }
    // The key word of an entry of the same key that is not displaced.
    [[nodiscard]] std::uint64_t wanted(unsigned slot) const noexcept {
        return remnant(slot) << remnant_shift;
    }
    [[nodiscard]] bool is_displaced(unsigned slot) const noexcept {
        return (keys[slot] & displaced_bit) != 0;
    }
    [[nodiscard]] std::uint32_t backend(unsigned slot) const noexcept {
        return values[slot] >> expiry_high_bits;
    }
    [[nodiscard]] FlowState state(unsigned slot) const noexcept {
        return static_cast<FlowState>(keys[slot] >> expiry_low_bits & 3);
    }
    [[nodiscard]] Expiry expiry(unsigned slot) const noexcept {
        return Expiry{(values[slot] & low_ones(expiry_high_bits)) << expiry_low_bits |
                      static_cast<std::uint32_t>(keys[slot] & low_ones(expiry_low_bits))};
    }

    // `wanted`: remnant and displaced bit in their places, nothing else. The slot is free.
    void put(unsigned slot, std::uint64_t wanted, const FlowValue& value) noexcept {
        assert(value.backend >> backend_bits == 0);
        const auto units = static_cast<std::uint32_t>(value.expiry);
        keys[slot] = wanted | static_cast<std::uint64_t>(value.state) << expiry_low_bits |
                     (units & low_ones(expiry_low_bits));
        values[slot] = value.backend << expiry_high_bits | units >> expiry_low_bits;
        header |= 1u << slot;
    }
    void set(unsigned slot, const FlowValue& value) noexcept {
        assert(value.backend >> backend_bits == 0);
        set_time(slot, value.state, value.expiry);
        values[slot] =
            value.backend << expiry_high_bits | (values[slot] & low_ones(expiry_high_bits));
    }
    void set_time(unsigned slot, FlowState state, Expiry expiry) noexcept {
        const auto units = static_cast<std::uint32_t>(expiry);
        keys[slot] = (keys[slot] & key_care) |
                     static_cast<std::uint64_t>(state) << expiry_low_bits |
                     (units & low_ones(expiry_low_bits));
        values[slot] = (values[slot] & ~low_ones(expiry_high_bits)) | units >> expiry_low_bits;
    }
    void clear(unsigned slot) noexcept {
        keys[slot] = 0;
        values[slot] = 0;
        header &= ~(1u << slot);
    }

private:
    static constexpr std::uint32_t used_mask = (1u << line_slots) - 1;
    static constexpr std::uint32_t one_displaced = 1u << line_slots;
};
static_assert(sizeof(FlowLine) == 64);

// Bit i: slot i is in use and holds `wanted` (remnant and displaced bit in their places).
[[nodiscard]] inline std::uint32_t match_scalar(const FlowLine& line,
                                                std::uint64_t wanted) noexcept {
    std::uint32_t mask = 0;
    for (unsigned i = 0; i < line_slots; ++i)
        mask |= static_cast<std::uint32_t>(((line.keys[i] ^ wanted) & key_care) == 0) << i;
    return mask & line.used();
}

// The same, two keys an instruction. A comparison of all by AVX-512 is no faster: it must be
// called, as the rest of the program may not use it, and the call costs what it saves.
[[nodiscard]] inline std::uint32_t match(const FlowLine& line, std::uint64_t wanted) noexcept {
#if defined(__SSE4_1__)
    const __m128i care = _mm_set1_epi64x(static_cast<long long>(key_care));
    const __m128i want = _mm_set1_epi64x(static_cast<long long>(wanted));
    const auto* words = reinterpret_cast<const __m128i*>(line.keys);
    const auto equal = [&](int i) {
        return _mm_cmpeq_epi64(_mm_and_si128(_mm_load_si128(words + i), care), want);
    };
    // Four comparisons as four 32-bit lanes. The sixth word is of values and may match by chance:
    // that is bit 5, which no slot uses.
    const __m128i four = _mm_packs_epi32(equal(0), equal(1));
    const int last = _mm_movemask_pd(_mm_castsi128_pd(equal(2)));
    const auto mask =
        static_cast<std::uint32_t>(_mm_movemask_ps(_mm_castsi128_ps(four)) | last << 4);
    return mask & line.used();
#else
    return match_scalar(line, wanted);
#endif
}

// Bit i: slot i is in use and its entry has expired.
[[nodiscard]] inline std::uint32_t expired_scalar(const FlowLine& line, Tick now) noexcept {
    std::uint32_t mask = 0;
    for (unsigned i = 0; i < line_slots; ++i)
        mask |= static_cast<std::uint32_t>(is_past(line.expiry(i), now)) << i;
    return mask & line.used();
}

// The same, four entries an instruction: the 20 bits of an expiry move to the top of a lane, so
// that the sign of the difference tells.
[[nodiscard]] inline std::uint32_t expired(const FlowLine& line, Tick now) noexcept {
#if defined(__SSE4_1__)
    constexpr int high_shift = 32 - FlowLine::expiry_high_bits,
                  low_shift = 32 - FlowLine::expiry_low_bits;
    const auto* words = reinterpret_cast<const __m128*>(line.keys);
    const __m128i keys =
        _mm_castps_si128(_mm_shuffle_ps(words[0], words[1], 0x88));  // low halves of four
    const __m128i values = _mm_loadu_si128(reinterpret_cast<const __m128i*>(line.values));
    const __m128i low = _mm_srli_epi32(_mm_slli_epi32(keys, low_shift), FlowLine::expiry_high_bits);
    const __m128i expiries = _mm_or_si128(_mm_slli_epi32(values, high_shift), low);
    const auto units = static_cast<std::uint32_t>(expiry_of(now)) << (32 - expiry_bits);
    const __m128i ahead = _mm_sub_epi32(expiries, _mm_set1_epi32(static_cast<int>(units)));
    const auto four = static_cast<std::uint32_t>(_mm_movemask_ps(_mm_castsi128_ps(ahead)));
    const auto fifth = static_cast<std::uint32_t>(is_past(line.expiry(4), now));
    return (four | fifth << 4) & line.used();
#else
    return expired_scalar(line, now);
#endif
}

}  // namespace weir
