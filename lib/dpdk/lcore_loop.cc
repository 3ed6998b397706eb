// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dpdk/lcore_loop.hh"

#include <rte_cycles.h>
#include <rte_pause.h>

namespace weir {

void LcoreLoop::run() noexcept {
    while (publisher_.load() == nullptr) {
        if (stop_.load(std::memory_order_relaxed)) return;
        rte_pause();
    }
    publisher_.online(reader_);
    if (idle_ == Idle::pause) sharpen_naps();
    Rest rest;
    std::uint64_t start = rte_rdtsc();
    while (!stop_.load(std::memory_order_relaxed)) {
        const bool busy = turn(*publisher_.load(), clock_.at(start));
        publisher_.quiescent(reader_);

        const std::uint64_t end = rte_rdtsc();
        counters_.loops.add(1);
        if (busy) {
            counters_.busy_loops.add(1);
            counters_.busy_cycles.add(end - start);
        }
        counters_.last_loop_tsc.set(end);
        start = end;
        if (idle_ == Idle::busy) continue;
        if (const std::uint32_t nap = rest.after(busy); nap != 0) {
            take_nap(nap);
            start = rte_rdtsc();
        }
    }
    publisher_.offline(reader_);
}

// What peers hand over begins to load while the queue is polled. It may fill half of the worker's
// burst, so that neither side starves.
bool LcoreLoop::turn(const Tables& tables, Tick now) noexcept {
    unsigned work = 0;
    std::uint32_t room = rx_burst;
    if (worker_) room = worker_->collect(rx_ ? max_burst / 2 : max_burst);
    if (rx_) work += rx_->poll(tables, room);
    if (worker_) {
        work += worker_->run(tables, rx_ ? rx_->take_kept() : std::span<rte_mbuf*>{}, now);
        work += tx_->drain();
        worker_->housekeep(now);
    }
    return work != 0;
}

}  // namespace weir
