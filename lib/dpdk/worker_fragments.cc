// SPDX-License-Identifier: BSD-3-Clause
// Of WorkerStep: fragments that waited for the first one of their datagram, and those whose flow
// another worker learnt of. Rare, so one burst at a time and no hurry.
#include <algorithm>

#include "lib/dataplane/fragments.hh"
#include "lib/dpdk/mbuf_adapter.hh"
#include "lib/dpdk/mbuf_ports.hh"
#include "lib/dpdk/worker_step.hh"

namespace weir {

unsigned WorkerStep::serve_released(const Tables& tables, Tick now) noexcept {
    std::array<rte_mbuf*, max_burst> mbufs;
    std::array<FragmentPorts, max_burst> ports;
    unsigned count = 0, total = 0;
    for (const FragmentTable::Released& one : pipeline_.released()) {
        rte_mbuf* mbuf = std::exchange(held_[one.slot], nullptr);
        ++total;
        if (one.what != FragmentTable::What::pass) {
            counters_.drop(reason_of(one.what));
            rte_pktmbuf_free(mbuf);
            continue;
        }
        mbufs[count] = mbuf;
        ports[count] = one.ports;
        if (++count < max_burst) continue;
        serve_fragments(tables, mbufs, ports, now);
        count = 0;
    }
    serve_fragments(tables, std::span(mbufs).first(count), std::span(ports).first(count), now);
    return total;
}

unsigned WorkerStep::serve_fragments_in(const Tables& tables, Tick now) noexcept {
    std::array<rte_mbuf*, max_burst> mbufs;
    std::array<FragmentPorts, max_burst> ports;
    unsigned total = 0;
    for (MbufRing* ring : fragments_in_) {
        if (ring == nullptr) continue;
        const unsigned count = ring->dequeue(mbufs);
        if (count == 0) continue;
        for (unsigned i = 0; i < count; ++i)
            ports[i] = ports_in(*mbufs[i]);
        counters_.handed_in.add(count);
        serve_fragments(tables, std::span(mbufs).first(count), std::span(ports).first(count), now);
        total += count;
    }
    return total;
}

void WorkerStep::serve_fragments(const Tables& tables, std::span<rte_mbuf* const> mbufs,
                                 std::span<const FragmentPorts> ports, Tick now) noexcept {
    const std::size_t count = mbufs.size();
    if (count == 0) return;
    for (std::size_t i = 0; i < count; ++i)
        packets_[i] = to_packet(*mbufs[i]);
    pipeline_.process_fragments(tables, {packets_.data(), count}, ports, {verdicts_.data(), count},
                                now);
    dispose_all(tables, mbufs, now);
}

void WorkerStep::hand_over(rte_mbuf* mbuf, std::uint8_t worker,
                           const FragmentPorts& ports) noexcept {
    ports_in(*mbuf) = ports;
    if (fragments_out_[worker]->enqueue({&mbuf, 1}) == 1)
        counters_.handed_over.add(1);
    else
        drop(mbuf, DropReason::ring_full);
}

}  // namespace weir
