// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dpdk/worker_step.hh"

#include <algorithm>
#include <bit>
#include <utility>

#include <rte_random.h>

#include "lib/dpdk/mbuf_adapter.hh"

namespace weir {
namespace {

// From boot to boot another one (RFC 7739).
std::uint32_t first_fragment_id(const WorkerPlace& place) noexcept {
    return place.own_id(static_cast<std::uint32_t>(rte_rand()));
}

}  // namespace

WorkerStep::WorkerStep(const Setup& setup, LcoreCounters& counters, TxStage& tx)
    : inputs_(setup.inputs),
      flows_(*setup.flows),
      nat_(setup.nat),
      counters_(counters),
      tx_(tx),
      pipeline_(*setup.flows, counters, *setup.traffic, Pipeline::Lanes::where_available,
                setup.place, setup.nat),
      punt_(setup.punt_rings, counters),
      fragments_in_(setup.fragments_in),
      fragments_out_(setup.fragments_out),
      pool_(setup.pool),
      fragment_id_(first_fragment_id(setup.place)),
      fragment_id_step_(setup.place.id_step()) {}

WorkerStep::~WorkerStep() {
    rte_pktmbuf_free_bulk(held_.data(), static_cast<unsigned>(held_.size()));
}

// A packet's way: collected here, decided by the pipeline, gone by one of three doors, or back as
// an answer.
unsigned WorkerStep::run(const Tables& tables, std::span<rte_mbuf*> kept, Tick now) noexcept {
    unsigned others = 0;
    if (pipeline_.has_released()) [[unlikely]]
        others += serve_released(tables, now);
    if (!fragments_in_.empty()) others += serve_fragments_in(tables, now);

    const std::span<rte_mbuf*> mbufs = collected_ == 0 ? kept : join(kept);
    const auto count = static_cast<unsigned>(mbufs.size());
    if (count == 0) return others;
    for (unsigned i = 0; i < count; ++i)
        packets_[i] = to_packet(*mbufs[i]);

    pipeline_.process(tables, {packets_.data(), count}, {verdicts_.data(), count}, now);

    if (one_way(count)) [[likely]] {
        for (unsigned i = 0; i < count; ++i)
            write_back(mbufs[i], packets_[i]);
        tx_.send(verdicts_[0].port, mbufs);
    } else {
        dispose_all(tables, mbufs, now);
    }
    return count + others;
}

void WorkerStep::dispose_all(const Tables& tables, std::span<rte_mbuf* const> mbufs,
                             Tick now) noexcept {
    for (std::size_t i = 0; i < mbufs.size(); ++i)
        dispose(tables, mbufs[i], i, now);
    tx_.flush();
    rte_pktmbuf_free_bulk(drops_.data(), dropped_);
    dropped_ = 0;
}

// The whole burst leaves by one port.
bool WorkerStep::one_way(unsigned count) const noexcept {
    // Verdicts as words: of what is sent, the port is all that may differ.
    const auto first = std::bit_cast<std::uint32_t>(verdicts_[0]);
    std::uint32_t differ = verdicts_[0].action == Action::send ? 0 : 1;
    for (unsigned i = 0; i < count; ++i)
        differ |= std::bit_cast<std::uint32_t>(verdicts_[i]) ^ first;
    return differ == 0;
}

void WorkerStep::dispose(const Tables& tables, rte_mbuf* mbuf, std::size_t i, Tick now) noexcept {
    const Verdict& verdict = verdicts_[i];
    switch (verdict.action) {
        case Action::send:
            write_back(mbuf, packets_[i]);
            tx_.push(verdict.port, mbuf);
            return;
        case Action::send_in_pieces:
            write_back(mbuf, packets_[i]);
            send_in_pieces(tables.ports[index(verdict.port)], verdict.port, mbuf);
            return;
        case Action::punt:
            if (!punt_.offer(verdict.punt_class, mbuf, now)) drop(mbuf, DropReason::punt_limited);
            return;
        case Action::drop:
            drop(mbuf, verdict.reason);
            return;
        case Action::hold:
            held_[verdict.slot()] = mbuf;
            return;
        case Action::hand_over:
            hand_over(mbuf, verdict.worker(), pipeline_.ports_of(i));
            return;
        case Action::answer:
            counters_.answer(verdict.reason);
            write_back(mbuf, packets_[i]);
            tx_.inject(verdict.port, mbuf);
            return;
    }
}

void WorkerStep::drop(rte_mbuf* mbuf, DropReason reason) noexcept {
    counters_.drop(reason);
    drops_[dropped_++] = mbuf;
}

// Each time from another ring on, so that none starves. What comes from a ring lies in another
// core's cache, mbuf and frame, and is asked for before anybody looks at it.
std::uint32_t WorkerStep::collect(std::uint32_t wanted) noexcept {
    unsigned count = 0;
    for (std::size_t i = 0; i < inputs_.size() && count < wanted; ++i) {
        count += inputs_[next_input_]->dequeue({mbufs_.data() + count, wanted - count});
        if (++next_input_ == inputs_.size()) next_input_ = 0;
    }
    for (unsigned i = 0; i < count; ++i)
        __builtin_prefetch(mbufs_[i], 1);
    counters_.handed_in.add(count);
    collected_ = count;
    return max_burst - count;
}

std::span<rte_mbuf*> WorkerStep::join(std::span<rte_mbuf*> kept) noexcept {
    std::copy(kept.begin(), kept.end(), mbufs_.begin() + collected_);
    const std::span<rte_mbuf*> all{mbufs_.data(), std::exchange(collected_, 0u) + kept.size()};
    ask_for_first(all);
    return all;
}

void WorkerStep::housekeep(Tick now) noexcept {
    if (now != last_sweep_) {
        // 1/4096 of the table each millisecond. The first call only starts the clock.
        const auto passed =
            swept_ ? static_cast<std::uint32_t>(elapsed(last_sweep_, now)) : std::uint32_t{0};
        const std::uint64_t due = sweep_due_ + std::uint64_t{passed} * ((flows_.lines() >> 12) + 1);
        sweep_due_ = static_cast<std::uint32_t>(std::min<std::uint64_t>(due, flows_.lines()));
        if (nat_ != nullptr) {
            const std::uint64_t bindings =
                nat_due_ + std::uint64_t{passed} * ((nat_->places() >> 12) + 1);
            nat_due_ =
                static_cast<std::uint32_t>(std::min<std::uint64_t>(bindings, nat_->places()));
        }
        last_sweep_ = now;
        swept_ = true;
        counters_.flow_entries.set(flows_.size());
        pipeline_.sweep_fragments(fragments_per_tick, now);
    }
    if (sweep_due_ != 0) {
        const std::uint32_t visits = portion(sweep_due_);
        pipeline_.sweep(visits, now);
        sweep_due_ -= visits;
    }
    if (nat_due_ != 0) {
        const std::uint32_t visits = portion(nat_due_);
        nat_->sweep(visits, now);
        nat_due_ -= visits;
    }
    mailbox_.serve(flows_, now);
}

}  // namespace weir
