// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "lib/control/egress.hh"
#include "lib/control/forward_mode.hh"
#include "lib/control/plan_parts.hh"

namespace weir {

namespace {

constexpr unsigned usual_packet = 1500;  // what clients send at most through the Internet

}  // namespace

std::vector<LcorePlan> plan_lcores(const SystemConfig& system) {
    std::vector<LcorePlan> lcores;
    const auto add = [&](unsigned cpu) -> LcorePlan& {
        LcorePlan& lcore = lcores.emplace_back();
        lcore.lcore = static_cast<unsigned>(lcores.size() - 1);
        lcore.cpu = cpu;
        return lcore;
    };
    add(system.control_lcore).control = true;
    for (std::size_t i = 0; i < system.rx_lcores.size(); ++i) {
        add(system.rx_lcores[i]).rx = static_cast<int>(i);
    }
    for (std::size_t i = 0; i < system.worker_lcores.size(); ++i) {
        const unsigned cpu = system.worker_lcores[i];
        const auto shared = std::ranges::find_if(
            lcores, [&](const LcorePlan& lcore) { return !lcore.control && lcore.cpu == cpu; });
        LcorePlan& lcore = shared != lcores.end() ? *shared : add(cpu);
        lcore.worker = static_cast<int>(i);
    }
    return lcores;
}

void warn_tunnels(const Config& config, std::vector<std::string>& warnings) {
    for (const ServiceConfig& service : config.services) {
        if (!is_tunnel(service.forward)) continue;
        std::set<std::size_t> told;  // ports
        for (const BackendConfig& backend : service.backends) {
            const std::optional<Egress> egress = egress_of(config, backend.address);
            if (!egress || told.contains(index(egress->port))) continue;
            const PortConfig& port = config.ports[index(egress->port)];
            const unsigned outer = outer_length(service, backend.address.family);
            if (port.mtu >= usual_packet + outer) continue;
            told.insert(index(egress->port));
            warnings.push_back(fmt::format(
                "service '{}': packets above {} bytes do not fit the tunnel through port '{}' and "
                "are dropped as too_big; set its mtu to {} or more, and that of the network behind",
                service.name, port.mtu - outer, port.name, usual_packet + outer));
        }
    }
}

}  // namespace weir
