// SPDX-License-Identifier: BSD-3-Clause
// compile(): the one way to change what workers do. Pure: (previous tables, world, registry) ->
// new tables. Per-service parts whose inputs did not change are shared with `previous`; the result
// always equals a compile from nothing (a test says so).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lib/balance/nat.hh"
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
    std::vector<PortFacts> ports;                                    // by PortId
    std::map<std::pair<std::string, std::string>, Liveness> health;  // (service, backend)
    // Operator's `weirctl backend drain|enable|disable`, over the file's state until the next
    // reload.
    std::map<std::pair<std::string, std::string>, BackendState> overrides;
    std::map<Registry::NextHopKey, MacAddress> neighbors;  // resolved ones
    // Of the kernel; never null.
    std::shared_ptr<const KernelRoutes> routes = std::make_shared<const KernelRoutes>();
    std::uint64_t generation = 0;
};

// How frames get to one backend: the neighbour to send to, what becomes of their bytes, and the
// outer header of a tunnel.
struct Way {
    Registry::NextHopKey next_hop;
    Rewrite rewrite = Rewrite::link;
    OuterTemplate outer{};  // length 0: no tunnel
};
// The outer source of a tunnel is the egress port's tunnel_source of the backend's family, else its
// own address towards the next hop without variation. nullopt (no_route) without an egress, for a
// dsr-l2 backend that is not in a network of the port (a gateway would send the frame back to us),
// and for a tunnel that has no source. What is in the tunnel is of the VIP's family. Pure.
std::optional<Way> way_of(const Config& config, const ServiceConfig& service,
                          const BackendConfig& backend, const KernelRoutes& routes = {});

// Where probes of `check` connect: the check's port, else the backend's, else the service's when it
// has a single one; 0 when none says (the configuration check refuses that). Pure.
std::uint16_t probe_port(const ServiceConfig& service, const BackendConfig& backend,
                         const HealthConfig& check) noexcept;

// Every next hop that the configuration needs (neighbours to resolve), each once, sorted. Those of
// disabled backends are among them: an operator may enable one. Where addresses are translated,
// those towards clients, too: the gateways, those of `routes`, and stations whose MAC address the
// file gives.
std::vector<Registry::NextHopKey> needed_next_hops(const Config& config,
                                                   const KernelRoutes& routes = {});

// `previous` may be null, and was compiled with the same registry. Precondition: *world.config and
// *world.routes are what registry.adopt() last accepted. `version` of the result is
// previous->version + 1, or 1. The result keeps *world.config alive.
// Cost: O(services + backends) to compare, plus O(slots) for each service that changed; with the
// same configuration object as `previous` the comparison looks at health and overrides alone. For
// 10 000 services of 10 backends and one flip: about 20 ms.
std::unique_ptr<const Tables> compile(const Tables* previous, const World& world,
                                      const Registry& registry);

// What of a World may differ from the one that tables were compiled from, beside the configuration.
struct Changes {
    std::set<std::string> services;  // of which health or overrides changed; unknown names are none
    std::set<Registry::NextHopKey> next_hops;  // of which the neighbour changed
};
// The same result, without looking at what is not in `changes`. With another configuration object
// or other ids than `previous` was made from, all of it is compared as above.
// Cost: copies of the arrays by id, by destination and by next hop, and the work for what changed:
// for 10 000 services of 10 backends and five flips 0.5 ms.
std::unique_ptr<const Tables> compile(const Tables* previous, const World& world,
                                      const Registry& registry, const Changes& changes);

// What Tables::nat holds for this configuration; nullptr without services that need it. Pure.
std::shared_ptr<const NatTables> compile_nat(const Config& config, const Registry& registry,
                                             const KernelRoutes& routes);
// The same when nothing but the registry's stations differs from what `previous` was made from.
std::shared_ptr<const NatTables> compile_stations(const std::shared_ptr<const NatTables>& previous,
                                                  const Config& config, const Registry& registry,
                                                  const KernelRoutes& routes);

// Number of slots of each service in `from` or `to` that lead to another backend, by service name;
// 0 for those that did not change. Tables of different sizes: slots of `to`, each against the slot
// of `from` that serves the middle of its hashes. Services on one side only count whole.
std::map<std::string, std::uint32_t> changed_slots(const Tables& from, const Tables& to);

}  // namespace weir
