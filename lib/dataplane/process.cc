// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dataplane/process.hh"

#include <array>

#include "lib/dataplane/classify.hh"
#include "lib/dataplane/forward.hh"
#include "lib/dataplane/plain.hh"

namespace weir {

namespace {

constexpr std::size_t packets_ahead = 8;  // that are prefetched while one is read

}  // namespace

// Plain packets of a service with one port are most of them; classify() decides about the others.
[[gnu::always_inline]] inline void Pipeline::receive(const Tables& tables, const Packet& packet,
                                                     Flow& flow, Verdict& verdict) noexcept {
    Parsed& parsed = flow.parsed;
    flow.service = nullptr;
    FlowWords words;
    if (read_plain(packet, tables.ports[index(packet.port)], parsed)) [[likely]] {
        words = flow_words(packet.data, parsed);
        flow.service =
            tables.index.find_single(parsed.family, words.destination, words.destination_rest,
                                     parsed.protocol, parsed.destination_port);
    }
    if (flow.service == nullptr) [[unlikely]] {
        const Classified classified = classify(tables, packet);
        verdict = classified.verdict;
        if (classified.service == nullptr) return;
        parsed = classified.parsed;
        flow.service = classified.service;
        words = flow_words(packet.data, parsed);
    }
    words.store(flow.key);
    const ServiceTable& service = *flow.service;
    flow.name = flows_.name(words, static_cast<std::uint16_t>(service.endpoint(parsed.protocol)),
                            service.several_ports());
    flows_.prefetch(flow.name);
}

void Pipeline::process(const Tables& tables, std::span<Packet> packets, std::span<Verdict> verdicts,
                       Tick now) noexcept {
    Flow* const flows = burst_.data();
    const std::size_t count = packets.size();

    // 1. What is it, and for which service? Lines of the connection table start to load.
    for (std::size_t i = 0; i < count; ++i) {
        if (i + packets_ahead < count) {
            const std::uint8_t* data = packets[i + packets_ahead].data;
            __builtin_prefetch(data);
            __builtin_prefetch(data - 64, 1);  // where an outer header will begin
        }
        receive(tables, packets[i], flows[i], verdicts[i]);
    }
    // 2. Where its entry lies; the few that are elsewhere start to load.
    const std::uint32_t changes = flows_.changes();
    for (std::size_t i = 0; i < count; ++i)
        if (flows[i].service != nullptr) flows[i].place = flows_.look(flows[i].name);
    // 3. Backend, then bytes. In order: a burst may hold several packets of one flow.
    for (std::size_t i = 0; i < count; ++i) {
        if (flows[i].service == nullptr) continue;
        flows[i].place = flows_.find(flows[i].name, flows[i].place, changes);
        verdicts[i] = serve(tables, flows[i], packets[i], now);
    }
}

Verdict Pipeline::serve(const Tables& tables, const Flow& flow, Packet& packet, Tick now) noexcept {
    const ServiceTable& service = *flow.service;
    const Choice choice = choose(tables, service, flow, now);
    if (choice.backend == nullptr) return Verdict::dropped(choice.reason);
    const Parsed& parsed = flow.parsed;
    const Verdict verdict = forward(tables, *choice.backend, parsed, flow.name.hash(), packet);
    if (verdict.action == Action::send) {
        for (TrafficCounters* traffic : {&traffic_.services[index(service.id)],
                                         &traffic_.backends[index(choice.backend->id)]}) {
            traffic->packets.add(1);
            traffic->bytes.add(parsed.ip_length);
        }
    }
    return verdict;
}

Pipeline::Choice Pipeline::choose(const Tables& tables, const ServiceTable& service,
                                  const Flow& flow, Tick now) noexcept {
    const std::uint8_t flags = flow.parsed.tcp_flags;
    const FlowPlace place = flow.place;
    const FlowState state = place ? flows_.state(place) : FlowState::untracked;
    if (place && flows_.is_live(place, now) && !reopens(state, flags)) {
        const BackendEntry* backend = tables.backend(BackendId{flows_.backend(place)}, service.id);
        if (backend != nullptr && backend->keeps_flows) {
            const FlowState next = next_state(state, flags);
            flows_.set_time(place, next, now + timeout_of(next, tables.timeouts));
            return {backend, {}};
        }
    }
    // New, expired, reopened, or its backend went away: pick by the service's table.
    const Seat seat = maglev_lookup(service.slots, slot_hash(flow.key, tables.hash_seed));
    if (seat == no_seat) return {nullptr, DropReason::no_backend};
    const BackendEntry& backend = service.seats[seat];
    const FlowState first = first_state(flow.key.protocol, flags);
    const Tick expires = now + timeout_of(first, tables.timeouts);
    if (place) {
        forget(flows_.backend(place));
        flows_.set(place, index(backend.id), first, expires);
    } else {
        const FlowTable::Inserted inserted =
            flows_.insert(flow.name, index(backend.id), first, expires, now);
        if (inserted.replaced) forget(inserted.old_backend);
        if (!inserted.done) {
            counters_.flow_insert_failed.add(1);
            if (tables.when_full == WhenFull::drop_new)
                return {nullptr, DropReason::conntrack_full};
            return {&backend, {}};
        }
    }
    remember(backend);
    return {&backend, {}};
}

void Pipeline::remember(const BackendEntry& backend) noexcept {
    traffic_.service_of_backend[index(backend.id)] =
        static_cast<std::uint16_t>(index(backend.service));
    for (TrafficCounters* traffic :
         {&traffic_.services[index(backend.service)], &traffic_.backends[index(backend.id)]}) {
        traffic->new_flows.add(1);
        traffic->active_flows.add(1);
    }
}

void Pipeline::forget(std::uint32_t backend) noexcept {
    traffic_.services[traffic_.service_of_backend[backend]].active_flows.subtract(1);
    traffic_.backends[backend].active_flows.subtract(1);
}

void Pipeline::sweep(std::uint32_t lines, Tick now) noexcept {
    flows_.sweep(lines, now, [this](std::uint32_t backend) { forget(backend); });
}

}  // namespace weir
