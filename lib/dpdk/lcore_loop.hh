// SPDX-License-Identifier: BSD-3-Clause
// LcoreLoop: what one lcore does for ever: its RX step and its worker step take turns, then it
// sends for others, does a little housekeeping and reports that it holds no Tables.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "lib/dataplane/counters.hh"
#include "lib/dpdk/clock.hh"
#include "lib/dpdk/publisher.hh"
#include "lib/dpdk/rest.hh"
#include "lib/dpdk/rx_step.hh"
#include "lib/dpdk/tx.hh"
#include "lib/dpdk/worker_step.hh"

namespace weir {

// Built by Engine on the control thread, then used by its lcore alone until that has stopped;
// counters may be read by anyone at any time.
class LcoreLoop {
public:
    LcoreLoop(Publisher& publisher, unsigned reader, const TickClock& clock,
              const std::atomic<bool>& stop)
        : publisher_(publisher), reader_(reader), clock_(clock), stop_(stop) {}

    // Before the loop runs. `tx` only with a worker.
    void set_rx(RxStep::Setup setup) { rx_.emplace(std::move(setup), counters_); }
    void set_worker(std::vector<TxStage::PortSetup> tx, const WorkerStep::Setup& setup) {
        tx_.emplace(std::move(tx), counters_, false);
        worker_.emplace(setup, counters_, *tx_);
    }

    // `pause`: naps when there is nothing to do.
    void set_idle(Idle idle) noexcept { idle_ = idle; }

    // The lcore's main function: waits for the first Tables, then turns until `stop`.
    void run() noexcept;

    // One turn with these tables at this time; answers whether it found work. run() calls it, and
    // tests do so by hand.
    bool turn(const Tables& tables, Tick now) noexcept;

    [[nodiscard]] const LcoreCounters& counters() const noexcept { return counters_; }
    [[nodiscard]] WorkerStep* worker() noexcept { return worker_ ? &*worker_ : nullptr; }
    [[nodiscard]] const TxStage* tx() const noexcept { return tx_ ? &*tx_ : nullptr; }

private:
    Publisher& publisher_;
    unsigned reader_;
    TickClock clock_;
    const std::atomic<bool>& stop_;
    Idle idle_ = Idle::busy;
    LcoreCounters counters_;
    std::optional<TxStage> tx_;
    std::optional<RxStep> rx_;
    std::optional<WorkerStep> worker_;
};

}  // namespace weir
