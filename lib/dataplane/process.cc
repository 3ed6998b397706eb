// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dataplane/process.hh"

#include <bit>

#include "lib/dataplane/forward.hh"
#include "lib/dataplane/frame_lines.hh"
#include "lib/dataplane/lanes.hh"
#include "lib/dataplane/plain.hh"
#include "lib/dataplane/quic.hh"

namespace weir {

Pipeline::Pipeline(FlowTable& flows, LcoreCounters& counters, WorkerTraffic& traffic, Lanes lanes,
                   const WorkerPlace& place, NatTable* nat) noexcept
    : flows_(flows),
      counters_(counters),
      traffic_(traffic),
      lanes_(lanes == Lanes::where_available && lanes::available()),
      place_(place),
      nat_(nat),
      packet_ids_(place.own_id(0), place.id_step()),
      fragments_(place.secret) {}

namespace {

[[gnu::always_inline]] inline std::uint32_t v4(std::uint64_t word) noexcept {
    return static_cast<std::uint32_t>(word);
}

[[gnu::always_inline]] inline const ServiceHit& find_single(const ServiceIndex& index,
                                                            const FlowWords& words,
                                                            const PacketMeta& meta) noexcept {
    return meta.family == Family::v4
               ? index.find_single(v4(words.destination), meta.protocol, meta.destination_port)
               : index.find_single(words.destination, words.destination_rest, meta.protocol,
                                   meta.destination_port);
}

}  // namespace

[[gnu::always_inline]] inline void Pipeline::set_plain_flow(const FlowWords& words,
                                                            const PacketMeta& meta,
                                                            const ServiceHit& service,
                                                            std::size_t i) noexcept {
    const auto endpoint = static_cast<std::uint16_t>(service.endpoint);
    FlowName name;
    if (meta.family == Family::v4)
        flows_.name(name, v4(words.source), meta.source_port, endpoint);
    else
        flows_.name(name, {words.source, words.source_rest}, meta.source_port, endpoint);
    flows_.prefetch(name);
    burst_.set(i, meta, service, name);
}

// Plain packets of a service with one port are most of them; receive_odd() decides about the
// others.
template <std::uint32_t at>
[[gnu::always_inline]] inline bool Pipeline::receive_at(const Tables& tables, Packet& packet,
                                                        std::size_t i, Verdict& verdict,
                                                        Tick now) noexcept {
    PacketMeta meta;
    if (read_plain<at>(packet, tables.ports[index(packet.port)], meta)) [[likely]] {
        const FlowWords words = flow_words(packet.data, meta);
        const ServiceHit& service = find_single(tables.index, words, meta);
        if (service) [[likely]] {
            set_plain_flow(words, meta, service, i);
            return true;
        }
    }
    return receive_odd(tables, packet, i, verdict, now);
}

[[gnu::noinline]] bool Pipeline::receive_tagged(const Tables& tables, Packet& packet, std::size_t i,
                                                Verdict& verdict, Tick now) noexcept {
    return receive_at<plain::tagged>(tables, packet, i, verdict, now);
}

[[gnu::noinline]] bool Pipeline::receive_odd(const Tables& tables, Packet& packet, std::size_t i,
                                             Verdict& verdict, Tick now) noexcept {
    PacketMeta meta;
    if (read_plain_first(packet, tables.ports[index(packet.port)], meta)) {
        const FlowWords words = flow_words(packet.data, meta);
        const ServiceHit& service = find_single(tables.index, words, meta);
        if (service) {
            if (!admit_first(tables, packet, meta, words, i, verdict, now)) return false;
            set_plain_flow(words, meta, service, i);
            return true;
        }
    }
    const Classified classified = classify(tables, packet);
    verdict = classified.verdict;
    if (classified.is_fragment)
        return receive_fragment(tables, packet, classified.parsed, i, verdict, now);
    return receive_classified(tables, classified, packet, i, verdict, now);
}

// What is no client's packet is decided at once.
bool Pipeline::receive_classified(const Tables& tables, const Classified& classified,
                                  Packet& packet, std::size_t i, Verdict& verdict,
                                  Tick now) noexcept {
    if (classified.is_reply || classified.pool_end) {
        verdict = serve_from_backend(tables, classified, packet, now);
        return false;
    }
    if (classified.service == nullptr) {
        const bool expired =
            verdict.action == Action::drop && verdict.reason == DropReason::ttl_expired;
        if (expired && classified.is_for_vip)
            verdict = refuse_expired(tables, classified.parsed, packet, now);
        return false;
    }
    if (classified.is_icmp_error) {
        verdict = serve_icmp_error(tables, classified, packet, now);
        return false;
    }
    set_flow(packet, classified, i);
    if (classified.service->quic != nullptr) [[unlikely]]
        set_server(packet, classified, i);
    return true;
}

[[gnu::noinline]] void Pipeline::set_server(const Packet& packet, const Classified& classified,
                                            std::size_t i) noexcept {
    const BackendEntry* const server = quic_server(*classified.service, packet, classified.parsed);
    if (server == nullptr) return;
    burst_.chosen[i] = server;
    by_cid_ |= bit(i);
}

void Pipeline::set_flow(const Packet& packet, const Classified& classified,
                        std::size_t i) noexcept {
    const ServiceTable& service = *classified.service;
    const PacketMeta meta = meta_of(classified.parsed);
    const ServiceHit hit{classified.place, service.endpoint(meta.protocol),
                         static_cast<std::uint16_t>(index(service.id))};
    const FlowName name =
        flows_.name(flow_words(packet.data, meta), static_cast<std::uint16_t>(hit.endpoint),
                    service.several_ports());
    flows_.prefetch(name);
    burst_.set(i, meta, hit, name);
    if (meta.protocol == icmp_protocol(meta.family)) echoes_ |= bit(i);
}

void Pipeline::process(const Tables& tables, std::span<Packet> packets, std::span<Verdict> verdicts,
                       Tick now) noexcept {
    // 1. What is it, and for which service? Lines of the connection table start to load.
    lanes::Received plain;
    if (lanes_ && !packets.empty())
        plain = lanes::receive(tables, packets, flows_, burst_);
    else
        ask_for_room(packets, 0, asked_ahead);
    BurstMask flows = plain.narrow | plain.wide;
    for (BurstMask rest = first_bits(packets.size()) & ~flows; rest != 0; rest &= rest - 1) {
        const auto i = static_cast<std::size_t>(std::countr_zero(rest));
        if (!lanes_) ask_for_frames(packets, i + asked_ahead, 1);
        const bool tagged = tables.ports[index(packets[i].port)].vlan != 0;
        const bool is_flow =
            tagged ? receive_tagged(tables, packets[i], i, verdicts[i], now)
                   : receive_at<plain::untagged>(tables, packets[i], i, verdicts[i], now);
        flows |= is_flow ? bit(i) : 0;
    }
    serve_all(tables, flows, plain, packets, verdicts, now);
}

[[gnu::noinline]] void Pipeline::serve_all(const Tables& tables, BurstMask flows,
                                           const lanes::Received& plain, std::span<Packet> packets,
                                           std::span<Verdict> verdicts, Tick now) noexcept {
    const Common common{tables, now, Deadlines(tables.timeouts, now)};
    Run run;
    const auto group_at = [](std::size_t first) { return first_bits(lanes::group_size) << first; };
    // For a group after the other: while one is served, lines of the next but one arrive.
    lanes::Settled found = settle(common, plain.within(group_at(0)));
    for (std::size_t first = 0; first < packets.size(); first += lanes::group_size) {
        const BurstMask group = group_at(first), following = group << lanes::group_size;
        ask_for_room(packets, first + lanes::group_size, lanes::group_size);
        if (const lanes::Received later = plain.within(following << lanes::group_size))
            lanes::fetch(flows_, burst_, later);
        // The next group is looked up first, so that neither waits for the other. A state or
        // backend that changes here is looked at anew there: see unsettle(). What is added here
        // would be missing: where flows are new, the next group waits, or is looked up again.
        const bool ahead = found.absent == 0;
        lanes::Settled next;
        if (ahead) [[likely]]
            next = settle_ahead(common, plain.within(following));
        following_ = next.known;
        serve_group(common, flows & group, found, packets, verdicts, run);
        if (!ahead || inserted_ != 0) next = settle(common, plain.within(following));
        found = next;
    }
    count_service(run);
    if (echoes_ != 0) [[unlikely]]
        time_echoes(common);
}

[[gnu::always_inline]] inline lanes::Settled Pipeline::settle(
    const Common& common, const lanes::Received& group) noexcept {
    return group ? lanes::settle(flows_, burst_, group, common.deadlines) : lanes::Settled{};
}

[[gnu::always_inline]] inline lanes::Settled Pipeline::settle_ahead(
    const Common& common, const lanes::Received& group) noexcept {
    const lanes::Settled found = settle(common, group);
    for (BurstMask rest = found.elsewhere; rest != 0; rest &= rest - 1)
        flows_.prefetch_alternate(burst_.name(static_cast<std::size_t>(std::countr_zero(rest))));
    return found;
}

[[gnu::always_inline]] inline void Pipeline::serve_group(const Common& common, BurstMask flows,
                                                         const lanes::Settled& found,
                                                         std::span<Packet> packets,
                                                         std::span<Verdict> verdicts,
                                                         Run& run) noexcept {
    settled_ = found.known;
    inserted_ = 0;
    // Where new flows prevail, settled ones are served with them: no CPU foresees where loops over
    // a few end.
    if (std::popcount(settled_) > std::popcount(found.absent)) [[likely]] {
        flows &= ~lanes::send(common.tables, burst_, settled_, flows & ~settled_, packets, verdicts,
                              traffic_);
        if (flows == 0) return;
    }
    BurstMask open = 0;
    chosen_ = found.absent;
    for (BurstMask rest = flows & ~(settled_ | found.absent); rest != 0; rest &= rest - 1) {
        const auto i = static_cast<std::size_t>(std::countr_zero(rest));
        const LinePlace place = burst_.places[i] = flows_.look(burst_.name(i), common.now);
        open |= place.is_open() ? bit(i) : 0;
        chosen_ |= place ? 0 : bit(i);
    }
    if (found.absent != 0) chosen_ |= open;  // most of these prove to be new, too
    if (chosen_ != 0) choose(common.tables, chosen_, packets);
    moved_ = false;
    if ((by_cid_ & flows) != 0) [[unlikely]]
        return serve_with_cids(common, flows, open, packets, verdicts, run);
    serve_in_turn<false>(common, flows, open, packets, verdicts, run);
}

template <bool with_cids>
[[gnu::always_inline]] inline void Pipeline::serve_in_turn(const Common& common, BurstMask flows,
                                                           BurstMask open,
                                                           std::span<Packet> packets,
                                                           std::span<Verdict> verdicts,
                                                           Run& run) noexcept {
    // Those whose other line has only begun to load come last.
    BurstMask rest = flows & ~open;
    while (true) {
        if (rest == 0) {
            if (open == 0) return;
            rest = open;
            open = 0;
        }
        const auto i = static_cast<std::size_t>(std::countr_zero(rest));
        if (with_cids && (by_cid_ & bit(i)) != 0)
            verdicts[i] = serve_by_cid(common, i, packets[i], run);
        else
            verdicts[i] = serve(common, i, packets[i], run);
        rest &= rest - 1;
    }
}

[[gnu::noinline]] void Pipeline::serve_with_cids(const Common& common, BurstMask flows,
                                                 BurstMask open, std::span<Packet> packets,
                                                 std::span<Verdict> verdicts, Run& run) noexcept {
    serve_in_turn<true>(common, flows, open, packets, verdicts, run);
    by_cid_ &= ~flows;
}

[[gnu::always_inline]] inline Verdict Pipeline::serve(const Common& common, std::size_t i,
                                                      Packet& packet, Run& run) noexcept {
    const BackendEntry* backend = nullptr;
    if ((settled_ & bit(i)) != 0) [[likely]]
        backend = named(common.tables, i, burst_.backends[i]);
    if (backend == nullptr) backend = kept(common, i);
    if (backend == nullptr) [[unlikely]] {
        const Choice choice = pick(common, i, packet);
        if (choice.backend == nullptr) return Verdict::dropped(choice.reason);
        backend = choice.backend;
    }
    return send(common, i, *backend, packet, run);
}

[[gnu::always_inline]] inline Verdict Pipeline::send(const Common& common, std::size_t i,
                                                     const BackendEntry& backend, Packet& packet,
                                                     Run& run) noexcept {
    const Verdict verdict =
        forward(common.tables, backend, burst_.meta(i), burst_.name(i).hash(), packet,
                [&] { return forward_slowly(common, i, backend, packet); });
    if (!verdict.is_sent()) [[unlikely]]
        return refuse(common, i, backend, packet, verdict);
    count(i, backend.id, run);
    return verdict;
}

// What another has stays with it, and is not refreshed: a second connection from the same address
// and port, or a forged packet, takes nothing away; and the entry of a connection that has gone
// ends in its time. Without room for an entry the packet goes all the same, as its connection is no
// new one.
[[gnu::noinline]] Verdict Pipeline::serve_by_cid(const Common& common, std::size_t i,
                                                 Packet& packet, Run& run) noexcept {
    const BackendEntry& backend = *burst_.chosen[i];
    if (!is_held_by_other(common, i, backend) && kept(common, i) == nullptr) {
        chosen_ |= bit(i);
        pick(common, i, packet);
    }
    return send(common, i, backend, packet, run);
}

bool Pipeline::is_held_by_other(const Common& common, std::size_t i,
                                const BackendEntry& backend) noexcept {
    const LinePlace place = burst_.places[i] = place_now(i);
    if (!place) return false;
    const FlowEntry entry = flows_.entry(burst_.name(i), place);
    if (common.deadlines.is_past(entry.expiry())) return false;
    const BackendEntry* const holder = named(common.tables, i, entry.backend());
    return holder != nullptr && holder->id != backend.id;
}

[[gnu::always_inline]] inline const BackendEntry* Pipeline::named(
    const Tables& tables, std::size_t i, std::uint32_t backend) const noexcept {
    const BackendEntry* entry =
        tables.backend(BackendId{backend}, ServiceId{burst_.services[i].id});
    return entry != nullptr && entry->keeps_flows ? entry : nullptr;
}

// Where the flow's entry is now, as earlier packets of the group may have added entries since it
// was looked up, and moved others.
[[gnu::always_inline]] inline LinePlace Pipeline::place_now(std::size_t i) const noexcept {
    const LinePlace seen = burst_.places[i];
    const bool settled = (settled_ & bit(i)) != 0;  // was not looked up
    if (seen.is_open() || settled || moved_ || (!seen && (inserted_ & home_bit(i)) != 0))
        [[unlikely]] {
        const bool holds = !settled && !moved_ && (inserted_ & home_bit(i)) == 0;
        return holds ? flows_.finish(burst_.name(i), seen) : flows_.find(burst_.name(i));
    }
    return seen;
}

[[gnu::always_inline]] inline const BackendEntry* Pipeline::kept(const Common& common,
                                                                 std::size_t i) noexcept {
    const LinePlace place = burst_.places[i] = place_now(i);
    if (!place) return nullptr;
    const FlowEntry entry = flows_.entry(burst_.name(i), place);
    const FlowState state = entry.state();
    const Expiry expiry = entry.expiry();
    const Transition to = transition(state, burst_.tcp_flags[i]);
    if (common.deadlines.is_past(expiry) || to.reopens()) return nullptr;
    const BackendEntry* backend = named(common.tables, i, entry.backend());
    if (backend == nullptr) return nullptr;
    const FlowState next = to.next();
    if (next != state || common.deadlines.is_due(state, expiry)) {
        entry.set_time(next, common.deadlines.next(next));
        if (next != state) unsettle(i);
    }
    return backend;
}

[[gnu::noinline]] Verdict Pipeline::forward_slowly(const Common& common, std::size_t i,
                                                   const BackendEntry& backend,
                                                   Packet& packet) noexcept {
    if (backend.rewrite == Rewrite::full_nat) return forward_full_nat(common, i, backend, packet);
    return forward_any(common.tables, backend, burst_.meta(i), burst_.name(i).hash(), packet);
}

// Backend or state of packet `i`'s flow changed: its later packets look at the entry again.
[[gnu::noinline]] void Pipeline::unsettle(std::size_t i) noexcept {
    for (BurstMask rest = (settled_ | following_) & ~first_bits(i + 1); rest != 0;
         rest &= rest - 1) {
        const auto other = static_cast<std::size_t>(std::countr_zero(rest));
        if (burst_.same_flow(i, other)) burst_.backends[other] = index(invalid_backend);
    }
}

// A service's packets often follow each other; their sum is one write.
[[gnu::always_inline]] inline void Pipeline::count(std::size_t i, BackendId backend,
                                                   Run& run) noexcept {
    const ServiceHit& service = burst_.services[i];
    if (service.id != run.service) [[unlikely]] {
        count_service(run);
        run.service = service.id;
    }
    ++run.packets;
    run.bytes += burst_.ip_lengths[i];
    TrafficCounters& traffic = traffic_.backends[index(backend)];
    traffic.packets.add(1);
    traffic.bytes.add(burst_.ip_lengths[i]);
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
