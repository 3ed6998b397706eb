// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dataplane/nat.hh"

#include "lib/dataplane/family_change.hh"
#include "lib/dataplane/forward.hh"
#include "lib/dataplane/rewritten_headers.hh"

namespace weir {
namespace {

FlowWords words_of(const FlowKey& key) noexcept {
    return std::bit_cast<FlowWords>(key);
}

}  // namespace

NatReply find_reply(const Tables& tables, const FlowWords& words) noexcept {
    if (tables.nat == nullptr) return {};
    const FlowKey key = key_of(words);
    const auto service =
        tables.nat->service_of(key.source_address(), key.protocol, key.source_port);
    if (!service) return {};
    const ServiceMatch match =
        tables.index.find(key.destination_address(), key.protocol, key.destination_port);
    if (match.role != AddressRole::foreign) return {};
    const ServiceKey& own = tables.services[*service]->key;
    if (own.vip.family != key.family) return {};
    FlowKey client = key;
    client.source = key.destination;
    client.source_port = key.destination_port;
    client.destination = own.vip.bytes;
    const bool one_port = own.first_port == own.last_port;
    client.destination_port = one_port ? own.first_port : key.source_port;
    return {*service, words_of(client)};
}

std::optional<PoolEnd> find_pool_end(const Tables& tables, const FlowWords& words) noexcept {
    if (tables.nat == nullptr) return std::nullopt;
    const FlowKey key = key_of(words);
    const auto place = tables.nat->pool_place(key.destination_address());
    if (!place) return std::nullopt;
    return PoolEnd{*place, key.destination_port};
}

Verdict send_to_client(const Tables& tables, const IpAddress& client, const PacketMeta& meta,
                       Packet& packet, std::uint16_t mss_clamp) noexcept {
    const Route route = tables.nat->routes().find(client);
    if (!route.exists) return Verdict::dropped(DropReason::no_route);
    if (route.next_hop == invalid_next_hop) return Verdict::dropped(DropReason::no_neighbor);
    return forward_link(tables, route.next_hop, meta, packet, mss_clamp);
}

std::uint32_t mtu_to_client(const Tables& tables, const IpAddress& client) noexcept {
    const Route route = tables.nat->routes().find(client);
    return route.exists ? mtu_behind(tables, route.next_hop) : 0;
}

std::optional<UnknownStation> unknown_station(const Tables& tables,
                                              const IpAddress& client) noexcept {
    const Route route = tables.nat->routes().find(client);
    if (!route.exists || route.next_hop != invalid_next_hop) return std::nullopt;
    if (!tables.ports[index(route.port)].has_tap) return std::nullopt;
    return UnknownStation{route.port, client};
}

void translate_request(const Tables& tables, BackendId backend, const PacketMeta& meta,
                       const Packet& packet) noexcept {
    PacketEnd end = tables.nat->end(backend);
    if (end.port == 0) end.port = meta.destination_port;
    translate(headers_of(tables, meta, packet), nullptr, &end);
}

}  // namespace weir
