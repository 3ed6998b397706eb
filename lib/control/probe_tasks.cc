// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/compile.hh"
#include "lib/control/prober.hh"

namespace weir {

std::vector<ProbeTask> probe_tasks(const Config& config, const KernelRoutes& routes) {
    std::vector<ProbeTask> tasks;
    for (const ServiceConfig& service : config.services) {
        const auto check = config.health.find(service.health);
        if (check == config.health.end()) continue;
        for (const BackendConfig& backend : service.backends) {
            if (backend.state == BackendState::disabled) continue;
            ProbeTask task{service.name,
                           backend.name,
                           check->second,
                           backend.address,
                           probe_port(service, backend, check->second),
                           {},
                           {}};
            if (const auto egress = egress_of(config, service, backend, routes)) {
                const PortConfig& port = config.ports[index(egress->port)];
                task.source = own_address_towards(port, egress->next_hop).value_or(IpAddress{});
                task.interface = port.exception_tap.value_or("");
            }
            tasks.push_back(std::move(task));
        }
    }
    return tasks;
}

}  // namespace weir
