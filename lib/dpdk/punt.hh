// SPDX-License-Identifier: BSD-3-Clause
// PuntStage: a worker's way to the control lcore: per class a meter and a ring of its own, so junk
// starves nobody and control never gets more than it can carry.
#pragma once

#include <array>
#include <cstdint>

#include <rte_mbuf.h>

#include "lib/dataplane/counters.hh"
#include "lib/dataplane/verdict.hh"
#include "lib/dpdk/ring.hh"
#include "lib/flow/tick.hh"

namespace weir {

struct PuntLimit {
    std::uint32_t per_second, burst;  // packets of one worker; per_second <= 1 000 000
};
// By PuntClass, each worker. Bursts are 50 ms of the rate.
inline constexpr std::array<PuntLimit, punt_class_count> punt_limits{{
    {2'000, 100},     // neighbor: a network of 1000 hosts asking twice a second
    {50'000, 2'500},  // probe_reply: 5000 probes a second at ten packets each
    {2'000, 100},     // vip_icmp: pings and unreachables; the kernel answers no more either
    {1'000, 500},     // other: sessions of routing daemons and SSH; TCP there backs off by itself
}};

// Token bucket (the single rate of RFC 2697) with time as an argument: no division, no clock. A
// token is a thousandth of a packet, so that a millisecond earns per_second of them.
class PuntMeter {
public:
    explicit constexpr PuntMeter(PuntLimit limit) noexcept
        : rate_(limit.per_second), full_(limit.burst * cost), tokens_(full_) {}

    // True: the packet may pass, and has been paid. `now` must not go back.
    [[nodiscard]] bool pass(Tick now) noexcept {
        if (now != last_) refill(now);
        if (tokens_ < cost) return false;
        tokens_ -= cost;
        return true;
    }

private:
    static constexpr std::uint64_t cost = 1000;
    void refill(Tick now) noexcept {
        const std::uint64_t passed = static_cast<std::uint32_t>(elapsed(last_, now));
        tokens_ += passed * rate_;
        if (tokens_ > full_) tokens_ = full_;
        last_ = now;
    }

    std::uint64_t rate_, full_, tokens_;
    Tick last_{};
};

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
    std::array<PuntMeter, punt_class_count> meters_{
        PuntMeter{punt_limits[0]}, PuntMeter{punt_limits[1]}, PuntMeter{punt_limits[2]},
        PuntMeter{punt_limits[3]}};
};

}  // namespace weir
