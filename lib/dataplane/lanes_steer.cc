// SPDX-License-Identifier: BSD-3-Clause
// steer() of untagged IPv4 packets, sixteen at once.
#include <algorithm>

#include "lib/dataplane/lanes.hh"
#include "lib/dataplane/lanes_avx512.hh"
#include "lib/dataplane/steer.hh"

namespace weir::lanes {

#if defined(__x86_64__)

namespace {

// Bytes 12..27 of the frame: EtherType, then the IP header up to TTL, protocol and the checksum;
// and bytes 22..37: TTL, protocol and checksum, then both addresses, then both ports.
constexpr std::size_t type_at = 12, addresses_at = 22;
static_assert(addresses_at + 16 == steer_bytes);
struct Rows {
    __m512i type[4], addresses[4];
};

// IPv4 without options, TCP or UDP, and not a fragment: where such a packet has no ports, it is
// broken.
WEIR_AVX512_INLINE __mmask16 has_ports(const Rows& rows, __m512i protocol) noexcept {
    // EtherType 0x0800, then version 4 and five words, as the machine reads them.
    __mmask16 good =
        _mm512_testn_epi32_mask(_mm512_xor_si512(rows.type[0], all(0x45'0008)), all(0xff'ffff));
    good = _mm512_mask_testn_epi32_mask(good, rows.type[2], all(0xff3f));
    const __mmask16 tcp = _mm512_cmpeq_epu32_mask(protocol, all(proto_tcp));
    return good & (tcp | _mm512_cmpeq_epu32_mask(protocol, all(proto_udp)));
}

// owner_of(flow_hash()) of eight packets. `rest`: the last of FlowWords.
WEIR_AVX512_INLINE __m256i owners_of(__m512i source, __m512i destination, __m512i rest,
                                     std::uint32_t workers, const MixSecret& secret) noexcept {
    const __m512i addresses = _mm512_xor_si512(
        folded_product(_mm512_xor_si512(source, all64(secret[0])), all64(secret[1])),
        folded_product(_mm512_xor_si512(destination, all64(secret[2])), all64(secret[3])));
    const __m512i mixed = folded_product(_mm512_xor_si512(rest, all64(secret[1])),
                                         _mm512_xor_si512(addresses, all64(secret[2])));
    const __m512i hash = folded_product(all64(pi_words[0] ^ secret[0]), mixed);
    const __m512i scaled = _mm512_mul_epu32(_mm512_srli_epi64(hash, 32), all64(workers));
    return _mm512_cvtepi64_epi32(_mm512_srli_epi64(scaled, 32));
}

// Sixteen frames; those whose owner is set.
WEIR_AVX512_INLINE __mmask16 steer_group(const std::uint8_t* const* frames, std::uint32_t workers,
                                         const HashSecret& secret, std::uint32_t* owners) noexcept {
    Rows rows;
    turn([frames](std::size_t i) { return row_at(frames[i] + type_at); }, rows.type);
    turn([frames](std::size_t i) { return row_at(frames[i] + addresses_at); }, rows.addresses);
    const __m512i source = rows.addresses[1], destination = rows.addresses[2];
    const __m512i ports = swap16(rows.addresses[3]);
    const __m512i protocol = both(_mm512_srli_epi32(rows.addresses[0], 8), all(0xff));
    const __m512i kind = either(protocol, all(static_cast<std::uint32_t>(Family::v4) << 8));
    const __m512i low = either(low_half(ports), _mm512_slli_epi64(low_half(kind), 32));
    const __m512i high = either(high_half(ports), _mm512_slli_epi64(high_half(kind), 32));
    auto* const to = reinterpret_cast<__m256i*>(owners);
    _mm256_storeu_si256(
        to, owners_of(low_half(source), low_half(destination), low, workers, secret.words));
    _mm256_storeu_si256(
        to + 1, owners_of(high_half(source), high_half(destination), high, workers, secret.words));
    return has_ports(rows, protocol);
}

}  // namespace

WEIR_AVX512 BurstMask steer(std::span<const std::uint8_t* const> frames, std::uint32_t workers,
                            const HashSecret& secret,
                            std::span<std::uint32_t, max_burst> owners) noexcept {
    BurstMask known = 0;
    for (std::size_t first = 0; first < frames.size(); first += group_size) {
        const std::size_t left = frames.size() - first;
        const std::uint8_t* const* group = frames.data() + first;
        const std::uint8_t* last[group_size];
        if (left < group_size) {
            if (left < fewest) break;
            std::copy_n(group, left, last);
            std::fill_n(last + left, group_size - left, group[left - 1]);
            group = last;
        }
        const __mmask16 good = steer_group(group, workers, secret, owners.data() + first);
        known |= BurstMask{good} << first;
    }
    return known & first_bits(frames.size());
}

#else

BurstMask steer(std::span<const std::uint8_t* const>, std::uint32_t, const HashSecret&,
                std::span<std::uint32_t, max_burst>) noexcept {
    return 0;
}

#endif

}  // namespace weir::lanes
