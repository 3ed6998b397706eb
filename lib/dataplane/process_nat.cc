// SPDX-License-Identifier: BSD-3-Clause
// Translated flows, on the worker that owns the client's flow: replies of nat backends, and both
// directions of full-nat. ICMP errors about them: process_nat_icmp.cc.
#include "lib/dataplane/family_change.hh"
#include "lib/dataplane/forward.hh"
#include "lib/dataplane/nat.hh"
#include "lib/dataplane/process.hh"
#include "lib/dataplane/rewritten_headers.hh"
#include "lib/dataplane/telling.hh"
#include "lib/wire/fragmentation.hh"

namespace weir {
namespace {

// Whether a packet from there is the backend's, whose port may be any of the service's.
bool is_end(const PacketEnd& end, const PacketEnd& from, std::uint16_t service_port) noexcept {
    return end.address == from.address && from.port == (end.port != 0 ? end.port : service_port);
}

// A reload may have given the service a pool and backends of the other family.
bool suits(const Tables& tables, const PoolEnd& end, const BackendEntry& backend) noexcept {
    return tables.nat->pool_address(end.address).family ==
           tables.nat->end(backend.id).address.family;
}

// `client`: the key of the client's packets; the reply comes from the VIP of `service`.
Verdict reply_to(const Tables& tables, const ServiceTable& service, const FlowKey& client,
                 const PacketMeta& meta, Packet& packet) noexcept {
    const PacketEnd vip = destination_of(client), to = source_of(client);
    const PacketHeaders headers = headers_of(tables, meta, packet);
    const Verdict verdict = send_to_client(tables, to.address, meta, packet, service.mss_clamp());
    if (verdict.is_sent()) translate(headers, &vip, &to);
    return verdict;
}

// The same to a client of the other family.
[[gnu::noinline]] Verdict reply_across(const Tables& tables, const ServiceTable& service,
                                       const FlowKey& client, const PacketMeta& meta,
                                       Packet& packet, PacketIds& ids) noexcept {
    const IpAddress vip = client.destination_address(), to = client.source_address();
    // The MTU matters to what may be cut; for nothing else the way is looked up twice.
    const bool may_be_cut =
        meta.family == Family::v4 && !has_dont_fragment(packet.data + meta.l3_offset);
    const std::uint32_t mtu = may_be_cut ? mtu_to_client(tables, to) : 0;
    FamilyChange change(tables, meta, packet, vip, to, mtu, ids);
    if (change.objection()) return Verdict::dropped(*change.objection());
    return change.end(reply_to(tables, service, client, change.meta(), change.packet()));
}

// Between the pool, whose `source` is, and the backend; the packet is of their family.
Verdict forward_from_pool(const Tables& tables, const BackendEntry& backend, const PacketMeta& meta,
                          std::uint64_t flow_hash, NatBinding& binding, const PacketEnd& source,
                          const PacketEnd& destination, Packet& packet) noexcept {
    if (tables.nat->client_address(backend.id) != ClientAddress::none ||
        binding.told_by != ClientAddress::none) [[unlikely]]
        return forward_telling(tables, backend, meta, flow_hash, binding, source, destination,
                               packet);
    const PacketHeaders headers = headers_of(tables, meta, packet);
    const Verdict verdict = forward_any(tables, backend, meta, flow_hash, packet);
    if (verdict.is_sent()) translate(headers, &source, &destination);
    return verdict;
}

// A client of the other family than the backend.
[[gnu::noinline]] Verdict forward_across(const Tables& tables, const BackendEntry& backend,
                                         const PacketMeta& meta, std::uint64_t flow_hash,
                                         NatBinding& binding, const PacketEnd& source,
                                         const PacketEnd& destination, Packet& packet,
                                         PacketIds& ids) noexcept {
    FamilyChange change(tables, meta, packet, source.address, destination.address,
                        mtu_behind(tables, backend.way()), ids);
    if (change.objection()) return Verdict::dropped(*change.objection());
    return change.end(forward_from_pool(tables, backend, change.meta(), flow_hash, binding, source,
                                        destination, change.packet()));
}

}  // namespace

// A reply of a flow that no entry holds is translated all the same: after a restart connections
// go on, whichever side speaks first.
[[gnu::noinline]] Verdict Pipeline::serve_reply(const Tables& tables, const Classified& classified,
                                                Packet& packet, Tick now) noexcept {
    const PacketMeta meta = meta_of(classified.parsed);
    const FlowKey client = key_of(classified.about);
    const PacketEnd from = source_of(key_of(flow_words(packet.data, meta)));
    const Verdict verdict = reply_to(tables, *classified.service, client, meta, packet);
    if (!verdict.is_sent())
        return refuse_reply(tables, source_of(client).address, meta, packet, verdict, now);
    refresh(tables, *classified.service, client, meta.tcp_flags, from, now);
    return verdict;
}

// The VIP is the client's name for the backend itself: to that, Weir is a router.
Verdict Pipeline::refuse_reply(const Tables& tables, const IpAddress& client,
                               const PacketMeta& meta, Packet& packet, const Verdict& dropped,
                               Tick now) noexcept {
    if (dropped.action == Action::drop && dropped.reason == DropReason::no_neighbor) {
        if (const auto station = unknown_station(tables, client)) unknown_stations_.leave(*station);
    }
    if (dropped.action != Action::drop || dropped.reason != DropReason::too_big) return dropped;
    const std::optional<IpAddress>& own = tables.port_addresses[index(packet.port)].of(meta.family);
    if (!own) return dropped;
    return answer(tables,
                  {.type = IcmpErrorType::too_big,
                   .family = meta.family,
                   .l3_offset = meta.l3_offset,
                   .ip_length = meta.ip_length,
                   .mtu = mtu_in(meta.family, client.family, mtu_to_client(tables, client)),
                   .from = &*own},
                  packet, now);
}

void Pipeline::refresh(const Tables& tables, const ServiceTable& service, const FlowKey& client,
                       std::uint8_t tcp_flags, const PacketEnd& from, Tick now) noexcept {
    const FlowName name =
        flows_.name(client, static_cast<std::uint16_t>(service.endpoint(client.protocol)),
                    service.several_ports());
    const LinePlace place = flows_.find(name);
    if (!place) return;
    const FlowEntry entry = flows_.entry(name, place);
    const BackendEntry* backend = tables.backend(BackendId{entry.backend()}, service.id);
    if (backend == nullptr) return;
    if (!is_end(tables.nat->end(backend->id), from, client.destination_port)) return;
    const Deadlines deadlines(tables.timeouts, now);
    const FlowState state = entry.state();
    if (deadlines.is_past(entry.expiry())) return;
    const FlowState next = next_state(state, tcp_flags);
    if (next != state || deadlines.is_due(state, entry.expiry()))
        entry.set_time(next, deadlines.next(next));
}

NatBinding* Pipeline::bind(const Common& common, std::size_t i, const BackendEntry& backend,
                           const FlowKey& client) noexcept {
    if (nat_ == nullptr) return nullptr;
    const std::uint8_t flags = burst_.tcp_flags[i];
    NatBinding* binding = nat_->find(client);
    if (binding != nullptr && !suits(common.tables, nat_->end_of(*binding), backend)) {
        nat_->release(*binding);
        binding = nullptr;
    }
    if (binding != nullptr && !common.deadlines.is_past(binding->expires) &&
        !reopens(binding->state, flags)) {
        binding->state = next_state(binding->state, flags);
        binding->expires = common.deadlines.next(binding->state);
    } else {
        if (binding == nullptr) {
            const PoolRange& pool = common.tables.nat->pool_of(backend.id);
            binding = nat_->bind(client, pool.first, pool.count);
        }
        if (binding == nullptr) return nullptr;
        binding->state = first_state(client.protocol);
        binding->expires = common.deadlines.first(binding->state);
    }
    binding->backend = index(backend.id);
    return binding;
}

[[gnu::noinline]] Verdict Pipeline::forward_full_nat(const Common& common, std::size_t i,
                                                     const BackendEntry& backend,
                                                     Packet& packet) noexcept {
    const Tables& tables = common.tables;
    const PacketMeta meta = burst_.meta(i);
    const FlowKey client = key_of(flow_words(packet.data, meta));
    NatBinding* binding = bind(common, i, backend, client);
    if (binding == nullptr) return Verdict::dropped(DropReason::nat_ports_exhausted);
    const PoolEnd pooled = nat_->end_of(*binding);
    const PacketEnd source{tables.nat->pool_address(pooled.address), pooled.port};
    PacketEnd destination = tables.nat->end(backend.id);
    if (destination.port == 0) destination.port = client.destination_port;
    const std::uint64_t flow_hash = burst_.name(i).hash();
    if (destination.address.family != meta.family)
        return forward_across(tables, backend, meta, flow_hash, *binding, source, destination,
                              packet, packet_ids_);
    return forward_from_pool(tables, backend, meta, flow_hash, *binding, source, destination,
                             packet);
}

// Only the backend that the flow's packets go to may answer.
Pipeline::PoolFlow Pipeline::pool_flow(const Tables& tables, const PoolEnd& end,
                                       std::uint8_t protocol,
                                       const PacketEnd& from) const noexcept {
    NatBinding* binding = nat_ != nullptr ? nat_->at(end, protocol) : nullptr;
    if (binding == nullptr) return {};
    const FlowKey& client = binding->client;
    const ServiceMatch match =
        tables.index.find(client.destination_address(), client.protocol, client.destination_port);
    if (match.place == ServiceHit::none) return {};
    const ServiceTable& service = *tables.services[match.place];
    const BackendEntry* backend = tables.backend(BackendId{binding->backend}, service.id);
    if (backend == nullptr || backend->rewrite != Rewrite::full_nat ||
        !is_end(tables.nat->end(backend->id), from, client.destination_port))
        return {};
    return {binding, &service};
}

[[gnu::noinline]] Verdict Pipeline::serve_pool_reply(const Tables& tables,
                                                     const Classified& classified, Packet& packet,
                                                     Tick now) noexcept {
    const PacketMeta meta = meta_of(classified.parsed);
    const PacketEnd from = source_of(key_of(flow_words(packet.data, meta)));
    const auto [binding, service] = pool_flow(tables, *classified.pool_end, meta.protocol, from);
    if (binding == nullptr) return Verdict::dropped(DropReason::unknown_port);
    if (is_heard(*binding, meta.tcp_flags)) [[unlikely]]
        hear_reply(tables, *service, meta, *binding, packet);
    const FlowKey& client = binding->client;
    const Verdict verdict = client.family == meta.family
                                ? reply_to(tables, *service, client, meta, packet)
                                : reply_across(tables, *service, client, meta, packet, packet_ids_);
    if (!verdict.is_sent())
        return refuse_reply(tables, client.source_address(), meta, packet, verdict, now);
    const Deadlines deadlines(tables.timeouts, now);
    if (!deadlines.is_past(binding->expires)) {
        binding->state = next_state(binding->state, meta.tcp_flags);
        binding->expires = deadlines.next(binding->state);
    }
    refresh(tables, *service, client, meta.tcp_flags, from, now);
    return verdict;
}

Verdict Pipeline::serve_from_backend(const Tables& tables, const Classified& classified,
                                     Packet& packet, Tick now) noexcept {
    if (classified.is_icmp_error) return serve_icmp_error_from_backend(tables, classified, packet);
    if (classified.pool_end) return serve_pool_reply(tables, classified, packet, now);
    return serve_reply(tables, classified, packet, now);
}

}  // namespace weir
