// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dpdk/counters_view.hh"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>
#include <rte_cycles.h>

namespace weir {
namespace {

template <std::size_t size>
[[nodiscard]] std::uint64_t sum(const std::array<Counter, size>& counters) {
    std::uint64_t total = 0;
    for (const Counter& counter : counters)
        total += counter.read();
    return total;
}

// Unix time now, in seconds.
[[nodiscard]] double unix_time() {
    using Seconds = std::chrono::duration<double>;
    return Seconds(std::chrono::system_clock::now().time_since_epoch()).count();
}

[[nodiscard]] WorkerView view_of(const Engine::Lcore& lcore, const TickClock& clock) {
    const LcoreCounters& counters = lcore.loop->counters();
    WorkerView view;
    view.name = lcore.plan.worker >= 0 ? fmt::format("worker{}", lcore.plan.worker)
                                       : fmt::format("rx{}", lcore.plan.rx);
    view.lcore = lcore.plan.lcore;
    view.cpu = lcore.plan.cpu;
    view.numa = lcore.node;
    view.polls_nic = lcore.polls;
    view.is_worker = lcore.plan.worker >= 0;
    view.received = counters.received.read();
    view.handed_over = counters.handed_over.read();
    view.handed_in = counters.handed_in.read();
    view.sent = counters.sent.read();
    view.punted = sum(counters.punted);
    view.dropped = sum(counters.dropped);
    view.loops = counters.loops.read();
    view.busy_loops = counters.busy_loops.read();
    view.busy_seconds = clock.seconds(counters.busy_cycles.read());
    if (const std::uint64_t last = counters.last_loop_tsc.read(); last != 0) {
        const std::uint64_t now = rte_rdtsc();
        view.seconds_since_loop = clock.seconds(now > last ? now - last : 0);
        view.last_loop_timestamp = unix_time() - view.seconds_since_loop;
    }
    view.flow_entries = counters.flow_entries.read();
    view.flow_capacity = lcore.flows ? lcore.flows->capacity() : 0;
    view.flow_insert_failed = counters.flow_insert_failed.read();
    return view;
}

void add(TrafficView& total, const TrafficCounters& counters) {
    total.packets += counters.packets.read();
    total.bytes += counters.bytes.read();
    total.new_flows += counters.new_flows.read();
    total.active_flows += counters.active_flows.read();
}

}  // namespace

void fill_counters(const Engine& engine, InstanceView& view) {
    std::array<std::uint64_t, drop_reason_count> drops{};
    view.received = view.sent = view.punted = view.dropped = 0;
    view.injected = engine.control_counters().injected.read();
    view.fragmented = 0;
    view.punted_by_class = {};
    view.icmp_errors_sent = {};
    view.workers.clear();
    for (const auto& lcore : engine.lcores()) {
        const LcoreCounters& counters = lcore->loop->counters();
        view.workers.push_back(view_of(*lcore, engine.clock()));
        view.received += view.workers.back().received;
        view.sent += view.workers.back().sent;
        view.punted += view.workers.back().punted;
        view.dropped += view.workers.back().dropped;
        view.injected += counters.injected.read();
        view.fragmented += counters.fragmented.read();
        for (std::size_t i = 0; i < drops.size(); ++i)
            drops[i] += counters.dropped[i].read();
        for (std::size_t i = 0; i < punt_class_count; ++i)
            view.punted_by_class[i] += counters.punted[i].read();
        for (std::size_t i = 0; i < icmp_error_type_count; ++i)
            view.icmp_errors_sent[i] += counters.icmp_errors_sent[i].read();
    }
    view.drops.clear();
    for (std::size_t i = 0; i < drops.size(); ++i)
        view.drops.push_back(
            {std::string(drop_reasons[i].name), std::string(drop_reasons[i].help), drops[i]});
    view.rings.clear();
    for (const auto& ring : engine.rings())
        view.rings.push_back({ring->label(), ring->used(), ring->size()});
    const std::size_t ports = std::min(view.ports.size(), engine.port_count());
    for (std::size_t i = 0; i < ports; ++i) {
        const PortId id{static_cast<std::uint8_t>(i)};
        const ExceptionPath::PortCounts& counts = engine.exception_path().counts(id);
        PortView& port = view.ports[i];
        port.tx_full = engine.tx_full(id);
        port.tap_to_port = counts.tap_to_port;
        port.port_to_tap = counts.port_to_tap;
        port.probe_out = counts.probe_out;
        port.probe_in = counts.probe_in;
    }
}

TrafficView service_traffic(const Engine& engine, ServiceId id) {
    TrafficView total;
    for (const auto& lcore : engine.lcores())
        if (lcore->traffic != nullptr) add(total, lcore->traffic->services[index(id)]);
    return total;
}

TrafficView backend_traffic(const Engine& engine, BackendId id) {
    TrafficView total;
    for (const auto& lcore : engine.lcores())
        if (lcore->traffic != nullptr) add(total, lcore->traffic->backends[index(id)]);
    return total;
}

}  // namespace weir
