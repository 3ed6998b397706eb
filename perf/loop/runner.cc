// SPDX-License-Identifier: BSD-3-Clause
#include "perf/loop/runner.hh"

#include <chrono>
#include <cstring>
#include <thread>

#include <fmt/format.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_prefetch.h>

namespace weir::loop {

using namespace std::chrono_literals;

Result<void> Runner::start() {
    stage_.port.attach(lanes_);
    if (auto launched = launch(); !launched) return launched;
    for (const auto& lane : lanes_)
        lane->open(true);
    return {};
}

Result<void> Runner::stop() {
    for (const auto& lane : lanes_)
        lane->open(false);
    // The first wait is for a call of receive() that saw the lane open.
    std::this_thread::sleep_for(1ms);
    for (int i = 0; i < 2000 && made() != returned(); ++i)
        std::this_thread::sleep_for(1ms);
    return halt();
}

std::uint64_t Runner::made() const noexcept {
    std::uint64_t sum = 0;
    for (const auto& lane : lanes_)
        sum += lane->made();
    return sum;
}

std::uint64_t Runner::returned() const noexcept {
    std::uint64_t sum = 0;
    for (const auto& lane : lanes_)
        sum += lane->returned();
    return sum;
}

std::uint64_t Runner::right() const noexcept {
    std::uint64_t sum = 0;
    for (const auto& lane : lanes_)
        sum += lane->right();
    return sum;
}

Result<std::unique_ptr<Runner>> EngineRunner::make(std::string name, const Stage& stage,
                                                   std::vector<LcorePlan> lcores,
                                                   std::vector<std::unique_ptr<Lane>> lanes) {
    std::unique_ptr<EngineRunner> runner(
        new EngineRunner(std::move(name), stage, std::move(lanes)));
    EngineSetup setup;
    EnginePort port;
    port.name = "lane0";
    port.device = stage.port.device();
    port.rx_queues = static_cast<std::uint16_t>(runner->lanes().size());
    port.tx_queues = stage.port.queues();
    setup.ports = {port};
    setup.lcores = std::move(lcores);
    setup.flow_sizes = stage.entries;
    setup.secret = Scene::secret();
    setup.pool_on = [pool = stage.pools.front()](unsigned) { return pool; };
    setup.control_pool = stage.control_pool;
    setup.hugetlb = stage.huge;
    auto made = Engine::create(std::move(setup));
    if (!made) return made.error();
    runner->engine_ = std::move(made).value();
    runner->engine_->publisher().publish(stage.scene.tables());

    for (const auto& lcore : runner->engine_->lcores()) {
        const LcorePlan& plan = lcore->plan;
        Station station;
        station.lcore = plan.lcore;
        station.name =
            plan.worker >= 0 ? fmt::format("worker{}", plan.worker) : fmt::format("rx{}", plan.rx);
        const auto queue = static_cast<std::size_t>(plan.worker >= 0 ? plan.worker : plan.rx);
        if (lcore->polls) station.receives = runner->lanes()[queue].get();
        if (plan.worker >= 0) station.sends = runner->lanes()[queue].get();
        station.counters = &lcore->loop->counters();
        runner->stations_.push_back(std::move(station));
    }
    return std::unique_ptr<Runner>(std::move(runner));
}

Result<void> EngineRunner::set_maker(unsigned lcore) {
    maker_ = lcore;
    return lanes().front()->set_far();
}

Result<void> EngineRunner::launch() {
    if (auto started = engine_->start(); !started || !maker_) return started;
    making_.store(true, std::memory_order_relaxed);
    const auto main = [](void* argument) {
        auto* const runner = static_cast<EngineRunner*>(argument);
        while (runner->making_.load(std::memory_order_relaxed))
            runner->lanes().front()->make_far();
        return 0;
    };
    if (rte_eal_remote_launch(main, this, *maker_) != 0)
        return Error{fmt::format("lcore {} is busy", *maker_)};
    return {};
}

Result<void> EngineRunner::halt() {
    making_.store(false, std::memory_order_relaxed);
    if (maker_) rte_eal_wait_lcore(*maker_);
    return engine_->stop();
}

Result<void> OwnLoopRunner::launch() {
    stop_.store(false, std::memory_order_relaxed);
    for (const Station& station : stations_) {
        const auto main = [](void* argument) {
            auto* const runner = static_cast<OwnLoopRunner*>(argument);
            for (std::size_t i = 0; i < runner->stations_.size(); ++i)
                if (runner->stations_[i].lcore == rte_lcore_id()) runner->forward(i);
            return 0;
        };
        if (rte_eal_remote_launch(main, this, station.lcore) != 0)
            return Error{fmt::format("lcore {} is busy", station.lcore)};
    }
    return {};
}

Result<void> OwnLoopRunner::halt() {
    stop_.store(true, std::memory_order_relaxed);
    for (const Station& station : stations_)
        rte_eal_wait_lcore(station.lcore);
    return {};
}

MacRunner::MacRunner(std::string name, const Stage& stage, const std::vector<unsigned>& lcores,
                     std::vector<std::unique_ptr<Lane>> given)
    : OwnLoopRunner(std::move(name), stage, std::move(given)) {
    for (std::size_t i = 0; i < lcores.size(); ++i) {
        counters_.push_back(std::make_unique<LcoreCounters>());
        const Lane* const lane = lanes()[i].get();
        stations_.push_back(
            {fmt::format("worker{}", i), lcores[i], lane, lane, counters_[i].get(), {}});
    }
}

void MacRunner::forward(std::size_t station) noexcept {
    const std::uint16_t device = stage_.port.device();
    const auto queue = static_cast<std::uint16_t>(station);
    const MacAddress source = stage_.port.mac();
    const MacAddress destination = stage_.scene.expectation().backends.front().mac;
    LcoreCounters& counters = *counters_[station];
    std::array<rte_mbuf*, rx_burst> packets;
    std::uint64_t begin = rte_rdtsc();
    while (running()) {
        const std::uint16_t count = rte_eth_rx_burst(device, queue, packets.data(), rx_burst);
        for (std::uint16_t i = 0; i < count; ++i) {
            auto* const frame = rte_pktmbuf_mtod(packets[i], std::uint8_t*);
            std::memcpy(frame, destination.bytes.data(), 6);
            std::memcpy(frame + 6, source.bytes.data(), 6);
            packets[i]->ol_flags &= RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL;
        }
        if (count != 0) rte_eth_tx_burst(device, queue, packets.data(), count);
        const std::uint64_t end = rte_rdtsc();
        if (count != 0) {
            counters.busy_loops.add(1);
            counters.busy_cycles.add(end - begin);
        }
        begin = end;
    }
}

}  // namespace weir::loop
