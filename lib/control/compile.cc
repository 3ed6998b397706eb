// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/compile.hh"

#include <span>
#include <string_view>

#include "lib/control/compile_service.hh"

namespace weir {
namespace {

std::vector<SharedTable> compile_services(const Tables* previous, bool same_basis,
                                          const World& world, const Registry& registry) {
    const std::vector<ServiceConfig>& services = world.config->services;
    std::vector<SharedTable> by_id(registry.service_limit());
    if (previous != nullptr) {
        for (const SharedTable& table : previous->services)
            by_id.at(index(table->id)) = table;
    }
    std::vector<SharedTable> tables;
    tables.reserve(services.size());
    for (std::size_t i = 0; i < services.size(); ++i) {
        const SharedTable& before = same_basis
                                        ? previous->services[i]
                                        : by_id[index(registry.service(services[i].name).value())];
        tables.push_back(compile_service(services[i], world, registry, before, same_basis));
    }
    return tables;
}

std::vector<const BackendEntry*> backends_by_id(std::span<const SharedTable> services,
                                                std::uint32_t limit) {
    std::vector<const BackendEntry*> backends(limit, nullptr);
    for (const SharedTable& service : services) {
        for (const BackendEntry& entry : service->seats)
            backends[index(entry.id)] = &entry;
    }
    return backends;
}

PortFacts facts_of(const World& world, std::size_t port) {
    return port < world.ports.size() ? world.ports[port] : PortFacts{};
}

std::vector<PortTable> compile_ports(const World& world) {
    std::vector<PortTable> ports;
    for (std::size_t i = 0; i < world.config->ports.size(); ++i) {
        const PortConfig& port = world.config->ports[i];
        const PortFacts facts = facts_of(world, i);
        ports.push_back({facts.mac, port.vlan, port.mtu, facts.has_tap});
    }
    return ports;
}

using Neighbors = std::map<Registry::NextHopKey, MacAddress>;

Neighbors static_neighbors(const World& world) {
    Neighbors fixed;
    for (std::size_t i = 0; i < world.config->ports.size(); ++i) {
        for (const StaticNeighbor& neighbor : world.config->ports[i].neighbors) {
            fixed.emplace(Registry::NextHopKey{static_cast<PortId>(i), neighbor.address},
                          neighbor.mac);
        }
    }
    return fixed;
}

NextHop compile_next_hop(const World& world, std::span<const PortTable> ports,
                         const Neighbors& fixed, const Registry::NextHopKey& key) {
    const MacAddress* neighbor = nullptr;
    for (const Neighbors* known : {&world.neighbors, &fixed}) {
        const auto found = known->find(key);
        if (found != known->end()) neighbor = &found->second;
    }
    // A number that is free at the moment names no port of the configuration.
    const std::size_t port = index(key.port);
    return make_next_hop(key.port, port < ports.size() ? ports[port] : PortTable{}, neighbor);
}

std::vector<NextHop> compile_next_hops(const World& world, std::span<const PortTable> ports,
                                       const Registry& registry) {
    const Neighbors fixed = static_neighbors(world);
    std::vector<NextHop> next_hops;
    next_hops.reserve(registry.next_hops().size());
    for (const Registry::NextHopKey& key : registry.next_hops())
        next_hops.push_back(compile_next_hop(world, ports, fixed, key));
    return next_hops;
}

std::vector<std::uint32_t> places_by_id(std::span<const SharedTable> services,
                                        std::uint32_t limit) {
    std::vector<std::uint32_t> places(limit, static_cast<std::uint32_t>(services.size()));
    for (std::size_t i = 0; i < services.size(); ++i)
        places[index(services[i]->id)] = static_cast<std::uint32_t>(i);
    return places;
}

bool has_basis(const Tables* tables, const World& world, const Registry& registry) {
    return tables != nullptr && tables->basis == world.config &&
           tables->basis_adoptions == registry.adoptions();
}

// Precondition: `previous` has the same basis.
std::shared_ptr<const NatTables> nat_of(const Tables& previous, const World& world,
                                        const Registry& registry) {
    if (previous.basis_stations == registry.station_changes()) return previous.nat;
    return compile_stations(previous.nat, *world.config, registry, *world.routes);
}

void compile_anew(Tables& tables, std::size_t place, const World& world, const Registry& registry) {
    SharedTable& table = tables.services[place];
    const SharedTable next =
        compile_service(world.config->services[place], world, registry, table, true);
    if (next == table) return;
    for (const BackendEntry& entry : next->seats)
        tables.backends[index(entry.id)] = &entry;
    table = next;
}

ServiceIndex compile_index(const Config& config, std::span<const SharedTable> tables) {
    std::vector<const ServiceTable*> services;
    for (const SharedTable& table : tables)
        services.push_back(table.get());
    std::vector<IpAddress> own;
    for (const PortConfig& port : config.ports) {
        for (const IpPrefix& address : port.addresses)
            own.push_back(address.address);
    }
    std::vector<ProbeTarget> probes;
    for (const ServiceConfig& service : config.services) {
        const auto check = config.health.find(service.health);
        if (service.health.empty() || check == config.health.end()) continue;
        for (const BackendConfig& backend : service.backends) {
            probes.push_back({backend.address, probe_port(service, backend, check->second)});
        }
    }
    return ServiceIndex::build(services, own, probes);
}

std::vector<PortAddresses> compile_port_addresses(const Config& config) {
    std::vector<PortAddresses> all;
    for (const PortConfig& port : config.ports) {
        PortAddresses& own = all.emplace_back();
        for (const IpPrefix& prefix : port.addresses) {
            auto& first = prefix.address.family == Family::v4 ? own.v4 : own.v6;
            if (!first) first = prefix.address;
        }
    }
    return all;
}

BackendId backend_at(const ServiceTable& service, Seat seat) {
    return seat == no_seat ? invalid_backend : service.seats[seat].id;
}

std::uint32_t changed_slots(const ServiceTable& from, const ServiceTable& to) {
    if (&from == &to) return 0;
    std::uint32_t changed = 0;
    for (std::size_t i = 0; i < to.slots.size(); ++i) {
        const std::uint64_t middle = ((2 * std::uint64_t{i} + 1) << 31) / to.slots.size();
        const Seat before = maglev_lookup(from.slots, middle << 32);
        changed += backend_at(from, before) != backend_at(to, to.slots[i]) ? 1 : 0;
    }
    return changed;
}

}  // namespace

std::unique_ptr<const Tables> compile(const Tables* previous, const World& world,
                                      const Registry& registry) {
    const Config& config = *world.config;
    const bool same_basis = has_basis(previous, world, registry);
    auto tables = std::make_unique<Tables>();
    tables->version = previous != nullptr ? previous->version + 1 : 1;
    tables->generation = world.generation;
    tables->hash_seed = config.system.hash_seed;
    tables->timeouts = config.conntrack.timeouts;
    tables->when_full = config.conntrack.when_full;
    tables->sloppy_tcp = config.conntrack.sloppy_tcp;
    tables->expire_nodest_conn = config.conntrack.expire_nodest_conn;
    tables->icmp_errors_per_second = config.icmp.errors_per_second;
    tables->services = compile_services(previous, same_basis, world, registry);
    tables->backends = backends_by_id(tables->services, registry.backend_limit());
    tables->ports = compile_ports(world);
    tables->port_addresses = compile_port_addresses(config);
    tables->next_hops = compile_next_hops(world, tables->ports, registry);
    tables->index = compile_index(config, tables->services);
    tables->nat = same_basis ? nat_of(*previous, world, registry)
                             : compile_nat(config, registry, *world.routes);
    tables->basis = world.config;
    tables->basis_adoptions = registry.adoptions();
    tables->basis_stations = registry.station_changes();
    tables->places = same_basis ? previous->places
                                : std::make_shared<const std::vector<std::uint32_t>>(
                                      places_by_id(tables->services, registry.service_limit()));
    return tables;
}

std::unique_ptr<const Tables> compile(const Tables* previous, const World& world,
                                      const Registry& registry, const Changes& changes) {
    if (!has_basis(previous, world, registry)) return compile(previous, world, registry);
    auto tables = std::make_unique<Tables>(*previous);
    ++tables->version;
    for (const std::string& name : changes.services) {
        const auto id = registry.service(name);
        if (!id || index(*id) >= tables->places->size()) continue;
        const std::size_t place = (*tables->places)[index(*id)];
        if (place < tables->services.size()) compile_anew(*tables, place, world, registry);
    }
    if (previous->basis_stations != registry.station_changes()) {
        tables->next_hops = compile_next_hops(world, tables->ports, registry);
        tables->nat = nat_of(*previous, world, registry);
        tables->basis_stations = registry.station_changes();
        return tables;
    }
    const Neighbors fixed = changes.next_hops.empty() ? Neighbors{} : static_neighbors(world);
    for (const Registry::NextHopKey& key : changes.next_hops) {
        const auto id = registry.find_next_hop(key.port, key.address);
        if (id) tables->next_hops[index(*id)] = compile_next_hop(world, tables->ports, fixed, key);
    }
    return tables;
}

std::map<std::string, std::uint32_t> changed_slots(const Tables& from, const Tables& to) {
    std::map<std::string_view, const ServiceTable*> before;
    for (const auto& service : from.services)
        before.emplace(service->name, service.get());
    std::map<std::string, std::uint32_t> changed;
    for (const auto& service : to.services) {
        const auto old = before.find(service->name);
        changed[service->name] = old != before.end()
                                     ? changed_slots(*old->second, *service)
                                     : static_cast<std::uint32_t>(service->slots.size());
        if (old != before.end()) before.erase(old);
    }
    for (const auto& [name, service] : before) {
        changed[std::string{name}] = static_cast<std::uint32_t>(service->slots.size());
    }
    return changed;
}

}  // namespace weir
