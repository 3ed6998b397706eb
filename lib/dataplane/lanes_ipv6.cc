// SPDX-License-Identifier: BSD-3-Clause
// plain.hh's reading of untagged IPv6 frames, the service, and the flow's name, in lanes.
#include "lib/dataplane/lanes_packet.hh"

#if defined(__x86_64__)

namespace weir::lanes {

namespace {

// Up to a TCP header, which plain.hh wants whole.
constexpr std::uint32_t needed = ip_at + sizeof(Ipv6Header) + sizeof(TcpHeader);

// Eight addresses: their first and their second eight bytes, as the machine reads them.
struct Halves {
    __m512i low, high;
};

// Of the frame: bytes 0..15 and 16..31, both addresses of packets 0..7 and 8..15, and the 16 bytes
// from the ports on.
struct Rows {
    __m512i start[4], ip[4], transport[4];
    Halves source[2], destination[2];
};
constexpr std::size_t source_at = ip_at + offsetof(Ipv6Header, source);
constexpr std::size_t destination_at = ip_at + offsetof(Ipv6Header, destination);
constexpr std::size_t transport_at = ip_at + sizeof(Ipv6Header);

// Those `at` this place of sixteen frames. Rows of 16 bytes are turned by pairs of words here, and
// lie so that the lanes come out in order.
WEIR_AVX512_INLINE void load_addresses(const Packet* packets, std::size_t at,
                                       Halves (&address)[2]) noexcept {
#pragma GCC unroll 2
    for (std::size_t half = 0; half < 2; ++half) {
        __m512i part[2];  // packets of even number, of odd number
#pragma GCC unroll 2
        for (std::size_t odd = 0; odd < 2; ++odd) {
            const Packet* const from = packets + 8 * half + odd;
            const auto row = [&](std::size_t i) { return row_at(from[i].data + at); };
            part[odd] = _mm512_castsi128_si512(_mm_loadu_si128(row(0)));
            part[odd] = _mm512_inserti32x4(part[odd], _mm_loadu_si128(row(2)), 1);
            part[odd] = _mm512_inserti32x4(part[odd], _mm_loadu_si128(row(4)), 2);
            part[odd] = _mm512_inserti32x4(part[odd], _mm_loadu_si128(row(6)), 3);
        }
        address[half] = {_mm512_unpacklo_epi64(part[0], part[1]),
                         _mm512_unpackhi_epi64(part[0], part[1])};
    }
}

// Eight sources that are neither the destination nor multicast, which begin with ff. Of those that
// begin with 0 some are martian.
WEIR_AVX512_INLINE unsigned are_clients(const Halves& source, const Halves& destination) noexcept {
    const __m512i differ = either(_mm512_xor_si512(source.low, destination.low),
                                  _mm512_xor_si512(source.high, destination.high));
    const __m512i first = _mm512_sub_epi64(both(source.low, all64(0xff)), all64(1));
    const __mmask8 good = _mm512_test_epi64_mask(differ, differ);
    return _mm512_mask_cmplt_epu64_mask(good, first, all64(0xfe));
}

WEIR_AVX512_INLINE __mmask16 read_ip(const Rows& rows, const Outside& outside,
                                     Fields& fields) noexcept {
    fields.ip_length =
        _mm512_add_epi32(_mm512_srli_epi32(swap16(rows.ip[0]), 16), all<sizeof(Ipv6Header)>());
    // Half of it in each of the header's first two bytes.
    fields.traffic_class = either(both(_mm512_srli_epi32(rows.start[3], 12), all<0xf0>()),
                                  _mm512_srli_epi32(rows.start[3], 28));
    fields.protocol = both(rows.ip[1], all<0xff>());

    const unsigned low = are_clients(rows.source[0], rows.destination[0]);
    const unsigned high = are_clients(rows.source[1], rows.destination[1]);
    auto good = static_cast<__mmask16>(low | high << 8);
    good =
        _mm512_mask_cmpgt_epu32_mask(good, both(rows.ip[1], all<0xff00>()), all<0x1ff>());  // hops
    good = _mm512_mask_cmple_epu32_mask(good, fields.ip_length,
                                        _mm512_sub_epi32(outside.length, all<ip_at>()));
    return _mm512_mask_cmple_epu32_mask(good, fields.ip_length, all<0xffff>());
}

// Two slots of the index, each four words of 8 bytes: low, high, rest, hit.
WEIR_AVX512_INLINE __m512i two_slots(const std::byte* slots, std::uint64_t at,
                                     std::uint64_t other) noexcept {
    const auto* const first = reinterpret_cast<const __m256i*>(slots + at);
    const auto* const second = reinterpret_cast<const __m256i*>(slots + other);
    return _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_loadu_si256(first)),
                              _mm256_loadu_si256(second), 1);
}

// Eight of them: lane i of word[w] is word w of slot i.
WEIR_AVX512_INLINE void load_slots(const std::byte* slots, __m512i numbers,
                                   __m512i (&word)[4]) noexcept {
    alignas(64) std::uint64_t at[8];
    _mm512_store_si512(at, _mm512_slli_epi64(numbers, 5));
    const __m512i part[] = {two_slots(slots, at[0], at[2]), two_slots(slots, at[1], at[3]),
                            two_slots(slots, at[4], at[6]), two_slots(slots, at[5], at[7])};
    const __m512i low0 = _mm512_unpacklo_epi64(part[0], part[1]);
    const __m512i low4 = _mm512_unpacklo_epi64(part[2], part[3]);
    const __m512i high0 = _mm512_unpackhi_epi64(part[0], part[1]);
    const __m512i high4 = _mm512_unpackhi_epi64(part[2], part[3]);
    word[0] = _mm512_shuffle_i64x2(low0, low4, 0x88);
    word[1] = _mm512_shuffle_i64x2(high0, high4, 0x88);
    word[2] = _mm512_shuffle_i64x2(low0, low4, 0xdd);
    word[3] = _mm512_shuffle_i64x2(high0, high4, 0xdd);
}

// Those whose service is in the slot of the index where it is looked for first. `rest`: port, and
// protocol above it.
WEIR_AVX512_INLINE unsigned find_services(const ServiceIndex::SinglesV6& index,
                                          const Halves& address, __m512i rest,
                                          __m512i& hits) noexcept {
    const __m512i mixed =
        _mm512_mullo_epi64(_mm512_xor_si512(address.low, _mm512_slli_epi64(rest, 32)),
                           all64(ServiceIndex::first_factor));
    const __m512i spread =
        _mm512_xor_si512(_mm512_xor_si512(mixed, _mm512_srli_epi64(mixed, 32)), address.high);
    const __m512i slots = _mm512_srl_epi64(_mm512_mullo_epi64(spread, all64(index.factor)),
                                           _mm_cvtsi32_si128(static_cast<int>(index.shift)));
    __m512i found[4];
    load_slots(index.slots, slots, found);
    hits = found[3];
    __mmask8 same = _mm512_cmpeq_epu64_mask(found[0], address.low);
    same = _mm512_mask_cmpeq_epu64_mask(same, found[1], address.high);
    return _mm512_mask_cmpeq_epu64_mask(same, found[2], rest);
}

// The names of eight clients, the burst's from `at` on. WideFormat::mixed() says what is mixed.
template <bool mixed>
WEIR_AVX512_INLINE void put_clients(const WideTable::Lines& table, const Halves& client,
                                    __m512i ports, FlowBurst& burst, std::size_t at,
                                    unsigned mine) noexcept {
    const __m512i tweak =
        folded_product(_mm512_xor_si512(client.low, all64(table.mix.tweak_word(0))),
                       _mm512_xor_si512(ports, all64(table.mix.tweak_word(1))));
    put_names<mixed>(table, mixed_key(table.mix, _mm512_xor_si512(client.high, tweak)), burst, at,
                     mine);
    put64<mixed>(burst.rest_clients + at, client.low, mine);
    put64<mixed>(burst.rest_ports + at, ports, mine);
}

template <bool mixed>
WEIR_AVX512_INLINE void put(const Fields& fields, const Halves (&source)[2],
                            const __m512i (&hits)[2], const Group& group, __mmask16 mine) noexcept {
    put_fields<mixed>(fields, hits, Family::v6, FlowName::Kind::wide, group, mine);
    const WideTable::Lines table = group.flows.wide_lines();
    const __m512i ports = client_ports(hits, fields.ports);
    put_clients<mixed>(table, source[0], low_half(ports), group.burst, group.first, mine);
    put_clients<mixed>(table, source[1], high_half(ports), group.burst, group.first + 8, mine >> 8);
}

}  // namespace

WEIR_AVX512 __mmask16 receive_ipv6(const Group& group, const Outside& outside) noexcept {
    const Packet* const packets = with_headers(group, outside, needed);
    Rows rows;
    turn([packets](std::size_t i) { return row_at(packets[i].data); }, rows.start, rows.ip);
    load_addresses(packets, source_at, rows.source);
    load_addresses(packets, destination_at, rows.destination);
    turn([packets](std::size_t i) { return row_at(packets[i].data + transport_at); },
         rows.transport);

    Fields fields;
    // EtherType 0x86dd, then version 6, as the machine reads them.
    __mmask16 good =
        outside.usable & ~group.done &
        is_link(rows.start, group.tables.ports[index(group.port)], 0x60'dd86, 0xf0'ffff);
    good &= read_ip(rows, outside, fields);
    fields.ports = swap32(rows.transport[0]);
    const __m512i payload = _mm512_sub_epi32(fields.ip_length, all<sizeof(Ipv6Header)>());
    // TCP's header length and flags are the low half of the fourth word.
    good &= read_transport<Family::v6>(rows.transport[1], _mm512_slli_epi32(rows.transport[3], 16),
                                       payload, fields);

    const ServiceIndex::SinglesV6 services = group.tables.index.singles_v6();
    const __m512i rest = either(low16(fields.ports), _mm512_slli_epi32(fields.protocol, 16));
    __m512i hits[2];
    const unsigned low = find_services(services, rows.destination[0], low_half(rest), hits[0]);
    const unsigned high = find_services(services, rows.destination[1], high_half(rest), hits[1]);
    good &= static_cast<__mmask16>(low | high << 8);
    if (good == 0) return 0;

    if (group.done == 0) [[likely]]
        put<false>(fields, rows.source, hits, group, good);
    else
        put<true>(fields, rows.source, hits, group, good);
    return good;
}

}  // namespace weir::lanes

#endif
