// SPDX-License-Identifier: BSD-3-Clause
// ICMP errors (RFC 792, RFC 4443). Those that come in: a router or the client tells the backend of
// a flow why its packets do not arrive; without "fragmentation needed" and "packet too big" path
// MTU discovery (RFC 1191, RFC 8201, RFC 7690) hangs. They come from anywhere, so the flow of the
// packet inside decides.
#include "lib/dataplane/forward.hh"
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
    const auto protocol = static_cast<std::uint8_t>(classified.about.rest >> 32);
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
    const PacketMeta meta = meta_of(classified.parsed);
    const Verdict verdict = forward(tables, *backend, meta, name.hash(), packet);
    if (!verdict.is_sent()) return verdict;
    for (TrafficCounters* const traffic :
         {&traffic_.services[index(service.id)], &traffic_.backends[index(backend->id)]}) {
        traffic->packets.add(1);
        traffic->bytes.add(meta.ip_length);
    }
    return verdict;
}

}  // namespace weir
