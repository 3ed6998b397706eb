// SPDX-License-Identifier: BSD-3-Clause
// Third stage: what forward() does for settled flows of dsr-l2 and ipip, and their counters.
//
// The headers are written one packet after the other, in a loop without calls. Sixteen at once
// would wait for each other: where they go must be known of all before the first is written. Three
// loops, so that each keeps what it needs in registers.
#include <array>
#include <bit>

#include "lib/dataplane/forward.hh"
#include "lib/dataplane/lanes.hh"
#include "lib/dataplane/lanes_avx512.hh"

namespace weir::lanes {

#if defined(__x86_64__)

namespace {

std::size_t first_of_group(BurstMask packets) noexcept {
    return static_cast<std::size_t>(std::countr_zero(packets)) / group_size * group_size;
}

// Without those whose flow another packet of the group may change, before or after them.
WEIR_AVX512 BurstMask undisturbed(const FlowBurst& burst, BurstMask settled,
                                  BurstMask others) noexcept {
    const std::size_t first = first_of_group(settled);
    const __m512i low = _mm512_load_si512(burst.wanted + first);
    const __m512i high = _mm512_load_si512(burst.wanted + first + 8);
    std::uint32_t same = 0;
    for (; others != 0; others &= others - 1) {
        const __m512i other = all64(burst.wanted[std::countr_zero(others)]);
        same |= _mm512_cmpeq_epu64_mask(low, other) |
                std::uint32_t{_mm512_cmpeq_epu64_mask(high, other)} << 8;
    }
    return settled & ~(BurstMask{same} << first);
}

// Of eight hits.
WEIR_AVX512_INLINE __m256i ids_of(const ServiceHit* hits) noexcept {
    static_assert(offsetof(ServiceHit, id) == 6 && sizeof(ServiceHit) == 8);
    return _mm512_cvtepi64_epi32(_mm512_srli_epi64(_mm512_load_si512(hits), 48));
}

// A service's packets of a group are one write. `sent`: not empty.
WEIR_AVX512 void count_services(const FlowBurst& burst, BurstMask sent,
                                WorkerTraffic& traffic) noexcept {
    const std::size_t first = first_of_group(sent);
    const __m512i services =
        _mm512_inserti64x4(_mm512_castsi256_si512(ids_of(burst.services + first)),
                           ids_of(burst.services + first + 8), 1);
    const __m512i bytes = _mm512_cvtepu16_epi32(
        _mm256_load_si256(reinterpret_cast<const __m256i*>(burst.ip_lengths + first)));
    for (auto rest = static_cast<std::uint32_t>(sent >> first); rest != 0;) {
        const auto lane = static_cast<std::size_t>(std::countr_zero(rest));
        const std::uint32_t service = burst.services[first + lane].id;
        const std::uint32_t same =
            _mm512_mask_cmpeq_epu32_mask(static_cast<__mmask16>(rest), services, all(service));
        TrafficCounters& of_service = traffic.services[service];
        of_service.packets.add(static_cast<std::uint32_t>(std::popcount(same)));
        of_service.bytes.add(static_cast<std::uint32_t>(
            _mm512_mask_reduce_add_epi32(static_cast<__mmask16>(same), bytes)));
        rest &= ~same;
    }
}

// By lane.
using Backends = std::array<const BackendEntry*, group_size>;

// Sets the backends that settled flows name. The answer: those that do not take packets of the flow
// which forward() sends by itself.
[[gnu::always_inline]] inline BurstMask find_backends(const Tables& tables, const FlowBurst& burst,
                                                      BurstMask settled,
                                                      Backends& backends) noexcept {
    BurstMask left = 0;
    for (BurstMask rest = settled; rest != 0; rest &= rest - 1) {
        const auto i = static_cast<std::size_t>(std::countr_zero(rest));
        const BackendEntry* const backend =
            tables.backend(BackendId{burst.backends[i]}, ServiceId{burst.services[i].id});
        backends[i % group_size] = backend;
        if (backend == nullptr || !backend->keeps_flows || !backend->is_plain()) [[unlikely]]
            left |= bit(i);
    }
    return left;
}

[[gnu::always_inline]] inline bool write_headers(const FlowBurst& burst, std::size_t i,
                                                 const NextHop& hop, const OuterTemplate& outer,
                                                 Packet& packet) noexcept {
    // Lanes read what is untagged.
    const PacketMeta meta{.l3_offset = ethernet_length,
                          .ip_length = burst.ip_lengths[i],
                          .traffic_class = burst.traffic_classes[i]};
    const std::uint32_t length = outer.length;
    if (length == 0) return plain::forward_dsr(hop, meta, packet);
    // FlowName::hash()
    const auto hash =
        static_cast<std::uint32_t>((burst.wanted[i] >> remnant_shift) ^ burst.homes[i]);
    if (length == sizeof(Ipv4Header)) [[likely]]
        return plain::forward_ipip<Ipv4Header>(hop, outer, meta, hash, packet);
    return plain::forward_ipip<Ipv6Header>(hop, outer, meta, hash, packet);
}

// The answer: those that forward() does not send by itself.
[[gnu::always_inline]] inline BurstMask write_all(const Tables& tables, const FlowBurst& burst,
                                                  BurstMask settled, const Backends& backends,
                                                  std::span<Packet> packets,
                                                  std::span<Verdict> verdicts) noexcept {
    BurstMask left = 0;
    for (BurstMask rest = settled; rest != 0; rest &= rest - 1) {
        const auto i = static_cast<std::size_t>(std::countr_zero(rest));
        const BackendEntry& backend = *backends[i % group_size];
        const NextHop& hop = tables.next_hops[index(backend.next_hop)];
        if (write_headers(burst, i, hop, backend.outer, packets[i])) [[likely]]
            verdicts[i] = Verdict::sent(hop.port);
        else
            left |= bit(i);
    }
    return left;
}

[[gnu::always_inline]] inline void count_backends(const FlowBurst& burst, BurstMask sent,
                                                  WorkerTraffic& traffic) noexcept {
    for (BurstMask rest = sent; rest != 0; rest &= rest - 1) {
        const auto i = static_cast<std::size_t>(std::countr_zero(rest));
        TrafficCounters& of_backend = traffic.backends[burst.backends[i]];
        of_backend.packets.add(1);
        of_backend.bytes.add(burst.ip_lengths[i]);
    }
}

}  // namespace

BurstMask send(const Tables& tables, const FlowBurst& burst, BurstMask settled, BurstMask others,
               std::span<Packet> packets, std::span<Verdict> verdicts,
               WorkerTraffic& traffic) noexcept {
    if (others != 0) settled = undisturbed(burst, settled, others);
    Backends backends;
    settled &= ~find_backends(tables, burst, settled, backends);
    settled &= ~write_all(tables, burst, settled, backends, packets, verdicts);
    if (settled == 0) [[unlikely]]
        return 0;
    count_backends(burst, settled, traffic);
    count_services(burst, settled, traffic);
    return settled;
}

#else

BurstMask send(const Tables&, const FlowBurst&, BurstMask, BurstMask, std::span<Packet>,
               std::span<Verdict>, WorkerTraffic&) noexcept {
    return 0;
}

#endif

}  // namespace weir::lanes
