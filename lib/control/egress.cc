// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/egress.hh"

namespace weir {

std::optional<Egress> egress_of(const Config& config, const IpAddress& destination) {
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
    if (best) return best;
    for (std::size_t i = 0; i < config.ports.size(); ++i) {
        for (const IpAddress& gateway : config.ports[i].gateways) {
            if (gateway.family == destination.family)
                return Egress{static_cast<PortId>(i), gateway};
        }
    }
    return std::nullopt;
}

}  // namespace weir
