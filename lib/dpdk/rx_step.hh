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
        std::vector<RxQueue> queues;       // polled by this lcore and no other
        std::vector<MbufRing*> owners;     // by worker; this lcore produces; nullptr: `self`
        int self = -1;                     // the worker on this lcore that keeps its own, or -1
        std::vector<std::uint16_t> vlans;  // by PortId
        HashSecret secret;
        rte_mempool* pool = nullptr;  // for copies of shared buffers
    };
    // `counters` and what the setup points to outlive the step. Used by one lcore alone.
    RxStep(Setup setup, LcoreCounters& counters);
    ~RxStep();  // frees what was kept and not taken

    // Polls the queues in turn. A poller that keeps its own takes packets of one queue: rx_burst,
    // or half as many when it has peers (their packets fill the other half of its worker's burst);
    // the next call goes on with the next queue. Answers how many came. Precondition: kept() of the
    // last call has been disposed of.
    unsigned poll() noexcept;

    // Packets of this lcore's own worker, prepared; the worker takes them over.
    [[nodiscard]] std::span<rte_mbuf*> take_kept() noexcept {
        return {kept_.data(), std::exchange(kept_count_, 0u)};
    }

private:
    unsigned poll_queue(const RxQueue& queue) noexcept;
    void distribute(std::span<rte_mbuf*> mbufs) noexcept;
    void keep(std::span<rte_mbuf*> mbufs) noexcept;
    void hand_over(std::uint32_t owner, std::span<rte_mbuf*> mbufs) noexcept;

    Setup setup_;
    LcoreCounters& counters_;
    std::size_t bursts_per_turn_;  // polls that found something
    std::uint16_t burst_;          // of one poll
    std::size_t next_queue_ = 0;
    unsigned kept_count_ = 0;
    std::array<rte_mbuf*, max_burst> kept_{};
    struct Outgoing {
        unsigned count = 0;
        std::array<rte_mbuf*, rx_burst> mbufs{};
        std::span<rte_mbuf*> take() noexcept { return {mbufs.data(), std::exchange(count, 0u)}; }
    };
    std::vector<Outgoing> outgoing_;  // by worker; empty between polls
};

}  // namespace weir
