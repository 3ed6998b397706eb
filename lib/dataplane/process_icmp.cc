// SPDX-License-Identifier: BSD-3-Clause
// Echo requests for a service, and ICMP errors (RFC 792, RFC 4443). Errors that come in: a router
// or the client tells the backend of a flow why its packets do not arrive; without "fragmentation
// needed" and "packet too big" path MTU discovery (RFC 1191, RFC 8201, RFC 7690) hangs. They come
// from anywhere, so the flow of the packet inside decides. Those that go out: answers to clients,
// bounded by a token bucket.
#include <bit>

#include "lib/dataplane/forward.hh"
#include "lib/dataplane/nat.hh"
#include "lib/dataplane/process.hh"
#include "lib/flow/expiry.hh"

namespace weir {

// Not refreshed, and TCP's state stays: whoever knows ports can forge an error.
const BackendEntry* Pipeline::holder(const Tables& tables, const FlowName& name, ServiceId service,
                                     Tick now) const noexcept {
    const LinePlace place = flows_.find(name);
    if (!place) return nullptr;
    const FlowEntry entry = flows_.entry(name, place);
    if (is_past(entry.expiry(), now)) return nullptr;
    const BackendEntry* backend = tables.backend(BackendId{entry.backend()}, service);
    return backend != nullptr && backend->keeps_flows ? backend : nullptr;
}

[[gnu::noinline]] Verdict Pipeline::serve_icmp_error(const Tables& tables,
                                                     const Classified& classified, Packet& packet,
                                                     Tick now) noexcept {
    const ServiceTable& service = *classified.service;
    const std::uint8_t protocol = key_of(classified.about).protocol;
    const FlowName name =
        flows_.name(classified.about, static_cast<std::uint16_t>(service.endpoint(protocol)),
                    service.several_ports());
    const BackendEntry* backend = holder(tables, name, service.id, now);
    if (backend == nullptr) {
        if (!untracked_icmp_.pass(now)) return Verdict::dropped(DropReason::rate_limited);
        const Seat seat =
            maglev_lookup(service.slots, slot_hash(classified.about, tables.hash_seed));
        if (seat == no_seat) return Verdict::dropped(DropReason::no_backend);
        backend = &service.seats[seat];
    }
    const Verdict verdict = forward_icmp_error(tables, classified, *backend, name.hash(), packet);
    if (!verdict.is_sent()) return verdict;
    for (TrafficCounters* const traffic :
         {&traffic_.services[index(service.id)], &traffic_.backends[index(backend->id)]}) {
        traffic->packets.add(1);
        traffic->bytes.add(classified.parsed.ip_length);
    }
    return verdict;
}

// The state of their entries says no more than that they are not of TCP, and has one timeout; so
// that packets of TCP and UDP need no look at the protocol, the time is mended behind them. Of
// flows that got no backend it stays.
[[gnu::noinline]] void Pipeline::time_echoes(const Common& common) noexcept {
    for (BurstMask rest = echoes_; rest != 0; rest &= rest - 1) {
        const auto i = static_cast<std::size_t>(std::countr_zero(rest));
        const FlowName name = burst_.name(i);
        const LinePlace place = flows_.find(name);
        if (!place) continue;
        const FlowEntry entry = flows_.entry(name, place);
        const bool keeps =
            holder(common.tables, name, ServiceId{burst_.services[i].id}, common.now) != nullptr;
        if (keeps)
            entry.set_time(entry.state(), expiry_of(common.now + common.tables.timeouts.icmp));
    }
    echoes_ = 0;
}

// Only the sender of a packet that does not fit can do something about it.
[[gnu::noinline]] Verdict Pipeline::refuse(const Common& common, std::size_t i,
                                           const BackendEntry& backend, Packet& packet,
                                           const Verdict& dropped) noexcept {
    if (dropped.action != Action::drop || dropped.reason != DropReason::too_big) return dropped;
    return answer(common.tables,
                  {.type = IcmpErrorType::too_big,
                   .family = burst_.families[i],
                   .l3_offset = burst_.l3_offsets[i],
                   .ip_length = burst_.ip_lengths[i],
                   .mtu = longest_packet(common.tables, backend, burst_.families[i])},
                  packet, common.now);
}

Verdict Pipeline::refuse_expired(const Tables& tables, const Parsed& parsed, Packet& packet,
                                 Tick now) noexcept {
    return answer(tables,
                  {.type = IcmpErrorType::time_exceeded,
                   .family = parsed.family,
                   .l3_offset = parsed.l3_offset,
                   .ip_length = parsed.ip_length},
                  packet, now);
}

Verdict Pipeline::answer(const Tables& tables, const Refusal& refusal, Packet& packet,
                         Tick now) noexcept {
    const Verdict dropped = Verdict::dropped(reason_of(refusal.type));
    if (tables.icmp_errors_per_second == 0 || !deserves_answer(packet, refusal)) return dropped;
    const RateLimit limit = answer_limit(tables.icmp_errors_per_second);
    if (limit != answer_limit_) {  // a reload changed it
        answer_limit_ = limit;
        answers_ = TokenBucket(limit);
    }
    if (!answers_.pass(now)) return dropped;
    if (!make_answer(tables.ports[index(packet.port)], refusal, packet)) return dropped;
    return Verdict::answered(refusal.type, packet.port);
}

}  // namespace weir
