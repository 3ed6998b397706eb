// SPDX-License-Identifier: BSD-3-Clause
// The worker's loop in parts, with a time stamp between them. The stamps cost something themselves
// (some 40 cycles each, of a burst of 32 packets), so the sum is a little above the real loop's.
#pragma once

#include <memory>
#include <vector>

#include "lib/dpdk/memory.hh"
#include "perf/loop/runner.hh"

namespace weir::loop {

// What a worker owns.
struct WorkerState {
    NumaRegion memory;
    std::optional<FlowTable> flows;
    std::unique_ptr<WorkerTraffic> traffic = std::make_unique<WorkerTraffic>();
    LcoreCounters counters;
    std::unique_ptr<const Tables> tables;

    static Result<std::unique_ptr<WorkerState>> make(const Stage& stage);
};

// Parts: "rx" (RxStep), "worker" (WorkerStep, with TX), "rest" (TX for others, housekeeping).
class StepsRunner final : public OwnLoopRunner {
public:
    StepsRunner(std::string name, const Stage& stage, unsigned lcore,
                std::vector<std::unique_ptr<Lane>> lanes, std::unique_ptr<WorkerState> state);

private:
    void forward(std::size_t station) noexcept override;

    std::unique_ptr<WorkerState> state_;
    Counter rx_cycles_, worker_cycles_, rest_cycles_;
};

// Part: "process" (Pipeline::process alone), between a bare receive and a bare send.
class ProcessRunner final : public OwnLoopRunner {
public:
    ProcessRunner(std::string name, const Stage& stage, unsigned lcore,
                  std::vector<std::unique_ptr<Lane>> lanes, std::unique_ptr<WorkerState> state);

private:
    void forward(std::size_t station) noexcept override;

    std::unique_ptr<WorkerState> state_;
    Counter process_cycles_;
};

}  // namespace weir::loop
