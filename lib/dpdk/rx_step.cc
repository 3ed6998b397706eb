// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dpdk/rx_step.hh"

#include <algorithm>
#include <bit>
#include <limits>

#include <rte_ethdev.h>

#include "lib/dataplane/steer.hh"
#include "lib/dpdk/mbuf_adapter.hh"

namespace weir {

RxStep::RxStep(Setup setup, LcoreCounters& counters)
    : setup_(std::move(setup)),
      counters_(counters),
      steering_(static_cast<std::uint32_t>(setup_.owners.size()), setup_.secret),
      bursts_per_turn_(setup_.self < 0 ? setup_.queues.size() : 1),
      home_(setup_.self < 0 ? 0 : static_cast<std::uint32_t>(setup_.self)),
      to_(setup_.owners.size()) {}

RxStep::~RxStep() {
    for (Heap& heap : to_)
        rte_pktmbuf_free_bulk(heap.mbufs.data(), heap.count);
}

unsigned RxStep::poll(const Tables& tables, std::uint32_t wanted) noexcept {
    unsigned received = 0;
    std::size_t bursts = 0;
    for (std::size_t i = 0; i < setup_.queues.size() && bursts < bursts_per_turn_; ++i) {
        const unsigned count = poll_queue(tables, setup_.queues[next_queue_], wanted);
        if (++next_queue_ == setup_.queues.size()) next_queue_ = 0;
        if (count == 0) continue;
        received += count;
        ++bursts;
    }
    return received;
}

unsigned RxStep::poll_queue(const Tables& tables, const RxQueue& queue,
                            std::uint32_t wanted) noexcept {
    Heap& home = to_[home_];
    const unsigned received = rte_eth_rx_burst(queue.device, queue.queue, home.mbufs.data(),
                                               static_cast<std::uint16_t>(wanted));
    if (received == 0) return 0;
    counters_.received.add(received);

    const auto port = static_cast<std::uint16_t>(index(queue.port));
    std::uint64_t odd = 0;
    for (unsigned i = 0; i < received; ++i) {
        home.mbufs[i]->port = port;
        odd |= oddities(*home.mbufs[i]);
    }
    home.count = received;
    if (odd != 0) home.count = prepare_all(home.all());
    if (home.count != 0) distribute(tables, queue.port);
    return received;
}

[[gnu::noinline]] unsigned RxStep::prepare_all(std::span<rte_mbuf*> mbufs) noexcept {
    unsigned good = 0;
    for (rte_mbuf* mbuf : mbufs) {
        const Prepared prepared = prepare(mbuf, setup_.pool);
        if (prepared.ok) {
            mbufs[good++] = prepared.mbuf;
            continue;
        }
        counters_.drop(prepared.reason);
        rte_pktmbuf_free(prepared.mbuf);
    }
    return good;
}

// Who only passes packets on to a single worker does not look at them.
void RxStep::distribute(const Tables& tables, PortId port) noexcept {
    const std::span<rte_mbuf*> received = to_[home_].all();
    if (to_.size() > 1)
        steer_burst(tables, received, port);
    else if (setup_.self >= 0)
        ask_for_first(received);
    for (std::size_t worker = 0; worker < to_.size(); ++worker) {
        const bool is_own = static_cast<int>(worker) == setup_.self;
        if (!is_own && to_[worker].count != 0) hand_over(worker, to_[worker].take());
    }
}

void RxStep::steer_burst(const Tables& tables, std::span<rte_mbuf* const> mbufs,
                         PortId port) noexcept {
    std::array<const std::uint8_t*, rx_burst> frames;
    std::array<std::uint32_t, rx_burst> owners;
    std::uint32_t shortest = std::numeric_limits<std::uint32_t>::max();
    for (std::size_t i = 0; i < mbufs.size(); ++i) {
        frames[i] = rte_pktmbuf_mtod(mbufs[i], const std::uint8_t*);
        shortest = std::min<std::uint32_t>(shortest, mbufs[i]->data_len);
    }
    ask_for_first(mbufs);
    const BurstMask known =
        steering_.quick(tables, {frames.data(), mbufs.size()}, shortest, port, owners);
    for (BurstMask rest = first_bits(mbufs.size()) & ~known; rest != 0; rest &= rest - 1) {
        const auto i = static_cast<std::size_t>(std::countr_zero(rest));
        if (i + asked_ahead < mbufs.size()) ask_to_write(frames[i + asked_ahead]);
        owners[i] = steering_.one(tables, to_packet(*mbufs[i]));
    }
    deal(owners);
}

// Where the NIC's queues agree with the owners, a whole burst is where it belongs. Else nobody can
// foresee whose a packet is, so there is no branch for it.
void RxStep::deal(std::span<const std::uint32_t, rx_burst> owners) noexcept {
    Heap& home = to_[home_];
    std::uint32_t differ = 0;
    for (std::size_t i = 0; i < home.count; ++i)
        differ |= owners[i] ^ home_;
    if (differ == 0) return;
    std::array<rte_mbuf*, rx_burst> others;
    std::array<std::uint32_t, rx_burst> their_owners;
    unsigned stay = 0;
    std::size_t leave = 0;
    for (std::size_t i = 0; i < home.count; ++i) {
        rte_mbuf* const mbuf = home.mbufs[i];
        const bool stays = owners[i] == home_;
        home.mbufs[stay] = mbuf;
        others[leave] = mbuf;
        their_owners[leave] = owners[i];
        stay += stays ? 1 : 0;
        leave += stays ? 0 : 1;
    }
    home.count = stay;
    for (std::size_t i = 0; i < leave; ++i)
        to_[their_owners[i]].put(others[i]);
}

void RxStep::hand_over(std::size_t owner, std::span<rte_mbuf*> mbufs) noexcept {
    const unsigned taken = setup_.owners[owner]->enqueue(mbufs);
    counters_.handed_over.add(taken);
    if (taken == mbufs.size()) return;
    const std::span<rte_mbuf*> left = mbufs.subspan(taken);
    counters_.dropped[static_cast<std::size_t>(DropReason::ring_full)].add(left.size());
    rte_pktmbuf_free_bulk(left.data(), static_cast<unsigned>(left.size()));
}

}  // namespace weir
