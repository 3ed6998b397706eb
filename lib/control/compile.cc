// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/compile.hh"

#include <algorithm>
#include <span>
#include <string_view>

namespace weir {
namespace {

using BySeat = std::vector<const BackendConfig*>;
using Named = std::pair<std::string, std::string>;  // service, backend
template <typename Value>
using ByName = std::map<Named, Value>;

BySeat by_seat(const ServiceConfig& service) {
    BySeat backends;
    backends.reserve(service.backends.size());
    for (const BackendConfig& backend : service.backends)
        backends.push_back(&backend);
    std::ranges::sort(backends, {}, &BackendConfig::name);
    return backends;
}

// Reads the values of one service's backends in the order of their names, in step with the map.
template <typename Value>
class Cursor {
public:
    Cursor(const ByName<Value>& values, const std::string& service)
        : service_(service), at_(values.lower_bound({service, ""})), end_(values.end()) {}

    // The value of `backend`, or nullptr. Names must ascend from call to call.
    const Value* operator()(const std::string& backend) {
        while (at_ != end_ && at_->first.first == service_ && at_->first.second < backend)
            ++at_;
        const bool found =
            at_ != end_ && at_->first.first == service_ && at_->first.second == backend;
        return found ? &at_->second : nullptr;
    }

private:
    const std::string& service_;
    typename ByName<Value>::const_iterator at_, end_;
};

struct SeatState {
    bool live = false;         // takes new flows
    bool keeps_flows = false;  // a flow entry that names it holds
};

std::vector<SeatState> seat_states(const World& world, const ServiceConfig& service,
                                   const BySeat& backends) {
    Cursor<Liveness> health(world.health, service.name);
    Cursor<BackendState> overrides(world.overrides, service.name);
    std::vector<SeatState> states;
    states.reserve(backends.size());
    for (const BackendConfig* backend : backends) {
        const BackendState* over = overrides(backend->name);
        const BackendState state = over != nullptr ? *over : backend->state;
        const Liveness* liveness = service.health.empty() ? nullptr : health(backend->name);
        const bool up = liveness == nullptr || *liveness != Liveness::down;
        states.push_back({up && state == BackendState::active && backend->weight > 0,
                          up && state != BackendState::disabled});
    }
    return states;
}

bool has_states(const ServiceTable& table, std::span<const SeatState> states) {
    for (std::size_t i = 0; i < states.size(); ++i) {
        if (table.live[i] != states[i].live) return false;
        if (table.seats[i].keeps_flows != states[i].keeps_flows) return false;
    }
    return true;
}

void set_states(ServiceTable& table, std::span<const SeatState> states) {
    for (std::size_t i = 0; i < states.size(); ++i) {
        table.live[i] = states[i].live;
        table.seats[i].keeps_flows = states[i].keeps_flows;
    }
}

// All that follows from the configuration; states and slots are still to be filled in.
ServiceTable describe(const Config& config, const ServiceConfig& service, const BySeat& backends,
                      const Registry& registry) {
    ServiceTable table;
    table.id = registry.service(service.name).value();
    table.key = service.key;
    table.forward = service.forward;
    table.name = service.name;
    table.live.resize(backends.size());
    for (const BackendConfig* backend : backends) {
        BackendEntry& entry = table.seats.emplace_back();
        entry.id = registry.backend(service.name, backend->name).value();
        entry.service = table.id;
        if (const auto way = way_of(config, service.forward, *backend)) {
            entry.outer = way->outer;
            entry.next_hop = registry.find_next_hop(way->next_hop.port, way->next_hop.address)
                                 .value_or(invalid_next_hop);
        }
        table.backend_names.push_back(backend->name);
        table.members.push_back({maglev_name_hash(backend->name), backend->weight});
    }
    return table;
}

bool same(const BackendEntry& a, const BackendEntry& b) {
    return a.outer.bytes == b.outer.bytes && a.outer.length == b.outer.length &&
           a.outer.entropy_bits == b.outer.entropy_bits &&
           a.outer.checksum_seed == b.outer.checksum_seed && a.id == b.id &&
           a.next_hop == b.next_hop && a.service == b.service && a.keeps_flows == b.keeps_flows;
}

// All but the slots, which follow from these and the size of the table.
bool same_inputs(const ServiceTable& a, const ServiceTable& b) {
    return a.id == b.id && a.key == b.key && a.forward == b.forward && a.name == b.name &&
           a.backend_names == b.backend_names && a.members == b.members && a.live == b.live &&
           std::ranges::equal(a.seats, b.seats, same);
}

// Both tables of maglev.hh, each taken from `previous` when it must be the same.
void fill_slots(ServiceTable& table, const ServiceTable* previous, std::uint32_t size) {
    const bool same_configured = previous != nullptr && previous->configured.size() == size &&
                                 previous->members == table.members;
    table.configured =
        same_configured ? previous->configured : maglev_configured(table.members, size);
    table.slots = same_configured && previous->live == table.live
                      ? previous->slots
                      : maglev_live(table.configured, table.members, table.live);
}

using SharedTable = std::shared_ptr<const ServiceTable>;

// `previous` may be null. `same_basis`: it was made from the same configuration and ids, so only
// states can differ.
SharedTable compile_service(const ServiceConfig& service, const World& world,
                            const Registry& registry, const SharedTable& previous,
                            bool same_basis) {
    const BySeat backends = by_seat(service);
    const std::vector<SeatState> states = seat_states(world, service, backends);
    if (same_basis && has_states(*previous, states)) return previous;

    auto table = std::make_shared<ServiceTable>(
        same_basis ? *previous : describe(*world.config, service, backends, registry));
    set_states(*table, states);
    if (previous != nullptr && previous->configured.size() == service.table_size &&
        same_inputs(*table, *previous)) {
        return previous;
    }
    fill_slots(*table, previous.get(), service.table_size);
    return table;
}

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

std::vector<NextHop> compile_next_hops(const World& world, const Registry& registry) {
    std::map<Registry::NextHopKey, MacAddress> fixed;
    for (std::size_t i = 0; i < world.config->ports.size(); ++i) {
        for (const StaticNeighbor& neighbor : world.config->ports[i].neighbors) {
            fixed.emplace(Registry::NextHopKey{static_cast<PortId>(i), neighbor.address},
                          neighbor.mac);
        }
    }
    std::vector<NextHop> next_hops;
    next_hops.reserve(registry.next_hops().size());
    for (const Registry::NextHopKey& key : registry.next_hops()) {
        NextHop& hop = next_hops.emplace_back();
        hop.port = key.port;
        hop.source = facts_of(world, index(key.port)).mac;
        const auto static_one = fixed.find(key);
        const auto learnt = world.neighbors.find(key);
        if (static_one != fixed.end()) {
            hop.destination = static_one->second;
            hop.resolved = true;
        } else if (learnt != world.neighbors.end()) {
            hop.destination = learnt->second;
            hop.resolved = true;
        }
    }
    return next_hops;
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
        const std::uint16_t port = probe_port(service, check->second);
        for (const BackendConfig& backend : service.backends) {
            probes.push_back({backend.address, port});
        }
    }
    return ServiceIndex::build(services, own, probes);
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
    const bool same_basis = previous != nullptr && previous->basis == world.config &&
                            previous->basis_adoptions == registry.adoptions();
    auto tables = std::make_unique<Tables>();
    tables->version = previous != nullptr ? previous->version + 1 : 1;
    tables->generation = world.generation;
    tables->hash_seed = config.system.hash_seed;
    tables->timeouts = config.conntrack.timeouts;
    tables->when_full = config.conntrack.when_full;
    tables->services = compile_services(previous, same_basis, world, registry);
    tables->backends = backends_by_id(tables->services, registry.backend_limit());
    tables->next_hops = compile_next_hops(world, registry);
    tables->ports = compile_ports(world);
    tables->index = compile_index(config, tables->services);
    tables->basis = world.config;
    tables->basis_adoptions = registry.adoptions();
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
