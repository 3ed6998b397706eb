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
    std::array<rte_mbuf*, rx_burst> mbufs;
    const unsigned received = rte_eth_rx_burst(queue.device, queue.queue, mbufs.data(),
                                               static_cast<std::uint16_t>(wanted));
    if (received == 0) return 0;
    counters_.received.add(received);

    const auto port = static_cast<std::uint16_t>(index(queue.port));
    std::uint64_t odd = 0;
    for (unsigned i = 0; i < received; ++i) {
        mbufs[i]->port = port;
        odd |= oddities(*mbufs[i]);
    }
    const unsigned good = odd == 0 ? received : prepare_all(std::span(mbufs).first(received));
    distribute(tables, {mbufs.data(), good}, queue.port);
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
void RxStep::distribute(const Tables& tables, std::span<rte_mbuf*> mbufs, PortId port) noexcept {
    if (mbufs.empty()) return;
    const std::size_t workers = setup_.owners.size();
    if (workers > 1)
        steer_burst(tables, mbufs, port);
    else
        to_[0].put_all(mbufs);
    for (std::size_t worker = 0; worker < workers; ++worker) {
        Heap& heap = to_[worker];
        if (static_cast<int>(worker) == setup_.self) {
            ask_for_first({heap.mbufs.data(), heap.count});
        } else if (heap.count != 0) {
            hand_over(worker, heap.take());
        }
    }
}

void RxStep::steer_burst(const Tables& tables, std::span<rte_mbuf*> mbufs, PortId port) noexcept {
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
    deal(mbufs, owners);
}

// Where the NIC's queues agree with the owners, a whole burst is our own. Else nobody can foresee
// whose a packet is, so there is no branch for it.
void RxStep::deal(std::span<rte_mbuf*> mbufs,
                  std::span<const std::uint32_t, rx_burst> owners) noexcept {
    const auto self = static_cast<std::uint32_t>(setup_.self);
    std::uint32_t differ = 0;
    for (std::size_t i = 0; i < mbufs.size(); ++i)
        differ |= owners[i] ^ self;
    if (differ == 0) return to_[self].put_all(mbufs);
    std::array<rte_mbuf*, rx_burst> own;
    std::array<std::uint8_t, rx_burst> others;
    std::size_t own_count = 0, other_count = 0;
    for (std::size_t i = 0; i < mbufs.size(); ++i) {
        const bool is_own = owners[i] == self;
        own[own_count] = mbufs[i];
        others[other_count] = static_cast<std::uint8_t>(i);
        own_count += is_own ? 1 : 0;
        other_count += is_own ? 0 : 1;
    }
    if (own_count != 0) to_[self].put_all({own.data(), own_count});
    for (std::size_t i = 0; i < other_count; ++i)
        to_[owners[others[i]]].put(mbufs[others[i]]);
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
