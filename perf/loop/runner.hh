// SPDX-License-Identifier: BSD-3-Clause
// Runner: something that forwards packets between lanes on one or two lcores: Weir's engine, or the
// least that a forwarder can do (macfwd). Runners take turns on the same port.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/control/plan.hh"
#include "lib/dpdk/engine.hh"
#include "perf/loop/lane.hh"
#include "perf/loop/scene.hh"

namespace weir::loop {

// What all runners share; outlives them.
struct Stage {
    LanePort& port;
    const Scene& scene;
    std::vector<rte_mempool*> pools;  // by lane
    rte_mempool* control_pool;
    std::uint32_t entries;  // of each connection table
    bool huge;              // memory on huge pages
};

// One lcore of a runner and where its figures are.
struct Station {
    std::string name;
    unsigned lcore = 0;
    const Lane* receives = nullptr;  // the lane that it polls
    const Lane* sends = nullptr;     // the one that it sends to
    const LcoreCounters* counters = nullptr;
    std::vector<std::pair<std::string, const Counter*>> parts;  // TSC cycles of parts of its loop
};

class Runner {
public:
    Runner(std::string name, const Stage& stage, std::vector<std::unique_ptr<Lane>> lanes)
        : stage_(stage), name_(std::move(name)), lanes_(std::move(lanes)) {}
    virtual ~Runner() = default;
    Runner(const Runner&) = delete;
    Runner& operator=(const Runner&) = delete;

    // Control thread. Starts the lcores and opens the lanes.
    Result<void> start();
    // Closes the lanes, waits until all packets came back (or 2 s) and stops the lcores.
    Result<void> stop();

    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    [[nodiscard]] const std::vector<Station>& stations() const noexcept { return stations_; }
    [[nodiscard]] const std::vector<std::unique_ptr<Lane>>& lanes() const noexcept {
        return lanes_;
    }
    // Sums over the lanes.
    [[nodiscard]] std::uint64_t made() const noexcept;
    [[nodiscard]] std::uint64_t returned() const noexcept;
    [[nodiscard]] std::uint64_t right() const noexcept;

protected:
    virtual Result<void> launch() = 0;
    virtual Result<void> halt() = 0;

    const Stage stage_;
    std::vector<Station> stations_;

private:
    std::string name_;
    std::vector<std::unique_ptr<Lane>> lanes_;
};

// The real thing: an Engine with these lcores; lane q is queue q.
class EngineRunner final : public Runner {
public:
    static Result<std::unique_ptr<Runner>> make(std::string name, const Stage& stage,
                                                std::vector<LcorePlan> lcores,
                                                std::vector<std::unique_ptr<Lane>> lanes);

    // The packets of the only lane are made by this lcore. Before start().
    Result<void> set_maker(unsigned lcore);

    [[nodiscard]] Publisher& publisher() noexcept { return engine_->publisher(); }

    // New tables with the same content, in other memory: as a reload does. Control thread.
    void swap_tables() {
        engine_->publisher().poll();
        engine_->publisher().publish(stage_.scene.tables());
    }

private:
    using Runner::Runner;
    Result<void> launch() override;
    Result<void> halt() override;

    std::unique_ptr<Engine> engine_;
    std::optional<unsigned> maker_;  // lcore
    std::atomic<bool> making_{false};
};

// A loop of our own on each of some lcores: forward() is called until stop().
class OwnLoopRunner : public Runner {
protected:
    using Runner::Runner;
    // Once a station on its lcore: turns until running() is false.
    virtual void forward(std::size_t station) noexcept = 0;
    [[nodiscard]] bool running() const noexcept { return !stop_.load(std::memory_order_relaxed); }

private:
    Result<void> launch() override;
    Result<void> halt() override;

    std::atomic<bool> stop_{false};
};

// Receives, writes both MAC addresses, sends. Station i on lcores[i] uses queue i.
class MacRunner final : public OwnLoopRunner {
public:
    MacRunner(std::string name, const Stage& stage, const std::vector<unsigned>& lcores,
              std::vector<std::unique_ptr<Lane>> lanes);

private:
    void forward(std::size_t station) noexcept override;

    std::vector<std::unique_ptr<LcoreCounters>> counters_;
};

}  // namespace weir::loop
