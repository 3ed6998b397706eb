// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dpdk/rx_step.hh"

#include <algorithm>

#include <rte_ethdev.h>
#include <rte_prefetch.h>

#include "lib/dataplane/steer.hh"
#include "lib/dpdk/mbuf_adapter.hh"

namespace weir {

RxStep::RxStep(Setup setup, LcoreCounters& counters)
    : setup_(std::move(setup)), counters_(counters), outgoing_(setup_.owners.size()) {
    const bool has_peers = setup_.owners.size() > 1;
    const std::size_t queues = setup_.queues.size();
    bursts_per_turn_ = setup_.self < 0 ? queues : has_peers ? 1 : max_burst / rx_burst;
}

RxStep::~RxStep() {
    rte_pktmbuf_free_bulk(kept_.data(), kept_count_);
}

unsigned RxStep::poll() noexcept {
    unsigned received = 0;
    std::size_t bursts = 0;
    for (std::size_t i = 0; i < setup_.queues.size() && bursts < bursts_per_turn_; ++i) {
        const unsigned count = poll_queue(setup_.queues[next_queue_]);
        if (++next_queue_ == setup_.queues.size()) next_queue_ = 0;
        if (count == 0) continue;
        received += count;
        ++bursts;
    }
    return received;
}

unsigned RxStep::poll_queue(const RxQueue& queue) noexcept {
    std::array<rte_mbuf*, rx_burst> mbufs;
    const unsigned received = rte_eth_rx_burst(queue.device, queue.queue, mbufs.data(), rx_burst);
    if (received == 0) return 0;
    counters_.received.add(received);

    unsigned good = 0;
    for (unsigned i = 0; i < received; ++i) {
        const Prepared prepared = prepare(mbufs[i], setup_.pool);
        if (!prepared.ok) [[unlikely]] {
            counters_.drop(prepared.reason);
            rte_pktmbuf_free(prepared.mbuf);
            continue;
        }
        prepared.mbuf->port = static_cast<std::uint16_t>(index(queue.port));
        rte_prefetch0(rte_pktmbuf_mtod(prepared.mbuf, const void*));
        mbufs[good++] = prepared.mbuf;
    }
    distribute({mbufs.data(), good});
    return received;
}

void RxStep::distribute(std::span<rte_mbuf*> mbufs) noexcept {
    const auto workers = static_cast<std::uint32_t>(setup_.owners.size());
    if (workers == 1 && setup_.self == 0) {
        for (rte_mbuf* mbuf : mbufs)
            kept_[kept_count_++] = mbuf;
        return;
    }
    std::array<Packet, rx_burst> packets;
    std::array<std::uint32_t, rx_burst> owners;
    for (std::size_t i = 0; i < mbufs.size(); ++i)
        packets[i] = to_packet(*mbufs[i]);
    steer({packets.data(), mbufs.size()}, owners, workers, setup_.vlans, setup_.secret);

    for (std::size_t i = 0; i < mbufs.size(); ++i) {
        if (static_cast<int>(owners[i]) == setup_.self) {
            kept_[kept_count_++] = mbufs[i];
        } else {
            Outgoing& outgoing = outgoing_[owners[i]];
            outgoing.mbufs[outgoing.count++] = mbufs[i];
        }
    }
    for (std::uint32_t worker = 0; worker < workers; ++worker)
        if (outgoing_[worker].count != 0) hand_over(worker);
}

void RxStep::hand_over(std::uint32_t owner) noexcept {
    Outgoing& outgoing = outgoing_[owner];
    const std::span<rte_mbuf*> mbufs{outgoing.mbufs.data(), outgoing.count};
    outgoing.count = 0;
    const unsigned taken = setup_.owners[owner]->enqueue(mbufs);
    counters_.handed_over.add(taken);
    if (taken == mbufs.size()) return;
    const std::span<rte_mbuf*> left = mbufs.subspan(taken);
    counters_.dropped[static_cast<std::size_t>(DropReason::ring_full)].add(left.size());
    rte_pktmbuf_free_bulk(left.data(), static_cast<unsigned>(left.size()));
}

}  // namespace weir
