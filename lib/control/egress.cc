// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/egress.hh"

#include <algorithm>

namespace weir {

std::optional<Egress> egress_of(const Config& config, const IpAddress& destination,
                                const KernelRoutes& routes) {
    std::optional<Egress> best;
    int best_length = -1;
    for (std::size_t i = 0; i < config.ports.size(); ++i) {
        for (const IpPrefix& prefix : config.ports[i].addresses) {
            if (prefix.length > best_length && prefix.contains(destination)) {
                best = Egress{static_cast<PortId>(i), destination};
                best_length = prefix.length;
            }
        }
    }
    const KernelRoute* route = routes.find(destination);
    if (route != nullptr && route->prefix.length > best_length)
        return Egress{route->port, route->gateway};
    return best ? best : gateway_of(config, destination.family);
}

std::optional<Egress> egress_of(const Config& config, const ServiceConfig& service,
                                const BackendConfig& backend, const KernelRoutes& routes) {
    if (service.forward == Forward::dsr_l2) return egress_of(config, backend.address);
    return egress_of(config, backend.address, routes);
}

std::optional<Egress> gateway_of(const Config& config, Family family) {
    for (std::size_t i = 0; i < config.ports.size(); ++i) {
        for (const IpAddress& gateway : config.ports[i].gateways) {
            if (gateway.family == family) return Egress{static_cast<PortId>(i), gateway};
        }
    }
    return std::nullopt;
}

bool translates(const Config& config) {
    return std::ranges::any_of(config.services, [](const ServiceConfig& service) {
        return service.forward == Forward::nat || service.forward == Forward::full_nat;
    });
}

std::optional<IpAddress> own_address_towards(const PortConfig& port, const IpAddress& next_hop) {
    const IpPrefix* best = nullptr;
    int best_length = -1;
    for (const IpPrefix& own : port.addresses) {
        if (own.address.family != next_hop.family) continue;
        const int length = own.contains(next_hop) ? own.length : -1;
        if (best != nullptr && length <= best_length) continue;
        best = &own;
        best_length = length;
    }
    if (best == nullptr) return std::nullopt;
    return best->address;
}

}  // namespace weir
