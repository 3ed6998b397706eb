// SPDX-License-Identifier: BSD-3-Clause
// steer() of untagged packets with ports, sixteen at once.
#include <algorithm>

#include "lib/dataplane/frame_lines.hh"
#include "lib/dataplane/lanes.hh"
#include "lib/dataplane/lanes_avx512.hh"
#include "lib/flow/owner.hh"

namespace weir::lanes {

#if defined(__x86_64__)

namespace {

// Bytes 12..27 of the frame: EtherType, then the IPv4 header up to TTL, protocol and the checksum,
// or the IPv6 header with its next header in byte 20. Bytes 22..37 of IPv4: TTL, protocol and
// checksum, then both addresses, then both ports. Of IPv6, 22..37 and 38..53 are the addresses, and
// 42..57 end in the ports.
constexpr std::size_t type_at = 12, v4_at = 22, source_v6_at = 22, destination_v6_at = 38,
                      ports_v6_at = 42;
static_assert(v4_at + 16 == steer_bytes_v4 && ports_v6_at + 16 == steer_bytes_v6);
using Words = __m512i[4];  // of sixteen packets

// Sixteen flows, in halves of eight.
struct Flows {
    __m512i addresses[2];  // the sum of their terms
    __m512i rest[2];       // the last of FlowWords
};

WEIR_AVX512_INLINE __m512i nh_terms(__m512i words, __m512i keys) noexcept {
    const __m512i sums = _mm512_add_epi32(words, keys);
    return _mm512_mul_epu32(sums, _mm512_srli_epi64(sums, 32));
}

WEIR_AVX512_INLINE __m256i owners_of(__m512i addresses, __m512i rest, std::uint32_t workers,
                                     const OwnerKeys& keys) noexcept {
    const __m512i sum = _mm512_add_epi64(addresses, _mm512_mullo_epi64(rest, all64(keys.rest)));
    const __m512i spread =
        _mm512_mullo_epi64(_mm512_xor_si512(sum, _mm512_srli_epi64(sum, 32)), all64(keys.last));
    const __m512i scaled = _mm512_mul_epu32(_mm512_srli_epi64(spread, 32), all64(workers));
    return _mm512_cvtepi64_epi32(_mm512_srli_epi64(scaled, 32));
}

// Of those flows that `mine` has.
WEIR_AVX512_INLINE void put_owners(const Flows& flows, std::uint32_t workers, const OwnerKeys& keys,
                                   __mmask16 mine, std::uint32_t* owners) noexcept {
    const __m256i low = owners_of(flows.addresses[0], flows.rest[0], workers, keys);
    const __m256i high = owners_of(flows.addresses[1], flows.rest[1], workers, keys);
    _mm512_mask_storeu_epi32(owners, mine,
                             _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1));
}

// `ports` as on the wire.
WEIR_AVX512_INLINE void set_rest(__m512i ports, __m512i protocol, Family family,
                                 Flows& flows) noexcept {
    ports = swap16(ports);
    const __m512i kind = either(protocol, all(static_cast<std::uint32_t>(family) << 8));
    flows.rest[0] = either(low_half(ports), _mm512_slli_epi64(low_half(kind), 32));
    flows.rest[1] = either(high_half(ports), _mm512_slli_epi64(high_half(kind), 32));
}

WEIR_AVX512_INLINE __mmask16 has_ports(__m512i protocol) noexcept {
    return _mm512_cmpeq_epu32_mask(protocol, all<proto_tcp>()) |
           _mm512_cmpeq_epu32_mask(protocol, all<proto_udp>());
}

// IPv4 without options, TCP or UDP, and not a fragment: where such a packet has no ports, it is
// broken.
WEIR_AVX512_INLINE __mmask16 read_ipv4(const std::uint8_t* const* frames, const Words& type,
                                       const OwnerKeys& keys, Flows& flows) noexcept {
    Words words;
    turn([frames](std::size_t i) { return row_at(frames[i] + v4_at); }, words);
    const __m512i source = all64(keys.source), destination = all64(keys.destination);
    const __m512i none = all64(nh_term(0, keys.source_rest) + nh_term(0, keys.destination_rest));
    flows.addresses[0] =
        _mm512_add_epi64(nh_terms(low_half(words[1]), source),
                         _mm512_add_epi64(nh_terms(low_half(words[2]), destination), none));
    flows.addresses[1] =
        _mm512_add_epi64(nh_terms(high_half(words[1]), source),
                         _mm512_add_epi64(nh_terms(high_half(words[2]), destination), none));
    const __m512i protocol = both(_mm512_srli_epi32(words[0], 8), all<0xff>());
    set_rest(words[3], protocol, Family::v4, flows);
    // EtherType 0x0800, then version 4 and five words, as the machine reads them.
    const __mmask16 good =
        _mm512_testn_epi32_mask(_mm512_xor_si512(type[0], all<0x45'0008>()), all<0xff'ffff>());
    return _mm512_mask_testn_epi32_mask(good, type[2], all<0xff3f>()) & has_ports(protocol);
}

WEIR_AVX512_INLINE __m512i pair(std::uint64_t first, std::uint64_t second) noexcept {
    return _mm512_broadcast_i64x2(
        _mm_set_epi64x(static_cast<long long>(second), static_cast<long long>(first)));
}

// The terms of both addresses: rows stay rows, as the words of an address lie side by side.
WEIR_AVX512_INLINE void add_addresses(const std::uint8_t* const* frames, const OwnerKeys& keys,
                                      Flows& flows) noexcept {
    static_assert(destination_v6_at == source_v6_at + 16);
    Words rows[2], both_words;
    load_rows([frames](std::size_t i) { return row_at(frames[i] + source_v6_at); }, rows);
    const Words &source = rows[0], &destination = rows[1];
    const __m512i source_keys = pair(keys.source, keys.source_rest);
    const __m512i destination_keys = pair(keys.destination, keys.destination_rest);
#pragma GCC unroll 4
    for (std::size_t j = 0; j < 4; ++j)
        both_words[j] = _mm512_add_epi64(nh_terms(source[j], source_keys),
                                         nh_terms(destination[j], destination_keys));
    // Packets 0, 1, 4, 5, 8 and so on; and 2, 3, 6, 7.
    const __m512i even = _mm512_add_epi64(_mm512_unpacklo_epi64(both_words[0], both_words[1]),
                                          _mm512_unpackhi_epi64(both_words[0], both_words[1]));
    const __m512i odd = _mm512_add_epi64(_mm512_unpacklo_epi64(both_words[2], both_words[3]),
                                         _mm512_unpackhi_epi64(both_words[2], both_words[3]));
    flows.addresses[0] =
        _mm512_permutex2var_epi64(even, _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), odd);
    flows.addresses[1] =
        _mm512_permutex2var_epi64(even, _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15), odd);
}

// IPv6 with TCP or UDP behind its header.
WEIR_AVX512_INLINE __mmask16 read_ipv6(const std::uint8_t* const* frames, const Words& type,
                                       const OwnerKeys& keys, Flows& flows) noexcept {
    add_addresses(frames, keys, flows);
    Words words;
    turn([frames](std::size_t i) { return row_at(frames[i] + ports_v6_at); }, words);
    const __m512i protocol = both(type[2], all<0xff>());
    set_rest(words[3], protocol, Family::v6, flows);
    return has_ports(protocol);
}

// Sixteen frames; those whose owner is set.
WEIR_AVX512_INLINE __mmask16 steer_group(const std::uint8_t* const* frames, bool ipv6,
                                         std::uint32_t workers, const OwnerKeys& keys,
                                         std::uint32_t* owners) noexcept {
    Words type;
    turn([frames](std::size_t i) { return row_at(frames[i] + type_at); }, type);
    // EtherType 0x86dd, then version 6.
    __mmask16 six = 0, four = 0;
    if (ipv6)
        six =
            _mm512_testn_epi32_mask(_mm512_xor_si512(type[0], all<0x60'dd86>()), all<0xf0'ffff>());
    Flows flows;
    if (six != all_lanes) {
        four = read_ipv4(frames, type, keys, flows);
        put_owners(flows, workers, keys, four, owners);
    }
    if (six != 0) {
        six &= read_ipv6(frames, type, keys, flows);
        put_owners(flows, workers, keys, six, owners);
    }
    return four | six;
}

}  // namespace

WEIR_AVX512 BurstMask steer(std::span<const std::uint8_t* const> frames, bool ipv6,
                            std::uint32_t workers, const HashSecret& secret,
                            std::span<std::uint32_t, max_burst> owners) noexcept {
    const OwnerKeys keys = owner_keys(secret);
    BurstMask known = 0;
    for (std::size_t first = 0; first < frames.size(); first += group_size) {
        for (std::size_t i = first + group_size;
             i < std::min(frames.size(), first + 2 * group_size); ++i)
            ask_to_write(frames[i]);
        const std::size_t left = frames.size() - first;
        const std::uint8_t* const* group = frames.data() + first;
        const std::uint8_t* last[group_size];
        if (left < group_size) {
            if (left < fewest) break;
            std::copy_n(group, left, last);
            std::fill_n(last + left, group_size - left, group[left - 1]);
            group = last;
        }
        const __mmask16 good = steer_group(group, ipv6, workers, keys, owners.data() + first);
        known |= BurstMask{good} << first;
    }
    return known & first_bits(frames.size());
}

#else

BurstMask steer(std::span<const std::uint8_t* const>, bool, std::uint32_t, const HashSecret&,
                std::span<std::uint32_t, max_burst>) noexcept {
    return 0;
}

#endif

}  // namespace weir::lanes
