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
    bursts_per_turn_ = setup_.self < 0 ? setup_.queues.size() : 1;
    burst_ = setup_.self >= 0 && has_peers ? rx_burst / 2 : rx_burst;
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
    const unsigned received = rte_eth_rx_burst(queue.device, queue.queue, mbufs.data(), burst_);
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
        mbufs[good++] = prepared.mbuf;
    }
    distribute({mbufs.data(), good});
    return received;
}

// Who only passes packets on to a single worker does not look at them.
void RxStep::distribute(std::span<rte_mbuf*> mbufs) noexcept {
    const auto workers = static_cast<std::uint32_t>(setup_.owners.size());
    if (workers == 1) {
        if (mbufs.empty()) return;
        return setup_.self == 0 ? keep(mbufs) : hand_over(0, mbufs);
    }
    for (rte_mbuf* mbuf : mbufs)
        rte_prefetch0(rte_pktmbuf_mtod(mbuf, const void*));
    for (rte_mbuf* mbuf : mbufs) {
        const Packet packet = to_packet(*mbuf);
        const std::uint32_t owner =
            steer(packet, workers, setup_.vlans[index(packet.port)], setup_.secret);
        if (static_cast<int>(owner) == setup_.self) {
            fetch_to_write(mbuf);
            kept_[kept_count_++] = mbuf;
        } else {
            Outgoing& outgoing = outgoing_[owner];
            outgoing.mbufs[outgoing.count++] = mbuf;
        }
    }
    for (std::uint32_t worker = 0; worker < workers; ++worker)
        if (outgoing_[worker].count != 0) hand_over(worker, outgoing_[worker].take());
}

void RxStep::keep(std::span<rte_mbuf*> mbufs) noexcept {
    for (rte_mbuf* mbuf : mbufs) {
        fetch_to_write(mbuf);
        kept_[kept_count_++] = mbuf;
    }
}

void RxStep::hand_over(std::uint32_t owner, std::span<rte_mbuf*> mbufs) noexcept {
    const unsigned taken = setup_.owners[owner]->enqueue(mbufs);
    counters_.handed_over.add(taken);
    if (taken == mbufs.size()) return;
    const std::span<rte_mbuf*> left = mbufs.subspan(taken);
    counters_.dropped[static_cast<std::size_t>(DropReason::ring_full)].add(left.size());
    rte_pktmbuf_free_bulk(left.data(), static_cast<unsigned>(left.size()));
}

}  // namespace weir
