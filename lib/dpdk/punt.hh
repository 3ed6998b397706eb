// SPDX-License-Identifier: BSD-3-Clause
// PuntStage: a worker's way to the control lcore: per class a meter and a ring of its own, so junk
// starves nobody and control never gets more than it can carry.
#pragma once

#include <array>
#include <cstdint>

#include <rte_mbuf.h>

#include "lib/dataplane/counters.hh"
#include "lib/dataplane/token_bucket.hh"
#include "lib/dataplane/verdict.hh"
#include "lib/dpdk/ring.hh"
#include "lib/flow/tick.hh"

namespace weir {

// By PuntClass, each worker. Bursts are 50 ms of the rate.
inline constexpr std::array<RateLimit, punt_class_count> punt_limits{{
    {2'000, 100},     // neighbor: a network of 1000 hosts asking twice a second
    {50'000, 2'500},  // probe_reply: 5000 probes a second at ten packets each
    {2'000, 100},     // vip_icmp: pings and unreachables; the kernel answers no more either
    {1'000, 500},     // other: sessions of routing daemons and SSH; TCP there backs off by itself
}};

// Of one worker, by its thread alone.
class PuntStage {
public:
    using Rings = std::array<MbufRing*, punt_class_count>;  // by PuntClass; the worker produces
    PuntStage(const Rings& rings, LcoreCounters& counters) noexcept
        : rings_(rings), counters_(counters) {}

    // Takes the packet when it answers true. False: over the limit or ring full; the packet stays
    // the caller's, to drop as punt_limited. The mbuf's `port` must hold the PortId it came from.
    [[nodiscard]] bool offer(PuntClass to, rte_mbuf* mbuf, Tick now) noexcept {
        const auto i = static_cast<std::size_t>(to);
        if (!meters_[i].pass(now) || rings_[i]->enqueue({&mbuf, 1}) == 0) return false;
        counters_.punted[i].add(1);
        return true;
    }

private:
    Rings rings_;
    LcoreCounters& counters_;
    std::array<TokenBucket, punt_class_count> meters_{
        TokenBucket{punt_limits[0]}, TokenBucket{punt_limits[1]}, TokenBucket{punt_limits[2]},
        TokenBucket{punt_limits[3]}};
};

}  // namespace weir
