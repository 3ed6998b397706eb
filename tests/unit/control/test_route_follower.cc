// SPDX-License-Identifier: BSD-3-Clause
#include <set>

#include <catch2/catch.hpp>

#include "lib/control/route_follower.hh"
#include "tests/unit/control/compile_support.hh"
#include "tests/unit/control/controller_fixture.hh"
#include "tests/unit/control/namespaces.hh"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;
using Key = RouteFollower::Key;

namespace {

const KernelRoute one = route("192.0.2.0/24", 1, "10.0.0.7");
const KernelRoute two = route("192.0.3.0/24", 1, "10.0.0.8");

Key hop(std::string_view address) {
    return {PortId{1}, ip(address)};
}

// A kernel that answers when the test says so; every gateway is unresolved unless it is `resolved`.
struct Rig {
    Loop loop;
    std::set<Key> resolved, wanted;
    std::vector<std::vector<KernelRoute>> used;
    bool room = true;
    RouteFollower follower;

    explicit Rig(std::chrono::milliseconds patience = 10min)
        : follower({.base = loop.base(),
                    .unresolved = [this](const KernelRoutes& routes) { return unresolved(routes); },
                    .want = [this](const Key& key) { CHECK(wanted.insert(key).second); },
                    .forget = [this](const Key& key) { CHECK(wanted.erase(key) == 1); },
                    .use =
                        [this](const RouteFollower::Shared& routes) {
                            used.push_back(routes->all());
                            return room;
                        },
                    .patience = patience}) {}
    [[nodiscard]] std::vector<Key> unresolved(const KernelRoutes& routes) const {
        std::vector<Key> keys;
        for (const KernelRoute& each : routes.all())
            if (!resolved.contains({each.port, each.gateway}))
                keys.push_back({each.port, each.gateway});
        return keys;
    }
    bool until(const std::vector<KernelRoute>& routes) {
        return loop.until([&] { return !used.empty() && used.back() == routes; });
    }
};

}  // namespace

TEST_CASE("route follower: routes are used when the last of their next hops answers",
          "[control][routes]") {
    Rig rig;
    rig.resolved = {hop("10.0.0.7")};
    rig.follower.offer({one}, false);
    CHECK(rig.until({one}));
    CHECK(rig.wanted.empty());

    rig.resolved.clear();
    const KernelRoute third = route("192.0.4.0/24", 1, "10.0.0.9");
    rig.follower.offer({two, third}, false);
    CHECK(rig.wanted == std::set{hop("10.0.0.8"), hop("10.0.0.9")});
    CHECK(rig.follower.asked() == rig.wanted);
    rig.follower.learn(hop("10.0.0.8"), mac(8));
    rig.follower.learn(hop("10.0.0.8"), mac(9));    // it moved
    rig.follower.learn(hop("10.0.0.77"), mac(77));  // nobody asked
    CHECK(rig.follower.known() == std::map<Key, MacAddress>{{hop("10.0.0.8"), mac(9)}});
    rig.loop.turn();
    CHECK(rig.used.size() == 1);
    rig.follower.learn(hop("10.0.0.9"), mac(9));
    CHECK(rig.until({two, third}));
    CHECK(rig.follower.asked().empty());
    CHECK(rig.follower.known().empty());
    CHECK(rig.wanted.size() == 2);  // who uses them keeps them resolved
    CHECK(rig.used.size() == 2);
}

TEST_CASE("route follower: what changes meanwhile counts, what is as before is nothing",
          "[control][routes]") {
    Rig rig;
    rig.follower.offer({one}, false);
    rig.follower.learn(hop("10.0.0.7"), mac(7));
    REQUIRE(rig.until({one}));
    rig.resolved = {hop("10.0.0.7")};
    rig.wanted.clear();
    rig.follower.offer({one, two}, false);
    CHECK(rig.wanted == std::set{hop("10.0.0.8")});
    rig.follower.offer({one, route("192.0.3.0/24", 1, "10.0.0.9")}, false);
    CHECK(rig.wanted == std::set{hop("10.0.0.9")});
    rig.follower.learn(hop("10.0.0.8"), mac(8));
    CHECK(rig.follower.known().empty());
    rig.follower.offer({one}, false);
    CHECK(rig.wanted.empty());
    rig.follower.learn(hop("10.0.0.9"), mac(9));
    for (int i = 0; i < 100; ++i)
        rig.loop.turn();
    CHECK(rig.used.size() == 1);
}

TEST_CASE("route follower: routers that do not answer are waited for, but not for ever",
          "[control][routes]") {
    Rig rig(30ms);
    rig.follower.offer({one}, false);
    CHECK(rig.used.empty());
    CHECK(rig.until({one}));
    // Routes that change all the time do not put it off.
    rig.used.clear();
    unsigned number = 0;
    CHECK(rig.loop.until([&] {
        if (!rig.used.empty()) return true;
        rig.follower.offer({route("192.0.3.0/24", 1, "10.0.0.8", ++number)}, false);
        return false;
    }));
}

TEST_CASE("route follower: what cannot be used is tried anew with the next change",
          "[control][routes]") {
    Rig rig;
    rig.room = false;
    rig.follower.offer({one}, false);
    rig.follower.learn(hop("10.0.0.7"), mac(7));
    REQUIRE(rig.until({one}));
    CHECK(rig.wanted.empty());
    CHECK(rig.follower.known().empty());
    rig.room = true;
    rig.follower.offer({one}, false);
    rig.follower.learn(hop("10.0.0.7"), mac(7));
    CHECK(rig.loop.until([&] { return rig.used.size() == 2; }));
}

TEST_CASE("route follower: only next hops that are new, unknown and by a TAP are waited for",
          "[control][routes]") {
    Config config = two_ports();
    config.services = {service("one", 1, 3, Forward::ipip)};
    config.services[0].backends[0].address = ip("192.0.2.1");
    config.services[0].backends[1].address = ip("192.0.3.1");
    config.services[0].backends[2].address = ip("192.0.4.1");
    config.ports[1].neighbors = {{ip("10.0.0.8"), mac(8)}};
    World world = world_of(std::move(config));
    const KernelRoutes routes(
        {one, two, route("192.0.4.0/24", 1, "10.0.0.9"), route("192.0.5.0/24", 1, "10.0.0.10")});
    const std::vector<std::string> taps{"wan0x", "lan0x"};
    using Keys = std::vector<Key>;
    CHECK(unresolved_hops(world, routes, taps) == Keys{hop("10.0.0.7"), hop("10.0.0.9")});
    CHECK(unresolved_hops(world, routes, {"wan0x", ""}).empty());
    world.neighbors[hop("10.0.0.7")] = mac(7);
    CHECK(unresolved_hops(world, routes, taps) == Keys{hop("10.0.0.9")});
    world.neighbors.clear();
    world.routes = std::make_shared<const KernelRoutes>(std::vector{one});
    CHECK(unresolved_hops(world, routes, taps) == Keys{hop("10.0.0.9")});
    // Back to the gateway, which nobody needed meanwhile.
    world.routes = std::make_shared<const KernelRoutes>(routes);
    CHECK(unresolved_hops(world, {}, taps) == Keys{{PortId{0}, ip("198.51.100.1")}});
    CHECK(unresolved_hops(World{}, routes, taps).empty());
}

TEST_CASE("route follower: adopted routes are those of registry and world", "[control][routes]") {
    Config config = two_ports();
    config.services = {service("one", 1, 1, Forward::nat)};
    World world = world_of(std::move(config));
    Registry registry;
    const auto routes = std::make_shared<const KernelRoutes>(std::vector{one});
    CHECK(adopt_routes(routes, registry, world));
    CHECK(world.routes == routes);
    CHECK(registry.find_next_hop(PortId{1}, ip("10.0.0.7")).has_value());
    CHECK(registry.adoptions() == 1);
    World empty;
    CHECK(adopt_routes(routes, registry, empty));
    CHECK(empty.routes == routes);
    CHECK(registry.adoptions() == 1);
}

TEST_CASE("controller: backends go by the routes of the kernel, and back", "[control][routes]") {
    Namespace here;
    if (!here.ok()) {
        WARN("skipped: routes need the right to make network namespaces; run as root");
        return;
    }
    const std::string setup =
        "set -e; ip link add lan0x type veth peer name far; ip link set lan0x up; ip link set far "
        "up;"
        "ip addr add 10.0.0.5/16 dev lan0x;"
        "ip route add 10.30.9.0/24 via 10.0.0.9 dev lan0x;";
    const std::string neighbors =
        "set -e; for i in 1 7 9; do"
        " ip neigh replace 10.0.0.$i lladdr 02:00:00:00:00:0$i nud permanent dev lan0x; done";
    REQUIRE(here.run(setup + neighbors));
    Config config = small_config();
    config.ports[0].addresses = {prefix("10.0.0.5/16")};
    config.ports[0].gateways = {ip("10.0.0.1")};
    config.ports[0].neighbors.clear();
    config.ports[0].exception_tap = "lan0x";
    config.services[0].forward = Forward::ipip;
    config.services[0].backends[0].address = ip("10.30.1.1");
    config.services[0].backends[1].address = ip("10.30.9.1");
    config.services[0].backends[2].address = ip("10.40.1.1");
    ControllerFixture f(std::move(config), {"lan0x"}, &here);
    const auto goes = [&](const char* backend, const char* next_hop) {
        return f.loop.until([&] {
            const BackendView view = f.backend(backend);
            return view.next_hop == next_hop && view.resolved;
        });
    };
    // The first tables go by the routes that are there.
    CHECK(f.backend("b").next_hop == "10.0.0.9");
    CHECK(f.data_plane.published.size() == 1);
    CHECK(goes("a", "10.0.0.1"));
    CHECK(goes("b", "10.0.0.9"));

    // No tables lead to a next hop that is not resolved, there and back.
    const std::size_t settled = f.data_plane.published.size();
    REQUIRE(here.run("ip route add 10.30.0.0/16 via 10.0.0.7 dev lan0x"));
    CHECK(goes("a", "10.0.0.7"));
    CHECK(f.backend("b").next_hop == "10.0.0.9");  // the longer one
    CHECK(f.backend("c").next_hop == "10.0.0.1");
    REQUIRE(here.run("ip route del 10.30.0.0/16 via 10.0.0.7 dev lan0x"));
    CHECK(goes("a", "10.0.0.1"));
    REQUIRE(here.run("ip route add default via 10.0.0.7 dev lan0x"));
    CHECK(goes("a", "10.0.0.7"));
    CHECK(goes("c", "10.0.0.7"));
    REQUIRE(here.run("ip route del default"));
    CHECK(goes("a", "10.0.0.1"));
    std::size_t lost = 0;
    for (std::size_t i = settled; i < f.data_plane.published.size(); ++i) {
        const Tables& tables = *f.data_plane.published[i];
        for (const BackendEntry& entry : tables.services[0]->seats)
            lost += tables.next_hops.at(index(entry.next_hop)).resolved ? 0 : 1;
    }
    CHECK(lost == 0);
    // A reload knows them, too.
    REQUIRE(here.run("ip route add 10.30.0.0/16 via 10.0.0.7 dev lan0x"));
    REQUIRE(goes("a", "10.0.0.7"));
    Config again = f.running;
    again.services[0].backends[2].address = ip("10.30.1.3");
    f.put("again.toml", again);
    REQUIRE(f.reload("again.toml").ok);
    CHECK(f.backend("c").next_hop == "10.0.0.7");
    CHECK(f.backend("c").resolved);
}
