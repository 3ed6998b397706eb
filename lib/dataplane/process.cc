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
    flow.hash = flow_hash(words, secret_);
    flows_.prefetch(flow.hash);
    words.store(flow.key);
}

void Pipeline::process(const Tables& tables, std::span<Packet> packets, std::span<Verdict> verdicts,
                       Tick now) noexcept {
    Flow* const flows = burst_.data();
    const std::size_t count = packets.size();

    // 1. What is it, and for which service? Buckets of the connection table start to load.
    for (std::size_t i = 0; i < count; ++i) {
        if (i + packets_ahead < count) {
            const std::uint8_t* data = packets[i + packets_ahead].data;
            __builtin_prefetch(data);
            __builtin_prefetch(data - 64, 1);  // where an outer header will begin
        }
        receive(tables, packets[i], flows[i], verdicts[i]);
    }
    // 2. Entries start to load.
    for (std::size_t i = 0; i < count; ++i)
        if (flows[i].service != nullptr) flows_.prefetch_entry(flows[i].hash);
    // 3. Backend, then bytes. In order: a burst may hold several packets of one flow.
    for (std::size_t i = 0; i < count; ++i)
        if (flows[i].service != nullptr) verdicts[i] = serve(tables, flows[i], packets[i], now);
}

Verdict Pipeline::serve(const Tables& tables, const Flow& flow, Packet& packet, Tick now) noexcept {
    const ServiceTable& service = *flow.service;
    const Choice choice = choose(tables, service, flow, now);
    if (choice.backend == nullptr) return Verdict::dropped(choice.reason);
    const Parsed& parsed = flow.parsed;
    const Verdict verdict = forward(tables, *choice.backend, parsed, flow.hash, packet);
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
    FlowEntry* entry = flows_.find(flow.key, flow.hash, now);
    if (entry != nullptr && !reopens(entry->state, flags)) {
        const BackendEntry* backend = tables.backend(BackendId{entry->backend}, service.id);
        if (backend != nullptr && backend->keeps_flows) {
            entry->state = next_state(entry->state, flags);
            entry->expires = now + timeout_of(entry->state, tables.timeouts);
            return {backend, {}};
        }
    }
    // New, reopened, or its backend went away: pick by the service's table.
    const Seat seat = maglev_lookup(service.slots, slot_hash(flow.key, tables.hash_seed));
    if (seat == no_seat) return {nullptr, DropReason::no_backend};
    const BackendEntry& backend = service.seats[seat];
    if (entry != nullptr) {
        forget(*entry);
        remember(*entry, backend, flow, tables.timeouts, now);
        return {&backend, {}};
    }
    const FlowTable::Inserted inserted = flows_.insert(flow.key, flow.hash, now);
    if (inserted.replaced) {
        traffic_.services[inserted.old_service].active_flows.subtract(1);
        traffic_.backends[inserted.old_backend].active_flows.subtract(1);
    }
    if (inserted.entry == nullptr) {
        counters_.flow_insert_failed.add(1);
        if (tables.when_full == WhenFull::drop_new) return {nullptr, DropReason::conntrack_full};
        return {&backend, {}};
    }
    remember(*inserted.entry, backend, flow, tables.timeouts, now);
    return {&backend, {}};
}

void Pipeline::remember(FlowEntry& entry, const BackendEntry& backend, const Flow& flow,
                        const FlowTimeouts& timeouts, Tick now) noexcept {
    entry.backend = index(backend.id);
    entry.service = index(backend.service);
    entry.state = first_state(flow.key.protocol, flow.parsed.tcp_flags);
    entry.expires = now + timeout_of(entry.state, timeouts);
    for (TrafficCounters* traffic :
         {&traffic_.services[entry.service], &traffic_.backends[entry.backend]}) {
        traffic->new_flows.add(1);
        traffic->active_flows.add(1);
    }
}

void Pipeline::forget(const FlowEntry& entry) noexcept {
    traffic_.services[entry.service].active_flows.subtract(1);
    traffic_.backends[entry.backend].active_flows.subtract(1);
}

void Pipeline::sweep(std::uint32_t count, Tick now) noexcept {
    flows_.sweep(count, now, [this](const FlowEntry& entry) { forget(entry); });
}

}  // namespace weir
