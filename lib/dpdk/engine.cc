// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dpdk/engine.hh"

#include <cstdio>
#include <cstdlib>
#include <thread>

#include <fmt/format.h>
#include <rte_launch.h>
#include <rte_lcore.h>

#include "lib/dpdk/engine_builder.hh"

namespace weir {

Engine::Lcore::~Lcore() {
    if (loop != nullptr) loop->~LcoreLoop();
}

Result<std::unique_ptr<Engine>> Engine::create(EngineSetup setup) {
    return Builder(setup).build();
}

Engine::~Engine() {
    if (const Result<void> stopped = stop(); !stopped) {
        std::fprintf(stderr, "weir: %s\n", stopped.error().message.c_str());
        std::abort();
    }
}

Result<void> Engine::start() {
    stop_.store(false, std::memory_order_relaxed);
    running_ = true;
    for (const auto& lcore : lcores_) {
        const auto main = [](void* loop) {
            static_cast<LcoreLoop*>(loop)->run();
            return 0;
        };
        if (rte_eal_remote_launch(main, lcore->loop, lcore->plan.lcore) == 0) continue;
        return Error{
            fmt::format("lcore {} is not there or busy: EAL was not started with the plan's"
                        " --lcores; leave -l, -c and --lcores out of the EAL arguments",
                        lcore->plan.lcore)};
    }
    return {};
}

bool Engine::polling() const noexcept {
    for (const auto& lcore : lcores_)
        if (lcore->loop->counters().loops.read() == 0) return false;
    return true;
}

Result<void> Engine::stop(std::chrono::milliseconds bound) {
    if (!running_) return {};
    stop_.store(true, std::memory_order_relaxed);
    const auto deadline = std::chrono::steady_clock::now() + bound;
    std::string stuck;
    for (const auto& lcore : lcores_) {
        while (rte_eal_get_lcore_state(lcore->plan.lcore) == RUNNING &&
               std::chrono::steady_clock::now() < deadline)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        if (rte_eal_get_lcore_state(lcore->plan.lcore) == RUNNING)
            stuck += fmt::format(" {} (CPU {})", lcore->plan.lcore, lcore->plan.cpu);
        else
            rte_eal_wait_lcore(lcore->plan.lcore);
    }
    if (!stuck.empty())
        return Error{fmt::format("did not stop within {} ms: lcore{}", bound.count(), stuck)};
    running_ = false;
    return {};
}

unsigned Engine::control_turn() {
    publisher_.poll();
    const Tables* tables = publisher_.current();
    return tables == nullptr ? 0 : exception_path_->run(*tables, clock_.now());
}

std::vector<FlowMailbox*> Engine::flow_mailboxes() {
    std::vector<FlowMailbox*> mailboxes;
    for (const auto& lcore : lcores_)
        if (WorkerStep* worker = lcore->loop->worker()) mailboxes.push_back(&worker->mailbox());
    return mailboxes;
}

std::vector<StationMailbox*> Engine::station_mailboxes() {
    std::vector<StationMailbox*> mailboxes;
    for (const auto& lcore : lcores_)
        if (WorkerStep* worker = lcore->loop->worker())
            mailboxes.push_back(&worker->unknown_stations());
    return mailboxes;
}

std::uint64_t Engine::tx_full(PortId port) const noexcept {
    std::uint64_t frames = control_tx_->full(port);
    for (const auto& lcore : lcores_)
        if (const TxStage* tx = lcore->loop->tx()) frames += tx->full(port);
    return frames;
}

}  // namespace weir
