// SPDX-License-Identifier: BSD-3-Clause
// By which port a destination is reached. One rule for the configuration check, the compiler and
// the prober.
#pragma once

#include <optional>

#include "lib/balance/ids.hh"
#include "lib/control/config.hh"
#include "lib/control/kernel_routes.hh"

namespace weir {

// The egress of a destination, by the longest prefix among the networks of the ports' own `address`
// (the next hop is the destination itself) and the kernel's routes; of equal lengths a network goes
// before a route, of networks the first, of routes the one of the lowest metric. What none of them
// holds goes to the first port with a gateway of the family. nullopt: no_route. The configuration
// check knows no kernel, so it judges without `routes`.
struct Egress {
    PortId port{};
    IpAddress next_hop;
    bool operator==(const Egress&) const = default;
};
// Pure. Cost: one pass over the ports' prefixes, and a search among the routes.
std::optional<Egress> egress_of(const Config& config, const IpAddress& destination,
                                const KernelRoutes& routes = {});
// The same for a backend of a service: a dsr-l2 one is reached directly, whatever the routes say.
std::optional<Egress> egress_of(const Config& config, const ServiceConfig& service,
                                const BackendConfig& backend, const KernelRoutes& routes);

// The last part of that rule: of what is in no network of a port, and for which there is no route.
std::optional<Egress> gateway_of(const Config& config, Family family);

// Whether replies come back through Weir, which then needs a way to clients.
bool translates(const Config& config);

// The port's own address in the narrowest network that holds `next_hop`, else its first one of that
// family; nullopt when it has none of it. Pure.
std::optional<IpAddress> own_address_towards(const PortConfig& port, const IpAddress& next_hop);

}  // namespace weir
