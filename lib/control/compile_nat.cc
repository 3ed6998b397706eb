// SPDX-License-Identifier: BSD-3-Clause
// From configuration to NatTables: where translated packets go, whose replies are whose, and the
// way to clients.
#include <algorithm>

#include "lib/control/compile.hh"

namespace weir {
namespace {

NextHopId gateway_id(const Config& config, const Registry& registry, Family family) {
    const auto gateway = gateway_of(config, family);
    if (!gateway) return invalid_next_hop;
    return registry.find_next_hop(gateway->port, gateway->next_hop).value_or(invalid_next_hop);
}

Routes routes_of(const Config& config, const Registry& registry, const KernelRoutes& routes) {
    std::vector<Routes::Connected> connected;
    for (std::size_t i = 0; i < config.ports.size(); ++i) {
        for (const IpPrefix& prefix : config.ports[i].addresses)
            connected.push_back({prefix, static_cast<PortId>(i)});
    }
    std::vector<Routes::Station> stations;
    for (std::size_t id = 0; id < registry.next_hops().size(); ++id) {
        const Registry::NextHopKey& key = registry.next_hops()[id];
        stations.push_back({key.port, key.address, NextHopId{static_cast<std::uint32_t>(id)}});
    }
    std::vector<Routes::Via> via;
    for (const KernelRoute& route : routes.all()) {
        via.emplace_back(
            route.prefix,
            registry.find_next_hop(route.port, route.gateway).value_or(invalid_next_hop));
    }
    return {std::move(connected), stations, gateway_id(config, registry, Family::v4),
            gateway_id(config, registry, Family::v6), std::move(via)};
}

// A pool holds every address from its first to its last, so they are neighbours among all.
PoolRange range_of(const std::vector<IpAddress>& pool, const ServiceConfig& service) {
    if (!service.source_pool) return {};
    const auto first = std::ranges::lower_bound(pool, service.source_pool->first, PoolOrder{});
    const auto end = std::ranges::upper_bound(pool, service.source_pool->last, PoolOrder{});
    return {static_cast<std::uint32_t>(first - pool.begin()),
            static_cast<std::uint32_t>(end - first)};
}

}  // namespace

std::shared_ptr<const NatTables> compile_nat(const Config& config, const Registry& registry,
                                             const KernelRoutes& routes) {
    if (!translates(config)) return nullptr;
    std::vector<IpAddress> pool = pool_addresses(config);
    std::vector<NatTables::Backend> backends;
    for (std::size_t i = 0; i < config.services.size(); ++i) {
        const ServiceConfig& service = config.services[i];
        if (service.forward != Forward::nat && service.forward != Forward::full_nat) continue;
        const PoolRange range = range_of(pool, service);
        for (const BackendConfig& backend : service.backends)
            backends.push_back({registry.backend(service.name, backend.name).value(),
                                static_cast<std::uint32_t>(i),
                                service.key,
                                {backend.address, backend.port},
                                range,
                                service.client_address});
    }
    return std::make_shared<const NatTables>(backends, std::move(pool),
                                             routes_of(config, registry, routes));
}

std::shared_ptr<const NatTables> compile_stations(const std::shared_ptr<const NatTables>& previous,
                                                  const Config& config, const Registry& registry,
                                                  const KernelRoutes& routes) {
    if (previous == nullptr) return nullptr;
    return std::make_shared<const NatTables>(previous->with(routes_of(config, registry, routes)));
}

}  // namespace weir
