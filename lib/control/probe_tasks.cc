// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/egress.hh"
#include "lib/control/prober.hh"

namespace weir {

namespace {

// The check's own port, else the service's when it has a single one; 0 when neither says.
std::uint16_t port_of(const HealthConfig& check, const ServiceConfig& service) noexcept {
    if (check.port != 0) return check.port;
    return service.key.first_port == service.key.last_port ? service.key.first_port : 0;
}

// The port's own address in the narrowest subnet that holds the next hop, else its first one of
// that family; unspecified when it has none.
IpAddress source_towards(const IpAddress& next_hop, const PortConfig& port) {
    IpAddress source;
    source.family = next_hop.family;
    int best = -2;
    for (const IpPrefix& own : port.addresses) {
        if (own.address.family != next_hop.family) continue;
        const int length = own.contains(next_hop) ? own.length : -1;
        if (length > best) {
            source = own.address;
            best = length;
        }
    }
    return source;
}

}  // namespace

std::vector<ProbeTask> probe_tasks(const Config& config) {
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
                           port_of(check->second, service),
                           {},
                           {}};
            if (const auto egress = egress_of(config, backend.address)) {
                const PortConfig& port = config.ports[index(egress->port)];
                task.source = source_towards(egress->next_hop, port);
                task.interface = port.exception_tap.value_or("");
            }
            tasks.push_back(std::move(task));
        }
    }
    return tasks;
}

}  // namespace weir
