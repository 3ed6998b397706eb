// SPDX-License-Identifier: BSD-3-Clause
// Across services: what a backend of l3dsr learns from a DSCP.
#include <map>
#include <utility>

#include <fmt/format.h>

#include "lib/control/config_sections.hh"

namespace weir {

// A backend has nothing but the DSCP to tell one VIP from another.
void check_l3dsr(Draft& draft) {
    std::map<std::pair<IpAddress, std::uint8_t>, std::size_t> first;  // -> service
    for (std::size_t i = 0; i < draft.services.size(); ++i) {
        const ServiceConfig& service = draft.config.services[i];
        const ServicePlaces& places = draft.services[i];
        if (service.forward != Forward::l3dsr || service.l3dsr.dscp == 0 || !places.vip_ok)
            continue;
        for (const BackendConfig& backend : service.backends) {
            const auto [at, added] =
                first.try_emplace(std::pair(backend.address, service.l3dsr.dscp), i);
            const ServiceConfig& other = draft.config.services[at->second];
            if (added || other.key.vip == service.key.vip) continue;
            draft.problems.add(
                places.dscp,
                fmt::format("at backend {} DSCP {} stands for VIP {} of service '{}' already: give "
                            "this service another dscp",
                            to_string(backend.address), service.l3dsr.dscp,
                            to_string(other.key.vip), other.name));
            break;
        }
    }
}

}  // namespace weir
