// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/view_builder.hh"

#include <algorithm>
#include <unordered_map>

#include "lib/control/controller.hh"
#include "lib/control/json.hh"

namespace weir {
namespace {

using Key = HealthBook::Key;

template <typename Map>
const typename Map::mapped_type* find(const Map& map, const typename Map::key_type& key) {
    const auto found = map.find(key);
    return found != map.end() ? &found->second : nullptr;
}

std::string view_state(BackendState wanted, bool checked, Liveness liveness) {
    if (wanted == BackendState::disabled) return "disabled";
    if (checked && liveness == Liveness::down) return "down";
    if (wanted == BackendState::drain) return "drain";
    return checked && liveness == Liveness::unknown ? "unknown" : "up";
}

std::string backend_state(const World& world, const Key& key, const BackendConfig& backend) {
    const BackendState* forced = find(world.overrides, key);
    const Liveness* liveness = find(world.health, key);
    return view_state(forced != nullptr ? *forced : backend.state, liveness != nullptr,
                      liveness != nullptr ? *liveness : Liveness::unknown);
}

void fill_states(const World& world, InstanceView& view) {
    view.services.reserve(world.config->services.size());
    for (const auto& service : world.config->services) {
        ServiceView& one = view.services.emplace_back();
        one.backends.reserve(service.backends.size());
        for (const auto& backend : service.backends) {
            one.backends.emplace_back().state =
                backend_state(world, {service.name, backend.name}, backend);
        }
    }
}

// Where the backend's packets go; empty without a route.
void fill_route(const World& world, const ServiceConfig& service, const BackendConfig& backend,
                BackendView& view) {
    const auto way = way_of(*world.config, service, backend, *world.routes);
    if (!way) return;
    view.next_hop = to_string(way->next_hop.address);
    view.port = world.config->ports[index(way->next_hop.port)].name;
    view.resolved = world.neighbors.contains(way->next_hop);
}

NeighborView neighbor_view(const ViewSource& source, const Registry::NextHopKey& key) {
    const PortConfig& port = source.world.config->ports[index(key.port)];
    NeighborView view;
    view.port = port.name;
    view.address = to_string(key.address);
    if (const MacAddress* mac = find(source.world.neighbors, key)) {
        view.mac = to_string(*mac);
        view.resolved = true;
    }
    const bool fixed = std::ranges::find(port.neighbors, key.address, &StaticNeighbor::address) !=
                       port.neighbors.end();
    view.source = fixed ? "static" : "kernel";
    view.state = fixed ? "PERMANENT" : source.neighbor_state(key);
    if (view.state.empty()) view.state = "NONE";
    return view;
}

}  // namespace

bool can_occur(DropReason reason) noexcept {
    return reason != DropReason::new_flow_limited;
}

const std::vector<std::uint32_t>& ViewBuilder::slot_counts(
    const std::shared_ptr<const ServiceTable>& table) {
    SlotCounts& counts = slots_[table->name];
    if (counts.table == table) return counts.by_seat;
    counts.table = table;
    counts.by_seat.assign(table->seats.size(), 0);
    for (const Seat seat : table->slots) {
        if (seat != no_seat) ++counts.by_seat[seat];
    }
    return counts.by_seat;
}

ServiceView ViewBuilder::service_view(const ViewSource& source, const ServiceConfig& service,
                                      const std::shared_ptr<const ServiceTable>& table) {
    ServiceView view;
    view.name = service.name;
    view.vip = to_string(service.key.vip);
    view.protocol = protocol_text(service.key.protocol);
    view.ports = port_range_text(service.key);
    view.forward = forward_text(service.forward);
    view.health = service.health;
    view.family = service.key.vip.family == Family::v4 ? "ipv4" : "ipv6";
    view.table_size = service.table_size;
    for (const QuicLbConfig& config : service.quic)
        view.quic_configs.push_back(config.id);
    if (const auto id = source.registry.service(service.name)) {
        view.traffic = source.services.since(index(*id), source.data_plane.service_traffic(*id));
    }
    view.backends.reserve(service.backends.size());
    for (const auto& backend : service.backends) {
        const Key key{service.name, backend.name};
        BackendView& one = view.backends.emplace_back();
        one.name = backend.name;
        one.address = backend.address;
        one.weight = backend.weight;
        one.quic_server_id = backend.quic_server_id;
        one.configured = state_text(backend.state);
        one.state = backend_state(source.world, key, backend);
        one.check_detail = source.health.detail(key);
        fill_route(source.world, service, backend, one);
        if (const auto id = source.registry.backend(service.name, backend.name)) {
            one.traffic = source.backends.since(index(*id), source.data_plane.backend_traffic(*id));
        }
        if (table == nullptr) continue;
        const auto at = std::ranges::lower_bound(table->backend_names, backend.name);
        if (at == table->backend_names.end() || *at != backend.name) continue;
        const auto seat = static_cast<std::size_t>(at - table->backend_names.begin());
        one.takes_new = table->live[seat];
        one.keeps_flows = table->seats[seat].keeps_flows;
        one.slots = slot_counts(table)[seat];
    }
    return view;
}

void ViewBuilder::fill_services(const ViewSource& source, const Tables& tables,
                                InstanceView& view) {
    std::unordered_map<std::string_view, const std::shared_ptr<const ServiceTable>*> by_name;
    for (const auto& table : tables.services)
        by_name[table->name] = &table;
    for (const auto& service : source.world.config->services) {
        const auto found = by_name.find(service.name);
        view.services.push_back(
            service_view(source, service, found != by_name.end() ? *found->second : nullptr));
    }
    std::erase_if(slots_, [&](const auto& entry) { return !by_name.contains(entry.first); });
}

void ViewBuilder::fill_service(const ViewSource& source, const Tables& tables,
                               const std::string& name, InstanceView& view) {
    const auto& services = source.world.config->services;
    const auto service = std::ranges::find(services, name, &ServiceConfig::name);
    if (service == services.end()) return;
    const auto table = std::ranges::find(
        tables.services, name, [](const auto& one) -> auto& { return one->name; });
    view.services.push_back(
        service_view(source, *service, table != tables.services.end() ? *table : nullptr));
}

InstanceView ViewBuilder::build(const ViewSource& source, const ViewScope& scope) {
    InstanceView view;
    source.data_plane.fill(view);
    std::erase_if(view.drops, [](const DropView& drop) {
        const auto at = std::ranges::find(drop_reasons, drop.reason, &DropReasonText::name);
        return drop.packets == 0 && at != drop_reasons.end() &&
               !can_occur(static_cast<DropReason>(at - drop_reasons.begin()));
    });
    const Config& config = *source.world.config;
    view.name = config.system.name;
    view.config_path = config.path;
    view.config_generation = source.world.generation;
    if (const Tables* tables = source.data_plane.current()) {
        view.tables_version = tables->version;
        switch (scope.services) {
            case ViewScope::Services::all:
                fill_services(source, *tables, view);
                break;
            case ViewScope::Services::one:
                fill_service(source, *tables, scope.service, view);
                break;
            case ViewScope::Services::states:
                fill_states(source.world, view);
                break;
            case ViewScope::Services::none:
                break;
        }
    }
    if (scope.neighbors) {
        for (const auto& key : needed_next_hops(config, *source.world.routes))
            view.neighbors.push_back(neighbor_view(source, key));
        for (const auto& key : source.registry.stations())
            view.neighbors.push_back(neighbor_view(source, key));
    }
    if (scope.health) view.health = source.health.views(source.now);
    return view;
}

}  // namespace weir
