// SPDX-License-Identifier: BSD-3-Clause
#include <catch2/catch.hpp>

#include "lib/dpdk/clock.hh"
#include "lib/dpdk/punt.hh"
#include "tests/unit/dpdk/loops_support.hh"

using namespace weir;
using namespace weir::test;

TEST_CASE("punt: a million junk packets a second take nothing from probe replies", "[dpdk][punt]") {
    Pool pool(4095);
    std::vector<std::unique_ptr<MbufRing>> rings;
    PuntStage::Rings by_class{};
    for (std::size_t i = 0; i < punt_class_count; ++i) {
        rings.push_back(MbufRing::create("punt", 512, SOCKET_ID_ANY).value());
        by_class[i] = rings.back().get();
    }
    LcoreCounters counters;
    PuntStage punt(by_class, counters);
    unsigned junk_taken = 0, probes_refused = 0;
    for (std::uint32_t ms = 0; ms < 1000; ++ms) {
        const Tick now{1000 + ms};
        for (unsigned i = 0; i < 1000; ++i) {
            rte_mbuf* junk = pool.make({1});
            if (punt.offer(PuntClass::other, junk, now))
                ++junk_taken;
            else
                rte_pktmbuf_free(junk);
        }
        for (unsigned i = 0; i < 20; ++i) {
            rte_mbuf* reply = pool.make({2});
            if (punt.offer(PuntClass::probe_reply, reply, now)) continue;
            ++probes_refused;
            rte_pktmbuf_free(reply);
        }
        for (const auto& ring : rings) {  // control takes a turn each millisecond
            std::array<rte_mbuf*, 32> out{};
            rte_pktmbuf_free_bulk(out.data(), ring->dequeue(out));
        }
    }
    CHECK(probes_refused == 0);
    CHECK(junk_taken <= punt_limits[3].per_second + punt_limits[3].burst);
    CHECK(counters.punted[1].read() == 20'000);
    rings.clear();
    CHECK(pool.in_use() == 0);
}

TEST_CASE("punt: a full ring leaves the packet with the caller", "[dpdk][punt]") {
    Pool pool(63);
    const auto ring = MbufRing::create("punt", 4, SOCKET_ID_ANY).value();
    LcoreCounters counters;
    PuntStage punt({ring.get(), ring.get(), ring.get(), ring.get()}, counters);
    for (int i = 0; i < 3; ++i)
        REQUIRE(punt.offer(PuntClass::vip_icmp, pool.make({1}), Tick{5}));
    rte_mbuf* fourth = pool.make({1});
    CHECK_FALSE(punt.offer(PuntClass::vip_icmp, fourth, Tick{5}));
    CHECK(counters.punted[2].read() == 3);
    rte_pktmbuf_free(fourth);
}

TEST_CASE("clock: ticks are milliseconds for any TSC rate, and wrap", "[dpdk][clock]") {
    for (const std::uint64_t hz : {1'000'000ULL, 2'600'000'000ULL, 2'399'999'123ULL}) {
        const TickClock clock(hz, 1000);
        for (const std::uint64_t seconds :
             {0ULL, 1ULL, 59ULL, 86'400ULL, 4'294'967ULL, 31'536'000ULL}) {
            const auto expected = static_cast<std::uint32_t>(seconds * 1000);
            const std::int32_t off = elapsed(Tick{expected}, clock.at(1000 + seconds * hz));
            CHECK(off <= 0);
            CHECK(off >= -1);
        }
    }
}
