// SPDX-License-Identifier: BSD-3-Clause
// Packets whose flow has no entry, or one that has ended or names a backend that is gone: the
// service's table chooses.
#include <bit>

#include "lib/dataplane/process.hh"

namespace weir {

[[gnu::always_inline]] inline void Pipeline::remember(const BackendEntry& backend) noexcept {
    const std::uint32_t id = index(backend.id), service = index(backend.service);
    TrafficCounters &of_service = traffic_.services[service], &of_backend = traffic_.backends[id];
    traffic_.service_of_backend[id] = static_cast<std::uint16_t>(service);
    of_service.new_flows.add(1);
    of_service.active_flows.add(1);
    of_backend.new_flows.add(1);
    of_backend.active_flows.add(1);
}

[[gnu::always_inline]] inline const BackendEntry* Pipeline::by_slot(
    const Tables& tables, std::size_t i, const Packet& packet) const noexcept {
    const ServiceTable& service = *tables.services[burst_.services[i].place];
    const std::uint64_t hash = slot_hash(flow_words(packet.data, burst_.meta(i)), tables.hash_seed);
    const Seat seat = maglev_lookup(service.slots, hash);
    return seat != no_seat ? &service.seats[seat] : nullptr;
}

[[gnu::noinline]] void Pipeline::choose(const Tables& tables, BurstMask flows,
                                        std::span<const Packet> packets) noexcept {
    for (BurstMask rest = flows & ~by_cid_; rest != 0; rest &= rest - 1) {
        const auto i = static_cast<std::size_t>(std::countr_zero(rest));
        burst_.chosen[i] = by_slot(tables, i, packets[i]);
    }
}

// For a flow that is new, expired or reopened, or whose backend went away. Only what becomes of
// most new flows happens here, in a few registers.
[[gnu::noinline]] Pipeline::Choice Pipeline::pick(const Common& common, std::size_t i,
                                                  const Packet& packet) noexcept {
    const BackendEntry* const entry =
        (chosen_ & bit(i)) != 0 ? burst_.chosen[i] : by_slot(common.tables, i, packet);
    if (entry == nullptr) [[unlikely]]
        return {nullptr, DropReason::no_backend};
    const BackendEntry& backend = *entry;
    if (burst_.places[i]) [[unlikely]]
        return pick_again(common, i, backend);
    if (!common.tables.sloppy_tcp && !may_begin(i)) [[unlikely]]
        return {nullptr, DropReason::policy_denied};
    const FlowName name = burst_.name(i);
    if (!flows_.insert_at_home(name, first_value(common, i, backend))) {
        if (!flows_.is_full_for(name, common.now)) return pick_elsewhere(common, i, backend);
        return untracked(common.tables, backend);
    }
    inserted_ |= home_bit(i);
    remember(backend);
    return {&backend, {}};
}

[[gnu::always_inline]] inline FlowValue Pipeline::first_value(
    const Common& common, std::size_t i, const BackendEntry& backend) const noexcept {
    const FlowState first = first_state(burst_.protocols[i]);
    return {index(backend.id), first, common.deadlines.first(first)};
}

// Of TCP a SYN alone.
bool Pipeline::may_begin(std::size_t i) const noexcept {
    constexpr std::uint8_t all = tcp_syn | tcp_ack | tcp_rst | tcp_fin;
    return burst_.protocols[i] != proto_tcp || (burst_.tcp_flags[i] & all) == tcp_syn;
}

[[gnu::noinline]] Pipeline::Choice Pipeline::pick_again(const Common& common, std::size_t i,
                                                        const BackendEntry& backend) noexcept {
    const FlowEntry entry = flows_.entry(burst_.name(i), burst_.places[i]);
    const bool ended =
        common.deadlines.is_past(entry.expiry()) || reopens(entry.state(), burst_.tcp_flags[i]);
    if (ended && !common.tables.sloppy_tcp && !may_begin(i))
        return {nullptr, DropReason::policy_denied};
    if (!ended && !common.tables.expire_nodest_conn) return {nullptr, DropReason::no_backend};
    forget(entry.backend());
    entry.set(first_value(common, i, backend));
    unsettle(i);
    remember(backend);
    return {&backend, {}};
}

[[gnu::noinline]] Pipeline::Choice Pipeline::pick_elsewhere(const Common& common, std::size_t i,
                                                            const BackendEntry& backend) noexcept {
    const FlowTable::Inserted inserted =
        flows_.insert(burst_.name(i), first_value(common, i, backend), common.now);
    if (!inserted.done) return untracked(common.tables, backend);
    if (inserted.replaced) forget(inserted.old_backend);
    inserted_ |= home_bit(i);
    moved_ = moved_ || inserted.moved;
    remember(backend);
    return {&backend, {}};
}

Pipeline::Choice Pipeline::untracked(const Tables& tables, const BackendEntry& backend) noexcept {
    counters_.flow_insert_failed.add(1);
    if (tables.when_full == WhenFull::drop_new) return {nullptr, DropReason::conntrack_full};
    return {&backend, {}};
}

}  // namespace weir
