// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/compile_service.hh"

#include <algorithm>
#include <span>

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

void describe_rewrite(BackendEntry& entry, const Way& way, const ServiceConfig& service,
                      const BackendConfig& backend) {
    entry.rewrite = way.rewrite;
    if (way.rewrite == Rewrite::destination)
        entry.target = {backend.address.bytes, service.l3dsr.dscp};
    else
        entry.outer = way.outer;
    if (service.forward == Forward::gue) entry.gue_port = service.gue.port;
}

// All that follows from configuration and routes; states and slots are still to be filled in.
ServiceTable describe(const World& world, const ServiceConfig& service, const BySeat& backends,
                      const Registry& registry) {
    ServiceTable table;
    table.id = registry.service(service.name).value();
    table.key = service.key;
    const bool is_icmp = service.key.protocol == ServiceProtocol::icmp;
    table.endpoints = {
        registry.endpoint(service.key, ServiceProtocol::tcp),
        registry.endpoint(service.key, ServiceProtocol::udp),
        registry.endpoint(service.key, is_icmp ? ServiceProtocol::icmp : ServiceProtocol::sctp)};
    table.forward = service.forward;
    table.name = service.name;
    table.live.resize(backends.size());
    table.quic = compile_quic(service, backends);
    for (const BackendConfig* backend : backends) {
        BackendEntry& entry = table.seats.emplace_back();
        entry.id = registry.backend(service.name, backend->name).value();
        entry.service = table.id;
        if (const auto way = way_of(*world.config, service, *backend, *world.routes)) {
            describe_rewrite(entry, *way, service, *backend);
            entry.next_hop = registry.find_next_hop(way->next_hop.port, way->next_hop.address)
                                 .value_or(invalid_next_hop);
        }
        entry.mss_clamp = service.mss_clamp;
        entry.settle();
        table.backend_names.push_back(backend->name);
        table.members.push_back({maglev_name_hash(backend->name), backend->weight});
    }
    return table;
}

bool same_header(const OuterTemplate& a, const OuterTemplate& b) {
    return a.bytes == b.bytes && a.length == b.length && a.entropy_bits == b.entropy_bits &&
           a.checksum_seed == b.checksum_seed;
}

bool same_target(const DestinationRewrite& a, const DestinationRewrite& b) {
    return a.address == b.address && a.dscp == b.dscp;
}

bool same(const BackendEntry& a, const BackendEntry& b) {
    return a.rewrite == b.rewrite &&
           (a.rewrite == Rewrite::destination ? same_target(a.target, b.target)
                                              : same_header(a.outer, b.outer)) &&
           a.gue_port == b.gue_port && a.mss_clamp == b.mss_clamp && a.id == b.id &&
           a.next_hop == b.next_hop && a.service == b.service && a.keeps_flows == b.keeps_flows;
}

bool same(const std::shared_ptr<const QuicLb>& a, const std::shared_ptr<const QuicLb>& b) {
    return a == b || (a != nullptr && b != nullptr && *a == *b);
}

// All but the slots, which follow from these and the size of the table.
bool same_inputs(const ServiceTable& a, const ServiceTable& b) {
    return a.id == b.id && a.key == b.key && a.endpoints == b.endpoints && a.forward == b.forward &&
           a.name == b.name && a.backend_names == b.backend_names && a.members == b.members &&
           a.live == b.live && same(a.quic, b.quic) &&
           std::ranges::equal(a.seats, b.seats,
                              [](const auto& x, const auto& y) { return same(x, y); });
}

// Both tables of maglev.hh, each taken from `previous` when it must be the same.
void fill_slots(ServiceTable& table, const ServiceTable* previous, std::uint32_t size) {
    const bool same_configured = previous != nullptr && previous->configured.size() == size &&
                                 previous->members == table.members;
    if (!same_configured) {
        table.configured = maglev_configured(table.members, size);
    } else if (table.configured.size() != size) {  // else it is a copy of the previous one
        table.configured = previous->configured;
    }
    table.slots = same_configured && previous->live == table.live
                      ? previous->slots
                      : maglev_live(table.configured, table.members, table.live);
}

}  // namespace

SharedTable compile_service(const ServiceConfig& service, const World& world,
                            const Registry& registry, const SharedTable& previous,
                            bool same_basis) {
    const BySeat backends = by_seat(service);
    const std::vector<SeatState> states = seat_states(world, service, backends);
    if (same_basis && has_states(*previous, states)) return previous;

    auto table = std::make_shared<ServiceTable>(
        same_basis ? *previous : describe(world, service, backends, registry));
    set_states(*table, states);
    if (!same_basis && previous != nullptr && previous->configured.size() == service.table_size &&
        same_inputs(*table, *previous)) {
        return previous;
    }
    fill_slots(*table, previous.get(), service.table_size);
    return table;
}

}  // namespace weir
