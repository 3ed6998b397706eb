// SPDX-License-Identifier: BSD-3-Clause
// What reading IPv4 and IPv6 packets in lanes have in common. Internal to lanes.hh.
#pragma once

#include "lib/dataplane/lanes_avx512.hh"

#if defined(__x86_64__)

#include <algorithm>
#include <cstring>

#include "lib/wire/headers.hh"
#include "lib/wire/parse.hh"

namespace weir::lanes {

inline constexpr std::uint32_t ip_at = ethernet_length;

// Sixteen packets, to be the burst's from `first` on.
struct Group {
    const Tables& tables;
    const FlowTable& flows;
    FlowBurst& burst;
    std::size_t first;
    const Packet* packets;
    PortId port;         // of the first packet of the burst
    __mmask16 done = 0;  // received already
};

// What the NIC and the adapter say of them.
struct Outside {
    __m512i contiguous, length;
    __mmask16 usable;   // came in by the group's port
    __mmask16 vouched;  // the NIC found the sum of the IPv4 header good
    __mmask16 refuted;  // or bad
};
static_assert(offsetof(Packet, contiguous) == 8 && offsetof(Packet, length) == 12 &&
              offsetof(Packet, port) == 18 && offsetof(Packet, ip_checksum) == 19 &&
              sizeof(Packet) == 24);

WEIR_AVX512_INLINE Outside outside_of(const Group& group) noexcept {
    __m512i word[4];
    turn([&](std::size_t i) { return row_at(&group.packets[i].contiguous); }, word);
    const __m512i checksum = _mm512_srli_epi32(word[2], 24);
    Outside result;
    result.contiguous = word[0];
    result.length = word[1];
    result.usable = _mm512_cmpeq_epu32_mask(both(_mm512_srli_epi32(word[2], 16), all<0xff>()),
                                            all(index(group.port)));
    result.refuted =
        _mm512_cmpeq_epu32_mask(checksum, all<static_cast<std::uint32_t>(NicChecksum::bad)>());
    result.vouched =
        _mm512_cmpeq_epu32_mask(checksum, all<static_cast<std::uint32_t>(NicChecksum::good)>());
    return result;
}

// The group's packets, with zeros instead of frames that do not have `needed` bytes at once: these
// are not plain.
WEIR_AVX512_INLINE const Packet* with_headers(const Group& group, const Outside& outside,
                                              std::uint32_t needed) noexcept {
    static constexpr std::uint8_t no_frame[96] = {};
    const __mmask16 whole = _mm512_cmpge_epu32_mask(outside.contiguous, all(needed));
    if (whole == all_lanes) [[likely]]
        return group.packets;
    Packet* const spare = group.burst.spare[1];
    std::copy_n(group.packets, group_size, spare);
    for (std::size_t i = 0; i < group_size; ++i)
        if ((whole >> i & 1) == 0) spare[i].data = const_cast<std::uint8_t*>(no_frame);
    return spare;
}

// To this port, and not from it; `type` in those bits of the EtherType and of the two bytes behind
// it that `care` has. `start`: bytes 0..15 of the frame.
WEIR_AVX512_INLINE __mmask16 is_link(const __m512i (&start)[4], const PortTable& port,
                                     std::uint32_t type, std::uint32_t care) noexcept {
    std::uint32_t own, from_high;
    std::uint16_t own_rest;
    std::memcpy(&own, port.mac.bytes.data(), 4);
    std::memcpy(&own_rest, port.mac.bytes.data() + 4, 2);
    std::memcpy(&from_high, port.mac.bytes.data() + 2, 4);
    const std::uint32_t from_low = own & 0xffff;

    __mmask16 good = _mm512_testn_epi32_mask(_mm512_xor_si512(start[3], all(type)), all(care));
    good = _mm512_mask_cmpeq_epu32_mask(good, start[0], all(own));
    good = _mm512_mask_testn_epi32_mask(good, _mm512_xor_si512(start[1], all(own_rest)),
                                        all<0xffff>());
    const __m512i from = either(_mm512_xor_si512(_mm512_srli_epi32(start[1], 16), all(from_low)),
                                _mm512_xor_si512(start[2], all(from_high)));
    return _mm512_mask_test_epi32_mask(good, from, from);
}

// PacketMeta of sixteen packets.
struct Fields {
    __m512i ports, protocol, ip_length, traffic_class, tcp_flags;
};

// Sets `tcp_flags`. `udp`: the word with UDP's length and checksum. `tcp`: the one whose high half
// is TCP's header length and flags. `payload`: bytes behind the IP header, signed. `protocol` is
// set.
template <Family family>
WEIR_AVX512_INLINE __mmask16 read_transport(__m512i udp, __m512i tcp, __m512i payload,
                                            Fields& fields) noexcept {
    const __mmask16 is_tcp = _mm512_cmpeq_epu32_mask(fields.protocol, all<proto_tcp>());
    const __m512i header = both(_mm512_srli_epi32(tcp, 18), all<0x3c>());
    fields.tcp_flags = _mm512_maskz_srli_epi32(is_tcp, tcp, 24);
    const __mmask16 urgent = _mm512_test_epi32_mask(fields.tcp_flags, all<32>());
    const __m512i contradictions =
        _mm512_mask_blend_epi32(urgent, all<static_cast<std::uint32_t>(tcp_contradictions)>(),
                                all<static_cast<std::uint32_t>(tcp_contradictions >> 32)>());
    const __m512i contradicts =
        _mm512_srlv_epi32(contradictions, both(fields.tcp_flags, all<31>()));
    __mmask16 tcp_good = _mm512_mask_cmpge_epu32_mask(is_tcp, header, all<sizeof(TcpHeader)>());
    tcp_good = _mm512_mask_cmple_epi32_mask(tcp_good, header, payload);
    tcp_good = _mm512_mask_testn_epi32_mask(tcp_good, contradicts, all<1>());

    const __m512i claimed = low16(swap16(udp));
    __mmask16 udp_good = _mm512_cmpeq_epu32_mask(fields.protocol, all<proto_udp>());
    udp_good = _mm512_mask_cmpge_epu32_mask(udp_good, claimed, all<sizeof(UdpHeader)>());
    udp_good = _mm512_mask_cmple_epi32_mask(udp_good, claimed, payload);
    if (family == Family::v6)  // the checksum is not optional
        udp_good = _mm512_mask_test_epi32_mask(udp_good, udp, all<0xffff'0000>());
    return tcp_good | udp_good;
}

// Where both families are in one group, the second one keeps the lanes of the first.
template <bool mixed>
WEIR_AVX512_INLINE void put64(void* at, __m512i words, unsigned mine) noexcept {
    if constexpr (mixed)
        words = _mm512_mask_blend_epi64(static_cast<__mmask8>(mine), _mm512_load_si512(at), words);
    _mm512_store_si512(at, words);
}
template <bool mixed>
WEIR_AVX512_INLINE void put_words(void* at, __m512i words, __mmask16 mine) noexcept {
    if constexpr (mixed) words = _mm512_mask_blend_epi32(mine, _mm512_load_si512(at), words);
    _mm512_store_si512(at, words);
}
template <bool mixed>
WEIR_AVX512_INLINE void put_halves(void* at, __m512i words, __mmask16 mine) noexcept {
    auto* const to = static_cast<__m256i*>(at);
    __m256i halves = _mm512_cvtepi32_epi16(words);
    if constexpr (mixed) halves = _mm256_mask_blend_epi16(mine, _mm256_load_si256(to), halves);
    _mm256_store_si256(to, halves);
}
template <bool mixed>
WEIR_AVX512_INLINE void put_bytes(void* at, __m512i words, __mmask16 mine) noexcept {
    auto* const to = static_cast<__m128i*>(at);
    __m128i bytes = _mm512_cvtepi32_epi8(words);
    if constexpr (mixed) bytes = _mm_mask_blend_epi8(mine, _mm_load_si128(to), bytes);
    _mm_store_si128(to, bytes);
}

template <bool mixed>
WEIR_AVX512_INLINE void put_fields(const Fields& fields, const __m512i (&hits)[2], Family family,
                                   FlowName::Kind kind, const Group& group,
                                   __mmask16 mine) noexcept {
    FlowBurst& burst = group.burst;
    const std::size_t first = group.first;
    put64<mixed>(burst.services + first, hits[0], mine);
    put64<mixed>(burst.services + first + 8, hits[1], mine >> 8);
    put_words<mixed>(burst.ports + first, fields.ports, mine);
    put_halves<mixed>(burst.l3_offsets + first, all<ip_at>(), mine);
    put_halves<mixed>(burst.ip_lengths + first, fields.ip_length, mine);
    put_bytes<mixed>(burst.protocols + first, fields.protocol, mine);
    put_bytes<mixed>(burst.traffic_classes + first, fields.traffic_class, mine);
    put_bytes<mixed>(burst.tcp_flags + first, fields.tcp_flags, mine);
    put_bytes<mixed>(burst.families + first, all(static_cast<std::uint32_t>(family)), mine);
    put_bytes<mixed>(burst.kinds + first, all(static_cast<std::uint32_t>(kind)), mine);
}

// KeyMix::mix() of eight words.
WEIR_AVX512_INLINE __m512i mixed_key(const KeyMix& mix, __m512i word) noexcept {
    for (std::size_t i = 0; i < KeyMix::rounds; ++i) {
        if (i != 0) word = _mm512_xor_si512(word, _mm512_srli_epi64(word, 32));
        word = _mm512_mullo_epi64(_mm512_xor_si512(word, all64(mix.add(i))), all64(mix.factor(i)));
    }
    return word;
}

// LineTable::name() of eight mixed keys, the burst's from `at` on.
template <bool mixed, typename Lines>
WEIR_AVX512_INLINE void put_names(const Lines& table, __m512i keys, FlowBurst& burst,
                                  std::size_t at, unsigned mine) noexcept {
    const __m512i lines = all64(table.count);
    const __m512i low = _mm512_srli_epi64(_mm512_mul_epu32(keys, lines), 32);
    const __m512i high = _mm512_mul_epu32(_mm512_srli_epi64(keys, 32), lines);
    const __m512i home = _mm512_srli_epi64(_mm512_add_epi64(low, high), 32);
    const __m512i remnant = _mm512_sub_epi64(keys, _mm512_mullo_epi64(home, all64(table.stride)));
    put64<mixed>(burst.wanted + at, _mm512_slli_epi64(remnant, remnant_shift), mine);
    auto* const homes = reinterpret_cast<__m256i*>(burst.homes + at);
    __m256i words = _mm512_cvtepi64_epi32(home);
    if constexpr (mixed)
        words =
            _mm256_mask_blend_epi32(static_cast<__mmask8>(mine), _mm256_load_si256(homes), words);
    _mm256_store_si256(homes, words);
}

// The endpoints of hits, each in a lane of 32 bits: a hit's third 16 bits, and its id above.
WEIR_AVX512_INLINE __m512i endpoints_of(const __m512i (&hits)[2]) noexcept {
    return _mm512_inserti64x4(
        _mm512_castsi256_si512(_mm512_cvtepi64_epi32(_mm512_srli_epi64(hits[0], 32))),
        _mm512_cvtepi64_epi32(_mm512_srli_epi64(hits[1], 32)), 1);
}
// A client's port above its endpoint: the low word of a narrow key, and the ports of a wide one.
WEIR_AVX512_INLINE __m512i client_ports(const __m512i (&hits)[2], __m512i ports) noexcept {
    return _mm512_mask_blend_epi16(0xaaaaaaaa, endpoints_of(hits), ports);
}

// Those that are plain, for a service and not done, in lanes_ipv4.cc and lanes_ipv6.cc.
WEIR_AVX512 __mmask16 receive_ipv4(const Group& group, const Outside& outside) noexcept;
WEIR_AVX512 __mmask16 receive_ipv6(const Group& group, const Outside& outside) noexcept;

}  // namespace weir::lanes

#endif
