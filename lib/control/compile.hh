// SPDX-License-Identifier: BSD-3-Clause
// compile(): the one way to change what workers do. Pure: (previous tables, world, registry) ->
// new tables. Per-service parts whose inputs did not change are shared with `previous`; the result
// always equals a compile from nothing (a test says so).
#pragma once

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "lib/balance/tables.hh"
#include "lib/control/config.hh"
#include "lib/control/egress.hh"
#include "lib/control/registry.hh"

namespace weir {

// What start-up learnt of a port.
struct PortFacts {
    MacAddress mac;
    bool has_tap = false;
};

enum class Liveness : std::uint8_t { unknown, up, down };  // unknown counts as up

// The complete description from which tables follow. Plain values; the controller owns it.
struct World {
    std::shared_ptr<const Config> config;
    std::vector<PortFacts> ports;                             // by PortId
    std::map<std::pair<std::string, std::string>, Liveness> health;  // (service, backend)
    // Operator's `weirctl backend drain|enable|disable`, over the file's state until the next reload.
    std::map<std::pair<std::string, std::string>, BackendState> overrides;
    std::map<Registry::NextHopKey, MacAddress> neighbors;     // resolved ones
    std::uint64_t generation = 0;
};

// Every next hop that the configuration needs (neighbours to resolve), each once.
std::vector<Registry::NextHopKey> needed_next_hops(const Config& config);

// `previous` may be null. Precondition: registry.adopt(*world.config) succeeded and every needed
// next hop has an id. `version` of the result is previous->version + 1, or 1.
// Cost: O(services + backends) to compare, plus O(slots) for each service that changed.
std::unique_ptr<const Tables> compile(const Tables* previous, const World& world,
                                      const Registry& registry);

// Number of slots of each service that differ between two tables; by name. Services on one side
// only count whole.
std::map<std::string, std::uint32_t> changed_slots(const Tables& from, const Tables& to);

}  // namespace weir
