// SPDX-License-Identifier: BSD-3-Clause
// By which port a destination is reached. One rule for the configuration check, the compiler and
// the prober.
#pragma once

#include <optional>

#include "lib/balance/ids.hh"
#include "lib/control/config.hh"

namespace weir {

// The egress of a destination: the port whose `address` prefix matches longest (the next hop is the
// destination itself), the first of equals; else the first port with a gateway of its family.
// nullopt: no_route.
struct Egress {
    PortId port{};
    IpAddress next_hop;
    bool operator==(const Egress&) const = default;
};
// Pure. Cost: one pass over the ports' prefixes.
std::optional<Egress> egress_of(const Config& config, const IpAddress& destination);

// The second half of that rule: of what is in no network of a port.
std::optional<Egress> gateway_of(const Config& config, Family family);

// Whether replies come back through Weir, which then needs a way to clients.
bool translates(const Config& config);

// The port's own address in the narrowest network that holds `next_hop`, else its first one of that
// family; nullopt when it has none of it. Pure.
std::optional<IpAddress> own_address_towards(const PortConfig& port, const IpAddress& next_hop);

}  // namespace weir
