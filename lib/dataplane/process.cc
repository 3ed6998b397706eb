// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dataplane/process.hh"

#include "lib/dataplane/classify.hh"
#include "lib/dataplane/forward.hh"
#include "lib/dataplane/plain.hh"

namespace weir {

// Plain packets of a service with one port are most of them; receive_odd() decides about the
// others.
template <std::uint32_t at>
[[gnu::always_inline]] inline void Pipeline::receive_at(const Tables& tables, const Packet& packet,
                                                        Flow& flow, Verdict& verdict) noexcept {
    PacketMeta& meta = flow.meta;
    if (read_plain<at>(packet, tables.ports[index(packet.port)], meta)) [[likely]] {
        const FlowWords words = flow_words(packet.data, meta);
        const auto v4 = [](std::uint64_t word) { return static_cast<std::uint32_t>(word); };
        const bool is_v4 = meta.family == Family::v4;
        flow.service = is_v4 ? tables.index.find_single(v4(words.destination), meta.protocol,
                                                        meta.destination_port)
                             : tables.index.find_single(words.destination, words.destination_rest,
                                                        meta.protocol, meta.destination_port);
        if (flow.service) [[likely]] {
            const auto endpoint = static_cast<std::uint16_t>(flow.service.endpoint);
            if (is_v4)
                flows_.name(flow.name, v4(words.source), meta.source_port, endpoint);
            else
                flows_.name(flow.name, {words.source, words.source_rest}, meta.source_port,
                            endpoint);
            flows_.prefetch(flow.name);
            return;
        }
    }
    receive_odd(tables, packet, flow, verdict);
}

[[gnu::noinline]] void Pipeline::receive_tagged(const Tables& tables, const Packet& packet,
                                                Flow& flow, Verdict& verdict) noexcept {
    receive_at<plain::tagged>(tables, packet, flow, verdict);
}

[[gnu::noinline]] void Pipeline::receive_odd(const Tables& tables, const Packet& packet, Flow& flow,
                                             Verdict& verdict) noexcept {
    const Classified classified = classify(tables, packet);
    verdict = classified.verdict;
    flow.service = {};
    if (classified.service == nullptr) return;
    const ServiceTable& service = *classified.service;
    flow.meta = meta_of(classified.parsed);
    flow.service = {classified.place, service.endpoint(flow.meta.protocol),
                    static_cast<std::uint16_t>(index(service.id))};
    flow.name =
        flows_.name(flow_words(packet.data, flow.meta),
                    static_cast<std::uint16_t>(flow.service.endpoint), service.several_ports());
    flows_.prefetch(flow.name);
}

void Pipeline::process(const Tables& tables, std::span<Packet> packets, std::span<Verdict> verdicts,
                       Tick now) noexcept {
    Flow* const flows = burst_.data();
    const std::size_t count = packets.size();

    // 1. What is it, and for which service? Lines of the connection table start to load.
    for (std::size_t i = 0; i < count; ++i) {
        if (tables.ports[index(packets[i].port)].vlan == 0) [[likely]]
            receive_at<plain::untagged>(tables, packets[i], flows[i], verdicts[i]);
        else
            receive_tagged(tables, packets[i], flows[i], verdicts[i]);
    }
    // 2. Where its entry lies. Of a few the other line starts to load; they are served last.
    const std::uint32_t changes = flows_.changes();
    std::size_t open = 0;
    for (std::size_t i = 0; i < count; ++i) {
        if (!flows[i].service) continue;
        const LinePlace place = flows_.look(flows[i].name);
        flows[i].place = place;
        open_[open] = static_cast<std::uint8_t>(i);
        open += place.is_open() ? 1 : 0;
    }
    // 3. Backend, then bytes. A burst may hold several packets of a new flow: once there is a new
    // entry, what was seen before is looked up again.
    const Burst common{tables, now, Deadlines(tables.timeouts, now)};
    Run run;
    for (std::size_t i = 0; i < count; ++i) {
        if (!flows[i].service || flows[i].place.is_open()) continue;
        if (flows_.changes() != changes) [[unlikely]]
            flows[i].place = flows_.find(flows[i].name);
        verdicts[i] = serve(common, flows[i], packets[i], run);
    }
    for (std::size_t next = 0; next < open; ++next) {
        const std::size_t i = open_[next];
        flows[i].place = flows_.changes() == changes ? flows_.finish(flows[i].name, flows[i].place)
                                                     : flows_.find(flows[i].name);
        verdicts[i] = serve(common, flows[i], packets[i], run);
    }
    count_service(run);
}

[[gnu::always_inline]] inline Verdict Pipeline::serve(const Burst& burst, const Flow& flow,
                                                      Packet& packet, Run& run) noexcept {
    const BackendEntry* backend = kept(burst, flow);
    if (backend == nullptr) [[unlikely]] {
        const Choice choice = pick(burst, flow, packet);
        if (choice.backend == nullptr) return Verdict::dropped(choice.reason);
        backend = choice.backend;
    }
    const Verdict verdict = forward(burst.tables, *backend, flow.meta, flow.name.hash(), packet);
    if (verdict.is_sent()) [[likely]]
        count(flow, backend->id, run);
    return verdict;
}

[[gnu::always_inline]] inline const BackendEntry* Pipeline::kept(const Burst& burst,
                                                                 const Flow& flow) noexcept {
    if (!flow.place) return nullptr;
    const FlowEntry entry = flows_.entry(flow.name, flow.place);
    const FlowState state = entry.state();
    const Expiry expiry = entry.expiry();
    const Transition to = transition(state, flow.meta.tcp_flags);
    if (burst.deadlines.is_past(expiry) || to.reopens()) return nullptr;
    const BackendEntry* backend =
        burst.tables.backend(BackendId{entry.backend()}, ServiceId{flow.service.id});
    if (backend == nullptr || !backend->keeps_flows) return nullptr;
    const FlowState next = to.next();
    if (next != state || burst.deadlines.is_due(state, expiry))
        entry.set_time(next, burst.deadlines.next(next));
    return backend;
}

[[gnu::always_inline]] inline void Pipeline::remember(const BackendEntry& backend) noexcept {
    const std::uint32_t id = index(backend.id), service = index(backend.service);
    TrafficCounters &of_service = traffic_.services[service], &of_backend = traffic_.backends[id];
    traffic_.service_of_backend[id] = static_cast<std::uint16_t>(service);
    of_service.new_flows.add(1);
    of_service.active_flows.add(1);
    of_backend.new_flows.add(1);
    of_backend.active_flows.add(1);
}

// For a flow that is new, expired or reopened, or whose backend went away. Only what becomes of
// most new flows happens here, in a few registers.
[[gnu::noinline]] Pipeline::Choice Pipeline::pick(const Burst& burst, const Flow& flow,
                                                  const Packet& packet) noexcept {
    const Tables& tables = burst.tables;
    const ServiceTable& service = *tables.services[flow.service.place];
    const std::uint64_t hash = slot_hash(flow_words(packet.data, flow.meta), tables.hash_seed);
    const Seat seat = maglev_lookup(service.slots, hash);
    if (seat == no_seat) [[unlikely]]
        return {nullptr, DropReason::no_backend};
    const BackendEntry& backend = service.seats[seat];
    if (flow.place) [[unlikely]]
        return pick_again(burst, flow, backend);
    if (!flows_.insert_at_home(flow.name, first_value(burst, flow, backend))) {
        if (!flows_.is_full_for(flow.name, burst.now)) return pick_elsewhere(burst, flow, backend);
        return untracked(tables, backend);
    }
    remember(backend);
    return {&backend, {}};
}

[[gnu::always_inline]] inline FlowValue Pipeline::first_value(
    const Burst& burst, const Flow& flow, const BackendEntry& backend) noexcept {
    const FlowState first = first_state(flow.meta.protocol);
    return {index(backend.id), first, burst.deadlines.first(first)};
}

[[gnu::noinline]] Pipeline::Choice Pipeline::pick_again(const Burst& burst, const Flow& flow,
                                                        const BackendEntry& backend) noexcept {
    const FlowEntry entry = flows_.entry(flow.name, flow.place);
    forget(entry.backend());
    entry.set(first_value(burst, flow, backend));
    remember(backend);
    return {&backend, {}};
}

[[gnu::noinline]] Pipeline::Choice Pipeline::pick_elsewhere(const Burst& burst, const Flow& flow,
                                                            const BackendEntry& backend) noexcept {
    const FlowTable::Inserted inserted =
        flows_.insert(flow.name, first_value(burst, flow, backend), burst.now);
    if (!inserted.done) return untracked(burst.tables, backend);
    if (inserted.replaced) forget(inserted.old_backend);
    remember(backend);
    return {&backend, {}};
}

Pipeline::Choice Pipeline::untracked(const Tables& tables, const BackendEntry& backend) noexcept {
    counters_.flow_insert_failed.add(1);
    if (tables.when_full == WhenFull::drop_new) return {nullptr, DropReason::conntrack_full};
    return {&backend, {}};
}

// A service's packets often follow each other; their sum is one write.
[[gnu::always_inline]] inline void Pipeline::count(const Flow& flow, BackendId backend,
                                                   Run& run) noexcept {
    if (flow.service.id != run.service) [[unlikely]] {
        count_service(run);
        run.service = flow.service.id;
    }
    ++run.packets;
    run.bytes += flow.meta.ip_length;
    TrafficCounters& traffic = traffic_.backends[index(backend)];
    traffic.packets.add(1);
    traffic.bytes.add(flow.meta.ip_length);
}

[[gnu::always_inline]] inline void Pipeline::count_service(Run& run) noexcept {
    TrafficCounters& traffic = traffic_.services[run.service];
    traffic.packets.add(run.packets);
    traffic.bytes.add(run.bytes);
    run.packets = 0;
    run.bytes = 0;
}

void Pipeline::forget(std::uint32_t backend) noexcept {
    traffic_.services[traffic_.service_of_backend[backend]].active_flows.subtract(1);
    traffic_.backends[backend].active_flows.subtract(1);
}

void Pipeline::sweep(std::uint32_t lines, Tick now) noexcept {
    flows_.sweep(lines, now, [this](std::uint32_t backend) { forget(backend); });
}

}  // namespace weir
