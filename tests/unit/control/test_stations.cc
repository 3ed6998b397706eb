// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <set>

#include <catch2/catch.hpp>

#include "lib/control/stations.hh"
#include "tests/unit/control/compile_support.hh"
#include "tests/unit/control/loop.hh"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;
using Key = Stations::Key;

namespace {

Key station(const std::string& address) {
    return {PortId{1}, ip(address)};
}

// Two workers, and a kernel that answers when the test says so.
struct Rig {
    Loop loop;
    StationMailbox first, second;
    std::set<Key> wanted, configured;
    unsigned changes = 0;
    Stations stations;

    explicit Rig(const StationBook::Limits& limits = {.patience = 10min})
        : stations({.base = loop.base(),
                    .mailboxes = {&first, &second},
                    .is_next_hop = [this](const Key& key) { return configured.contains(key); },
                    .want = [this](const Key& key) { CHECK(wanted.insert(key).second); },
                    .forget = [this](const Key& key) { CHECK(wanted.erase(key) == 1); },
                    .is_usable = [](const Key&) { return true; },
                    .on_change = [this] { ++changes; },
                    .period = 1ms,
                    .coalesce = 50ms,
                    .expiry = 1ms,
                    .limits = limits}) {
        stations.set_active(true);
    }
    void leave(StationMailbox& mailbox, const std::string& address) {
        mailbox.leave({PortId{1}, ip(address)});
    }
};

}  // namespace

TEST_CASE("stations: what workers leave is asked for, and known when it is learnt",
          "[control][stations]") {
    Rig rig;
    rig.configured = {station("10.0.0.9")};
    rig.leave(rig.first, "10.0.0.9");
    rig.leave(rig.first, "10.0.0.1");
    rig.leave(rig.second, "10.0.0.1");
    rig.leave(rig.second, "fd00:5::1");
    const std::set<Key> both{station("10.0.0.1"), station("fd00:5::1")};
    CHECK(rig.loop.until([&] { return rig.wanted == both; }));
    CHECK(rig.stations.known().empty());
    CHECK(rig.changes == 0);
    CHECK(rig.stations.learn(station("10.0.0.1"), mac(1)));
    CHECK_FALSE(rig.stations.learn(station("10.0.0.2"), mac(2)));  // nobody asked
    CHECK(rig.changes == 1);
    CHECK(rig.stations.known() == std::map<Key, MacAddress>{{station("10.0.0.1"), mac(1)}});
    CHECK(rig.stations.wanted().size() == 2);
}

TEST_CASE("stations: many answers at once are few changes", "[control][stations]") {
    Rig rig;
    for (int i = 0; i < 200; ++i) {
        const auto address = "10.0.1." + std::to_string(i);
        REQUIRE(rig.loop.until([&] {
            rig.leave(rig.first, address);
            return rig.wanted.contains(station(address));
        }));
    }
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < 200; ++i)
        CHECK(rig.stations.learn(station("10.0.1." + std::to_string(i)), mac(1)));
    CHECK(rig.stations.learn(station("10.0.1.7"), mac(2)));  // told though it is known
    CHECK(rig.loop.until([&] { return rig.changes >= 2; }));
    const auto took = std::chrono::steady_clock::now() - begin;
    CHECK(rig.changes <= 1 + took / 50ms);
    CHECK(rig.stations.known().size() == 200);
    CHECK(rig.stations.known().at(station("10.0.1.7")) == mac(2));
}

TEST_CASE("stations: without services that translate all is forgotten, and nobody looks",
          "[control][stations]") {
    Rig rig;
    rig.leave(rig.first, "10.0.0.1");
    rig.leave(rig.first, "10.0.0.2");
    REQUIRE(rig.loop.until([&] { return rig.wanted.size() == 2; }));
    CHECK(rig.stations.learn(station("10.0.0.1"), mac(1)));
    rig.stations.set_active(false);
    CHECK(rig.wanted.empty());
    CHECK(rig.stations.known().empty());
    rig.leave(rig.first, "10.0.0.3");
    for (int i = 0; i < 100; ++i)
        rig.loop.turn();
    CHECK(rig.wanted.empty());
    rig.stations.set_active(true);
    CHECK(rig.loop.until([&] { return rig.wanted.contains(station("10.0.0.3")); }));
}

TEST_CASE("stations: what nobody answers for is given up", "[control][stations]") {
    Rig rig({.known = 8, .asked = 8, .patience = 20ms, .silence = 60s});
    rig.leave(rig.first, "10.0.0.1");
    REQUIRE(rig.loop.until([&] { return rig.wanted.size() == 1; }));
    CHECK(rig.loop.until([&] { return rig.wanted.empty(); }));
    CHECK_FALSE(rig.stations.learn(station("10.0.0.1"), mac(1)));
    CHECK(rig.changes == 0);
}

TEST_CASE("stations: one that must leave for another is not kept resolved", "[control][stations]") {
    Rig rig({.known = 1, .asked = 8, .patience = 10min});
    for (const auto* address : {"10.0.0.1", "10.0.0.2"}) {
        rig.leave(rig.first, address);
        REQUIRE(rig.loop.until([&] { return rig.wanted.contains(station(address)); }));
        CHECK(rig.stations.learn(station(address), mac(1)));
    }
    CHECK(rig.wanted == std::set<Key>{station("10.0.0.2")});
    CHECK(rig.stations.known() == std::map<Key, MacAddress>{{station("10.0.0.2"), mac(1)}});
}

TEST_CASE("stations: they are next hops of the tables, and leave no trace there",
          "[control][stations]") {
    Config config = two_ports();
    config.services = {service("translated", 2, 2, Forward::nat)};
    World world = world_of(std::move(config));
    Registry registry;
    REQUIRE(registry.adopt(*world.config).ok());
    const auto before = compile(nullptr, world, registry);
    const auto find = [](const Tables& tables, const std::string& to) {
        return tables.nat->routes().find(ip(to));
    };
    CHECK(find(*before, "10.0.9.9") == Route{true, invalid_next_hop, PortId{1}});

    Changes changes;
    adopt_stations({{station("10.0.9.9"), mac(9)}, {station("fd00:5::9"), mac(8)}}, registry, world,
                   changes);
    const auto with = compile(before.get(), world, registry, std::exchange(changes, {}));
    for (const auto& [to, own] : {std::pair{"10.0.9.9", mac(9)}, std::pair{"fd00:5::9", mac(8)}}) {
        const Route route = find(*with, to);
        REQUIRE(route.next_hop != invalid_next_hop);
        const NextHop& hop = with->next_hops.at(index(route.next_hop));
        CHECK(hop.resolved);
        CHECK(hop.destination == own);
        CHECK(hop.port == PortId{1});
    }
    CHECK(with->services == before->services);

    // Another MAC address, with the same set.
    adopt_stations({{station("10.0.9.9"), mac(7)}, {station("fd00:5::9"), mac(8)}}, registry, world,
                   changes);
    const auto moved = compile(with.get(), world, registry, std::exchange(changes, {}));
    CHECK(moved->nat == with->nat);
    CHECK(moved->next_hops.at(index(find(*moved, "10.0.9.9").next_hop)).destination == mac(7));

    adopt_stations({}, registry, world, changes);
    const auto after = compile(moved.get(), world, registry, std::exchange(changes, {}));
    CHECK(find(*after, "10.0.9.9") == Route{true, invalid_next_hop, PortId{1}});
    CHECK(find(*after, "fd00:5::9") == Route{true, invalid_next_hop, PortId{1}});
    CHECK_FALSE(world.neighbors.contains(station("10.0.9.9")));
    CHECK(std::ranges::count_if(after->next_hops, &NextHop::resolved) ==
          std::ranges::count_if(before->next_hops, &NextHop::resolved));
}
