// SPDX-License-Identifier: BSD-3-Clause
// From configuration to the way of a backend: egress, next hop, outer header, probe port.
#include <algorithm>

#include "lib/control/compile.hh"
#include "lib/control/forward_mode.hh"

namespace weir {
namespace {

std::optional<IpPrefix> tunnel_source(const PortConfig& port, const IpAddress& next_hop) {
    for (const IpPrefix& prefix : port.tunnel_source) {
        if (prefix.address.family == next_hop.family) return prefix;
    }
    const auto own = own_address_towards(port, next_hop);
    if (!own) return std::nullopt;
    return IpPrefix{*own, static_cast<std::uint8_t>(own->bits())};
}

// Translated replies leave through Weir.
void add_hops_to_clients(const Config& config, const KernelRoutes& routes,
                         std::vector<Registry::NextHopKey>& hops) {
    if (!translates(config)) return;
    for (const KernelRoute& route : routes.all())
        hops.push_back({route.port, route.gateway});
    for (const Family family : {Family::v4, Family::v6}) {
        if (const auto gateway = gateway_of(config, family))
            hops.push_back({gateway->port, gateway->next_hop});
    }
    for (std::size_t i = 0; i < config.ports.size(); ++i) {
        for (const StaticNeighbor& neighbor : config.ports[i].neighbors)
            hops.push_back({static_cast<PortId>(i), neighbor.address});
    }
}

}  // namespace

std::uint16_t probe_port(const ServiceConfig& service, const BackendConfig& backend,
                         const HealthConfig& check) noexcept {
    if (check.port != 0) return check.port;
    if (backend.port != 0) return backend.port;
    return service.key.first_port == service.key.last_port ? service.key.first_port : 0;
}

std::optional<Way> way_of(const Config& config, const ServiceConfig& service,
                          const BackendConfig& backend, const KernelRoutes& routes) {
    const std::optional<Egress> egress = egress_of(config, service, backend, routes);
    if (!egress) return std::nullopt;
    Way way{{egress->port, egress->next_hop}, rewrite_of(service, backend.address.family), {}};
    if (way.rewrite >= Rewrite::destination) return way;
    if (way.rewrite == Rewrite::link) {
        if (egress->next_hop != backend.address) return std::nullopt;
        return way;
    }
    const auto source = tunnel_source(config.ports[index(egress->port)], egress->next_hop);
    if (!source) return std::nullopt;
    way.outer =
        make_outer_template(*source, backend.address, service.key.vip.family, shim_of(way.rewrite));
    return way;
}

std::vector<Registry::NextHopKey> needed_next_hops(const Config& config,
                                                   const KernelRoutes& routes) {
    std::vector<Registry::NextHopKey> hops;
    for (const ServiceConfig& service : config.services) {
        for (const BackendConfig& backend : service.backends) {
            if (const auto way = way_of(config, service, backend, routes)) {
                hops.push_back(way->next_hop);
            }
        }
    }
    add_hops_to_clients(config, routes, hops);
    std::ranges::sort(hops);
    hops.erase(std::unique(hops.begin(), hops.end()), hops.end());
    return hops;
}

}  // namespace weir
