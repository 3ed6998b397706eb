// SPDX-License-Identifier: BSD-3-Clause
// RxStep: polls the NIC queues of one lcore and brings each packet to its owner: over the ring of
// (this poller, owner), or, where the owner works on this very lcore, by keeping it for the worker
// step that follows in the same turn.
//
// One code for both receive modes. With rx_lcores a poller keeps nothing; without, each worker is a
// poller that keeps its own. A single worker that polls for itself steers nothing.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <rte_mbuf.h>

#include "lib/dataplane/counters.hh"
#include "lib/dataplane/packet.hh"
#include "lib/dataplane/steer.hh"
#include "lib/dpdk/ring.hh"
#include "lib/flow/key.hh"

namespace weir {

// Packets asked of a queue at once, at most. What a burst costs beside its packets (the ring's
// indices and descriptors, which the other side has just written) is shared by all of it, and their
// cache misses overlap.
inline constexpr std::uint32_t rx_burst = max_burst;

struct RxQueue {
    std::uint16_t device = 0, queue = 0;  // DPDK's numbers
    PortId port{};
};

class RxStep {
public:
    struct Setup {
        std::vector<RxQueue> queues;    // polled by this lcore and no other
        std::vector<MbufRing*> owners;  // by worker; this lcore produces; nullptr: `self`
        int self = -1;                  // the worker on this lcore that keeps its own, or -1
        HashSecret secret;
        rte_mempool* pool = nullptr;  // for copies of shared buffers
    };
    // `counters` and what the setup points to outlive the step. Used by one lcore alone.
    RxStep(Setup setup, LcoreCounters& counters);
    ~RxStep();  // frees what was kept and not taken

    // Polls the queues in turn, for at most `wanted` packets of each (1 .. rx_burst). A poller that
    // keeps its own takes packets of one queue; the next call goes on with the next one. Answers
    // how many came. Precondition: what was kept in the last call was taken.
    unsigned poll(const Tables& tables, std::uint32_t wanted = rx_burst) noexcept;

    // Packets of this lcore's own worker, prepared; the worker takes them over.
    [[nodiscard]] std::span<rte_mbuf*> take_kept() noexcept {
        return setup_.self < 0 ? std::span<rte_mbuf*>{} : to_[home_].take();
    }

private:
    // Packets of one poll for one worker.
    struct alignas(64) Heap {
        unsigned count = 0;
        std::array<rte_mbuf*, rx_burst> mbufs;
        void put(rte_mbuf* mbuf) noexcept { mbufs[count++] = mbuf; }
        std::span<rte_mbuf*> all() noexcept { return {mbufs.data(), count}; }
        std::span<rte_mbuf*> take() noexcept { return {mbufs.data(), std::exchange(count, 0u)}; }
    };

    unsigned poll_queue(const Tables& tables, const RxQueue& queue, std::uint32_t wanted) noexcept;
    // What is left of them, in front, and how many these are.
    unsigned prepare_all(std::span<rte_mbuf*> mbufs) noexcept;
    // What was received lies in the heap at home_, and stays there if it is for that worker.
    void distribute(const Tables& tables, PortId port) noexcept;
    void steer_burst(const Tables& tables, std::span<rte_mbuf* const> mbufs, PortId port) noexcept;
    void deal(std::span<const std::uint32_t, rx_burst> owners) noexcept;
    void hand_over(std::size_t owner, std::span<rte_mbuf*> mbufs) noexcept;

    Setup setup_;
    LcoreCounters& counters_;
    BurstSteering steering_;
    std::size_t bursts_per_turn_;  // polls that found something
    std::uint32_t home_;           // the worker on this lcore, or else the first
    std::size_t next_queue_ = 0;
    std::vector<Heap> to_;  // by worker; empty between polls, but for what is kept
};

}  // namespace weir
