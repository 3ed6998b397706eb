// SPDX-License-Identifier: BSD-3-Clause
// plain.hh's reading of untagged IPv4 frames, the service, and the flow's name, in lanes.
#include "lib/dataplane/lanes_packet.hh"

#if defined(__x86_64__)

namespace weir::lanes {

namespace {

// Up to a TCP header, which plain.hh wants whole.
constexpr std::uint32_t needed = ip_at + sizeof(Ipv4Header) + sizeof(TcpHeader);

// Bytes 0..15, 16..31 and 32..47 of the frame: addresses and EtherType, then the IP header from its
// third byte on, then ports and TCP's first half.
struct Rows {
    __m512i start[4], ip[4], rest[4];
};

// The ten words of the IP header sum to all ones (RFC 1071).
WEIR_AVX512_INLINE __mmask16 sums_up(const Rows& rows) noexcept {
    __m512i sum = _mm512_add_epi32(_mm512_srli_epi32(rows.start[3], 16), low16(rows.rest[0]));
    for (const __m512i& word : rows.ip)
        sum = _mm512_add_epi32(sum, halves(word));
    return _mm512_cmpeq_epu32_mask(halves(halves(sum)), all<0xffff>());
}

// As the machine reads their bytes.
struct Addresses {
    __m512i source, destination;
};

WEIR_AVX512_INLINE __mmask16 read_ip(const Rows& rows, const Outside& outside, Fields& fields,
                                     Addresses& addresses) noexcept {
    addresses.source = joined(rows.ip[2], rows.ip[3]);
    addresses.destination = joined(rows.ip[3], rows.rest[0]);
    fields.ip_length = low16(swap16(rows.ip[0]));
    fields.traffic_class = _mm512_srli_epi32(rows.start[3], 24);
    fields.protocol = _mm512_srli_epi32(rows.ip[1], 24);

    const __m512i first = both(addresses.source, all<0xff>());
    __mmask16 good = _mm512_testn_epi32_mask(rows.ip[1], all<0xff3f>());  // not a fragment
    good = _mm512_mask_cmpgt_epu32_mask(good, both(rows.ip[1], all<0xff'0000>()), all<0x1'ffff>());
    good = _mm512_mask_cmpneq_epu32_mask(good, addresses.source, addresses.destination);
    good = _mm512_mask_cmplt_epu32_mask(good, _mm512_sub_epi32(first, all<1>()), all<223>());
    good = _mm512_mask_cmpneq_epu32_mask(good, first, all<127>());
    good = _mm512_mask_cmple_epu32_mask(good, fields.ip_length,
                                        _mm512_sub_epi32(outside.length, all<ip_at>()));
    return good & ~outside.refuted & (outside.vouched | sums_up(rows));
}

// Eight slots of the index, each 16 bytes: their keys, and their hits.
WEIR_AVX512_INLINE void load_slots(const std::byte* slots, __m512i numbers, __m512i& keys,
                                   __m512i& hits) noexcept {
    alignas(64) std::uint64_t at[8];
    _mm512_store_si512(at, _mm512_slli_epi64(numbers, 4));
    __m512i part[2];
#pragma GCC unroll 2
    for (std::size_t j = 0; j < 2; ++j) {
        part[j] = _mm512_castsi128_si512(_mm_loadu_si128(row_at(slots + at[j])));
        part[j] = _mm512_inserti32x4(part[j], _mm_loadu_si128(row_at(slots + at[j + 2])), 1);
        part[j] = _mm512_inserti32x4(part[j], _mm_loadu_si128(row_at(slots + at[j + 4])), 2);
        part[j] = _mm512_inserti32x4(part[j], _mm_loadu_si128(row_at(slots + at[j + 6])), 3);
    }
    keys = _mm512_unpacklo_epi64(part[0], part[1]);
    hits = _mm512_unpackhi_epi64(part[0], part[1]);
}

// Those whose service is in the slot of the index where it is looked for first. `rest`: protocol
// and port.
WEIR_AVX512_INLINE unsigned find_services(const ServiceIndex::SinglesV4& index, __m512i destination,
                                          __m512i rest, __m512i& hits) noexcept {
    const __m512i keys = either(destination, _mm512_slli_epi64(rest, 32));
    const __m512i slots = _mm512_srl_epi64(_mm512_mullo_epi64(keys, all64(index.factor)),
                                           _mm_cvtsi32_si128(static_cast<int>(index.shift)));
    __m512i found;
    load_slots(index.slots, slots, found, hits);
    return _mm512_cmpeq_epu64_mask(found, keys);
}

template <bool mixed>
WEIR_AVX512_INLINE void put(const Fields& fields, const Addresses& addresses,
                            const __m512i (&hits)[2], const Group& group, __mmask16 mine) noexcept {
    put_fields<mixed>(fields, hits, Family::v4, FlowName::Kind::narrow, group, mine);
    const NarrowTable::Lines table = group.flows.narrow_lines();
    const __m512i ports = client_ports(hits, fields.ports), source = addresses.source;
    const __m512i low = either(_mm512_slli_epi64(low_half(source), 32), low_half(ports));
    const __m512i high = either(_mm512_slli_epi64(high_half(source), 32), high_half(ports));
    put_names<mixed>(table, mixed_key(table.mix, low), group.burst, group.first, mine);
    put_names<mixed>(table, mixed_key(table.mix, high), group.burst, group.first + 8, mine >> 8);
}

}  // namespace

WEIR_AVX512 __mmask16 receive_ipv4(const Group& group, const Outside& outside) noexcept {
    const Packet* const packets = with_headers(group, outside, needed);
    Rows rows;
    turn([packets](std::size_t i) { return row_at(packets[i].data); }, rows.start, rows.ip,
         rows.rest);

    Fields fields;
    Addresses addresses;
    // EtherType 0x0800, then version 4 and five words, as the machine reads them.
    __mmask16 good =
        outside.usable & ~group.done &
        is_link(rows.start, group.tables.ports[index(group.port)], 0x45'0008, 0xff'ffff);
    good &= read_ip(rows, outside, fields, addresses);
    fields.ports = swap32(joined(rows.rest[0], rows.rest[1]));
    const __m512i payload = _mm512_sub_epi32(fields.ip_length, all<sizeof(Ipv4Header)>());
    good &= read_transport<Family::v4>(joined(rows.rest[1], rows.rest[2]), rows.rest[3], payload,
                                       fields);

    const ServiceIndex::SinglesV4 services = group.tables.index.singles_v4();
    const __m512i rest = either(low16(fields.ports), _mm512_slli_epi32(fields.protocol, 16));
    __m512i hits[2];
    const unsigned low =
        find_services(services, low_half(addresses.destination), low_half(rest), hits[0]);
    const unsigned high =
        find_services(services, high_half(addresses.destination), high_half(rest), hits[1]);
    good &= static_cast<__mmask16>(low | high << 8);
    if (good == 0) return 0;

    if (group.done == 0) [[likely]]
        put<false>(fields, addresses, hits, group, good);
    else
        put<true>(fields, addresses, hits, group, good);
    return good;
}

}  // namespace weir::lanes

#endif
