// SPDX-License-Identifier: BSD-3-Clause
#include "perf/loop/parts.hh"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_prefetch.h>

#include "lib/dpdk/clock.hh"
#include "lib/dpdk/mbuf_adapter.hh"

namespace weir::loop {

Result<std::unique_ptr<WorkerState>> WorkerState::make(const Stage& stage) {
    auto state = std::make_unique<WorkerState>();
    auto memory = NumaRegion::allocate(FlowTable::footprint(stage.entries), 0, stage.huge);
    if (!memory) return memory.error();
    state->memory = std::move(memory).value();
    state->flows.emplace(state->memory.bytes(), stage.entries, Scene::secret());
    state->tables = stage.scene.tables();
    return state;
}

StepsRunner::StepsRunner(std::string name, const Stage& stage, unsigned lcore,
                         std::vector<std::unique_ptr<Lane>> given,
                         std::unique_ptr<WorkerState> state)
    : OwnLoopRunner(std::move(name), stage, std::move(given)), state_(std::move(state)) {
    const Lane* const lane = lanes().front().get();
    stations_ = {{"worker0",
                  lcore,
                  lane,
                  lane,
                  &state_->counters,
                  {{"rx", &rx_cycles_}, {"worker", &worker_cycles_}, {"rest", &rest_cycles_}}}};
}

void StepsRunner::forward(std::size_t) noexcept {
    LcoreCounters& counters = state_->counters;
    const Lane& lane = *lanes().front();
    RxStep::Setup receive;
    receive.queues = {{stage_.port.device(), 0, PortId{0}}};
    receive.owners = {nullptr};
    receive.self = 0;
    receive.secret = Scene::secret();
    receive.pool = stage_.pools.front();
    RxStep rx(std::move(receive), counters);
    TxStage::PortSetup out;
    out.device = stage_.port.device();
    out.owner = true;
    TxStage tx({out}, counters, false);
    WorkerStep::Setup work;
    work.flows = &*state_->flows;
    work.traffic = state_->traffic.get();
    WorkerStep worker(work, counters, tx);

    const TickClock clock;
    std::uint64_t begin = rte_rdtsc();
    while (running()) {
        const std::uint64_t receive_before = lane.receive_cycles(),
                            send_before = lane.send_cycles();
        const unsigned received = rx.poll(*state_->tables);
        const auto kept = rx.take_kept();
        const std::uint64_t polled = rte_rdtsc();
        worker.run(*state_->tables, kept, clock.at(begin));
        const std::uint64_t worked = rte_rdtsc();
        tx.drain();
        worker.housekeep(clock.at(begin));
        const std::uint64_t end = rte_rdtsc();
        if (received != 0) {
            counters.busy_loops.add(1);
            counters.busy_cycles.add(end - begin);
            rx_cycles_.add(polled - begin - (lane.receive_cycles() - receive_before));
            worker_cycles_.add(worked - polled - (lane.send_cycles() - send_before));
            rest_cycles_.add(end - worked);
        }
        begin = rte_rdtsc();
    }
}

ProcessRunner::ProcessRunner(std::string name, const Stage& stage, unsigned lcore,
                             std::vector<std::unique_ptr<Lane>> given,
                             std::unique_ptr<WorkerState> state)
    : OwnLoopRunner(std::move(name), stage, std::move(given)), state_(std::move(state)) {
    const Lane* const lane = lanes().front().get();
    stations_ = {
        {"worker0", lcore, lane, lane, &state_->counters, {{"process", &process_cycles_}}}};
}

void ProcessRunner::forward(std::size_t) noexcept {
    LcoreCounters& counters = state_->counters;
    Pipeline pipeline(*state_->flows, counters, *state_->traffic);
    const std::uint16_t device = stage_.port.device();
    const TickClock clock;
    std::array<rte_mbuf*, rx_burst> mbufs;
    std::array<Packet, rx_burst> packets;
    std::array<Verdict, rx_burst> verdicts;
    std::uint64_t begin = rte_rdtsc();
    while (running()) {
        const std::uint16_t count = rte_eth_rx_burst(device, 0, mbufs.data(), rx_burst);
        for (std::uint16_t i = 0; i < count; ++i) {
            mbufs[i]->port = 0;
            rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], const void*));
            packets[i] = to_packet(*mbufs[i]);
        }
        const std::uint64_t before = rte_rdtsc();
        if (count != 0)
            pipeline.process(*state_->tables, {packets.data(), count}, {verdicts.data(), count},
                             clock.at(begin));
        const std::uint64_t after = rte_rdtsc();
        std::uint16_t kept = 0;
        for (std::uint16_t i = 0; i < count; ++i) {
            if (verdicts[i].action == Action::send) {
                write_back(mbufs[i], packets[i]);
                mbufs[kept++] = mbufs[i];
            } else {
                rte_pktmbuf_free(mbufs[i]);
            }
        }
        if (kept != 0) rte_eth_tx_burst(device, 0, mbufs.data(), kept);
        const std::uint64_t end = rte_rdtsc();
        if (count != 0) {
            counters.busy_loops.add(1);
            counters.busy_cycles.add(end - begin);
            process_cycles_.add(after - before);
        }
        begin = end;
    }
}

}  // namespace weir::loop
