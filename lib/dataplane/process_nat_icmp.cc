// SPDX-License-Identifier: BSD-3-Clause
// ICMP errors about translated flows (RFC 5508 section 4): the packet inside is told to each side
// as that side knows it.
#include <algorithm>
#include <cstddef>
#include <cstring>

#include "lib/dataplane/embedded_flow.hh"
#include "lib/dataplane/family_change.hh"
#include "lib/dataplane/forward.hh"
#include "lib/dataplane/nat.hh"
#include "lib/dataplane/process.hh"
#include "lib/dataplane/telling.hh"
#include "lib/wire/icmp.hh"
#include "lib/wire/rewrite_icmp.hh"

namespace weir {
namespace {

// Of an ICMP error that classify() found sound, still as it came.
IcmpErrorParts parts_of(const Parsed& parsed, const Packet& packet) noexcept {
    const IcmpMessage message = read_icmp({packet.data, packet.contiguous}, parsed);
    std::uint8_t* const embedded = packet.data + message.embedded_offset;
    std::uint8_t* const transport = embedded + message.embedded.transport_offset;
    const std::uint32_t end = std::min<std::uint32_t>(
        packet.contiguous, std::uint32_t{parsed.l3_offset} + parsed.ip_length);
    return {.ip = packet.data + parsed.l3_offset,
            .icmp = packet.data + parsed.l4_offset,
            .embedded = {embedded, transport, parsed.family, message.embedded.protocol},
            .transport_bytes = end - static_cast<std::uint32_t>(transport - packet.data)};
}

// Of a TCP segment inside: it stands in the 8 bytes that every error quotes.
std::uint32_t sequence_in(const IcmpErrorParts& parts) noexcept {
    be32 sequence;
    std::memcpy(&sequence, parts.embedded.transport + offsetof(TcpHeader, sequence),
                sizeof sequence);
    return sequence.host();
}

// To the other family; `send` gets the packet that it becomes, without its link header. Its
// checksum is made anew, so what was not verified is not sent on.
template <typename Send>
Verdict send_across(const Parsed& parsed, const IcmpErrorRewrite& to, Packet& packet,
                    PacketIds& ids, Send&& send) noexcept {
    if (parsed.ip_length > longest_verified_icmp) return Verdict::dropped(DropReason::icmp_bad);
    IcmpFamilyChange change(parts_of(parsed, packet), to, packet, ids);
    if (!change) return Verdict::dropped(DropReason::icmp_bad);
    return change.end(send(change.meta(), change.packet()));
}

}  // namespace

// About a packet from the VIP to the client: to the backend it was one of its own, to the client or
// the pool.
[[gnu::noinline]] Verdict Pipeline::forward_icmp_error(const Tables& tables,
                                                       const Classified& classified,
                                                       const BackendEntry& backend,
                                                       std::uint64_t flow_hash,
                                                       Packet& packet) noexcept {
    const PacketMeta meta = meta_of(classified.parsed);
    if (backend.rewrite != Rewrite::nat && backend.rewrite != Rewrite::full_nat)
        return forward_any(tables, backend, meta, flow_hash, packet);
    const FlowKey client = key_of(classified.about);
    PacketEnd end = tables.nat->end(backend.id), pooled;
    if (end.port == 0) end.port = client.destination_port;
    IcmpErrorRewrite to{.destination = &end.address, .embedded_source = &end};
    if (backend.rewrite == Rewrite::full_nat) {
        const NatBinding* binding = nat_ != nullptr ? nat_->find(client) : nullptr;
        if (binding == nullptr) return Verdict::dropped(DropReason::unknown_port);
        const PoolEnd place = nat_->end_of(*binding);
        pooled = {tables.nat->pool_address(place.address), place.port};
        if (pooled.address.family != end.address.family)  // a reload, and no packet since then
            return Verdict::dropped(DropReason::unknown_port);
        to.embedded_destination = &pooled;
    }
    const IcmpErrorParts parts = parts_of(classified.parsed, packet);
    if (end.address.family != meta.family) {
        to.source = &pooled.address;
        return send_across(classified.parsed, to, packet, packet_ids_,
                           [&](const PacketMeta& made, Packet& out) {
                               return forward_link(tables, backend.way(), made, out);
                           });
    }
    const Verdict verdict = forward_link(tables, backend.way(), meta, packet);
    if (verdict.is_sent()) translate_icmp_error(parts, to);
    return verdict;
}

// About a packet from the client, or the pool, to the backend: the client sent it to the VIP, and
// knows no backend.
[[gnu::noinline]] Verdict Pipeline::serve_icmp_error_from_backend(const Tables& tables,
                                                                  const Classified& classified,
                                                                  Packet& packet) noexcept {
    const Parsed& parsed = classified.parsed;
    const IcmpMessage message = read_icmp({packet.data, packet.contiguous}, parsed);
    const PacketEnd backend = source_of(key_of(words_about(packet.data, parsed, message)));
    FlowKey key = key_of(classified.about);
    const NatBinding* told = nullptr;
    if (classified.pool_end) {
        const PoolFlow flow =
            pool_flow(tables, *classified.pool_end, message.embedded.protocol, backend);
        if (flow.binding == nullptr) return Verdict::dropped(DropReason::unknown_port);
        key = flow.binding->client;
        if (flow.binding->told_by != ClientAddress::none) told = flow.binding;
    }
    const PacketEnd client = source_of(key), vip = destination_of(key);
    const FlowKey outer = flow_key(packet.data, parsed);
    IcmpErrorRewrite to{.embedded_destination = &vip};
    if (outer.source_address() == backend.address) to.source = &vip.address;
    if (classified.pool_end) {
        to.destination = &client.address;
        to.embedded_source = &client;
    }
    const IcmpErrorParts parts = parts_of(parsed, packet);
    if (told != nullptr) {
        to.mtu_less = telling_length(told->told_by, key.family);
        to.sequence_more = quoted_shift(*told, sequence_in(parts));
    }
    if (key.family != parsed.family) {
        to.source = &vip.address;
        return send_across(classified.parsed, to, packet, packet_ids_,
                           [&](const PacketMeta& made, Packet& out) {
                               return send_to_client(tables, client.address, made, out);
                           });
    }
    const Verdict verdict = send_to_client(tables, client.address, meta_of(parsed), packet);
    if (verdict.is_sent()) translate_icmp_error(parts, to);
    return verdict;
}

}  // namespace weir
