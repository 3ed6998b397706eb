// SPDX-License-Identifier: BSD-3-Clause
// Second stage: the entries of established flows, which only need reading.
#include <array>
#include <bit>
#include <cstring>

#include "lib/dataplane/lanes.hh"
#include "lib/dataplane/lanes_avx512.hh"

namespace weir::lanes {

#if defined(__x86_64__)

namespace {

// By FlowState, a bit for each of the TCP flags' 32 values: the packet leaves the state as it is.
constexpr std::array<std::uint32_t, 4> staying = [] {
    std::array<std::uint32_t, 4> bits{};
    for (unsigned state = 0; state < 4; ++state) {
        for (unsigned flags = 0; flags < 32; ++flags) {
            const auto from = static_cast<FlowState>(state);
            const auto seen = static_cast<std::uint8_t>(flags);
            if (next_state(from, seen) == from && !reopens(from, seen)) bits[state] |= 1u << flags;
        }
    }
    return bits;
}();

// What a lookup in the home line finds, sixteen times.
struct alignas(64) Found {
    std::uint32_t keys[group_size];    // low half of the key word
    std::uint32_t values[group_size];  // value word
    std::uint32_t slots[group_size];   // line_slots: none
    std::uint32_t headers[group_size];
};

// The answer: the slot that holds `wanted`, or line_slots.
WEIR_AVX512_INLINE std::uint32_t look(const FlowLine& line, std::uint64_t wanted, Found& found,
                                      std::size_t lane) noexcept {
    const __m512i words = _mm512_load_si512(&line);
    const __mmask8 equal =
        _mm512_mask_testn_epi64_mask(static_cast<__mmask8>(line.used()),
                                     _mm512_xor_si512(words, all64(wanted)), all64(key_care));
    // A sixth slot stands for none: it is part of the line, and what it reads counts for nothing.
    const auto slot = static_cast<std::uint32_t>(std::countr_zero(equal | 1u << line_slots));
    const auto* bytes = reinterpret_cast<const std::byte*>(&line);
    std::memcpy(&found.keys[lane], bytes + offsetof(FlowLine, keys) + slot * 8, 4);
    std::memcpy(&found.values[lane], bytes + offsetof(FlowLine, values) + slot * 4, 4);
    found.slots[lane] = slot;
    found.headers[lane] = line.header;
    return slot;
}

// An IPv6 client's entry must hold the rest of the key, too. In the rare case that another one of
// the line looks alike and comes first, the flow is not settled here.
WEIR_AVX512_INLINE void look_wide(const WideTable::Lines& table, const FlowBurst& burst,
                                  std::size_t i, Found& found, std::size_t lane) noexcept {
    const std::uint32_t slot = look(table.line(burst.homes[i]), burst.wanted[i], found, lane);
    const WideFormat::Rest rest{burst.rest_clients[i],
                                static_cast<std::uint32_t>(burst.rest_ports[i])};
    if (slot == line_slots || table.companion(burst.homes[i]).holds(slot, rest)) [[likely]]
        return;
    found.slots[lane] = line_slots;
    found.headers[lane] = ~0u;  // tells nothing
}

// The group's entries. Nearly all groups are of one family, and nothing else is in them.
WEIR_AVX512_INLINE void look_up(const FlowTable& flows, const FlowBurst& burst, std::size_t first,
                                __mmask16 narrow, __mmask16 wide, Found& found) noexcept {
    const NarrowTable::Lines narrow_table = flows.narrow_lines();
    if (narrow == all_lanes) [[likely]] {
        for (std::size_t lane = 0; lane < group_size; ++lane)
            look(narrow_table.line(burst.homes[first + lane]), burst.wanted[first + lane], found,
                 lane);
        return;
    }
    const WideTable::Lines wide_table = flows.wide_lines();
    if (wide == all_lanes) {
        for (std::size_t lane = 0; lane < group_size; ++lane)
            look_wide(wide_table, burst, first + lane, found, lane);
        return;
    }
    for (std::size_t lane = 0; lane < group_size; ++lane) {
        const std::size_t i = first + lane;
        if ((wide >> lane & 1) != 0)
            look_wide(wide_table, burst, i, found, lane);
        else
            look(narrow_table.line((narrow >> lane & 1) != 0 ? burst.homes[i] : 0), burst.wanted[i],
                 found, lane);
    }
}

WEIR_AVX512_INLINE __m512i by_state(const std::array<std::uint32_t, 4>& words,
                                    __m512i states) noexcept {
    const __m128i four = _mm_loadu_si128(reinterpret_cast<const __m128i*>(words.data()));
    return _mm512_permutexvar_epi32(states, _mm512_broadcast_i32x4(four));
}

// Those found, in a state that their packet does not change, with a deadline that is not due. A
// past one always is: it lies before the earliest that may stand.
WEIR_AVX512_INLINE __mmask16 untouched(const Found& found, const std::uint8_t* tcp_flags,
                                       const Deadlines& deadlines) noexcept {
    const __m512i keys = _mm512_load_si512(found.keys);
    const __m512i values = _mm512_load_si512(found.values);
    const __m512i states = both(_mm512_srli_epi32(keys, FlowLine::expiry_low_bits), all<3>());
    const __m512i expiries = either(
        _mm512_slli_epi32(both(values, all<FlowLine::low_ones(FlowLine::expiry_high_bits)>()),
                          FlowLine::expiry_low_bits),
        both(keys, all<FlowLine::low_ones(FlowLine::expiry_low_bits)>()));
    const __m512i flags =
        both(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(tcp_flags))),
             all<31>());

    const __m512i late = both(_mm512_sub_epi32(expiries, by_state(deadlines.earliest(), states)),
                              all<expiry_mask>());
    __mmask16 good = _mm512_cmpneq_epu32_mask(_mm512_load_si512(found.slots), all<line_slots>());
    good = _mm512_mask_test_epi32_mask(good, _mm512_srlv_epi32(by_state(staying, states), flags),
                                       all<1>());
    return _mm512_mask_cmple_epu32_mask(good, late, by_state(deadlines.slack(), states));
}

WEIR_AVX512_INLINE __mmask16 missing(const Found& found) noexcept {
    return _mm512_cmpeq_epu32_mask(_mm512_load_si512(found.slots), all<line_slots>());
}

// Those `missing` in a line that tells all (LineTable::look()). The header of one from which an
// entry is displaced is greater than any limit.
WEIR_AVX512_INLINE __mmask16 absent(const Found& found, __mmask16 missing,
                                    __m512i tells_all_below) noexcept {
    return _mm512_mask_cmplt_epu32_mask(missing, _mm512_load_si512(found.headers), tells_all_below);
}

}  // namespace

WEIR_AVX512 Settled settle(const FlowTable& flows, FlowBurst& burst, const Received& received,
                           const Deadlines& deadlines) noexcept {
    const BurstMask mine = received.narrow | received.wide;
    const auto first = static_cast<std::size_t>(std::countr_zero(mine)) / group_size * group_size;
    const auto narrow = static_cast<__mmask16>(received.narrow >> first);
    const auto wide = static_cast<__mmask16>(received.wide >> first);
    Found found;
    look_up(flows, burst, first, narrow, wide, found);
    _mm512_store_si512(burst.backends + first, _mm512_srli_epi32(_mm512_load_si512(found.values),
                                                                 FlowLine::expiry_high_bits));
    const __mmask16 known = untouched(found, burst.tcp_flags + first, deadlines) & (narrow | wide);
    const __m512i limits =
        _mm512_mask_blend_epi32(wide, all(flows.narrow_tells_all_below(deadlines.now())),
                                all(flows.wide_tells_all_below(deadlines.now())));
    const __mmask16 away = missing(found) & (narrow | wide);
    const __mmask16 none = absent(found, away, limits);
    _mm512_mask_storeu_epi32(burst.places + first, none, all(LinePlace::none));
    return {.known = BurstMask{known} << first,
            .absent = BurstMask{none} << first,
            .elsewhere = BurstMask{static_cast<__mmask16>(away & ~none)} << first};
}

#else

Settled settle(const FlowTable&, FlowBurst&, const Received&, const Deadlines&) noexcept {
    return {};
}

#endif

}  // namespace weir::lanes
