// SPDX-License-Identifier: BSD-3-Clause
// What translation needs of the tables: there when a service asks for it, and the same way to
// clients as to backends.
#include <random>

#include <catch2/catch.hpp>

#include "lib/control/compile.hh"
#include "tests/unit/control/compile_support.hh"

using namespace weir;
using namespace weir::test;

namespace {

Config with_nat() {
    Config config = two_ports();
    config.services = {service("plain", 1, 2), service("translated", 2, 2, Forward::nat)};
    config.services[1].backends[1].port = 8080;
    config.ports[1].neighbors = {{ip("10.0.7.7"), mac(7)}};
    return config;
}

struct Compiled {
    explicit Compiled(Config config, std::vector<KernelRoute> routes = {})
        : world(world_of(std::move(config))) {
        world.routes = std::make_shared<const KernelRoutes>(std::move(routes));
        REQUIRE(registry.adopt(*world.config, *world.routes).ok());
        tables = compile(nullptr, world, registry);
    }
    World world;
    Registry registry;
    std::unique_ptr<const Tables> tables;
};

}  // namespace

TEST_CASE("compile: tables for translation are there when a service needs them", "[control][nat]") {
    Config plain = two_ports();
    plain.services = {service("plain", 1, 2)};
    CHECK(Compiled(plain).tables->nat == nullptr);

    const Compiled compiled(with_nat());
    const Tables& tables = *compiled.tables;
    REQUIRE(tables.nat != nullptr);
    const ServiceConfig& service = compiled.world.config->services[1];
    for (const BackendConfig& backend : service.backends) {
        const BackendId id = compiled.registry.backend("translated", backend.name).value();
        CHECK(tables.nat->end(id) == PacketEnd{backend.address, backend.port});
        CHECK(tables.backends[index(id)]->rewrite == Rewrite::nat);
        CHECK(tables.backends[index(id)]->outer.length == 0);
        const std::uint16_t port = backend.port != 0 ? backend.port : service.key.first_port;
        CHECK(tables.nat->service_of(backend.address, 6, port) == 1);
    }
    // A health event changes nothing of it, and does not build it again.
    World world = compiled.world;
    world.health[{"translated", service.backends[0].name}] = Liveness::down;
    const auto next = compile(&tables, world, compiled.registry);
    CHECK(next->nat == tables.nat);
}

TEST_CASE("compile: a client is reached as a backend at its address would be",
          "[control][nat][routes][property]") {
    std::vector<KernelRoute> kernel;
    if (GENERATE(false, true)) {
        kernel = {
            route("10.0.7.0/24", 1, "10.0.0.9"),      route("10.0.0.0/16", 1, "10.0.0.8"),
            route("10.0.0.0/9", 0, "198.51.100.9"),   route("198.51.100.64/26", 1, "10.0.0.9"),
            route("2001:db8:2::/48", 1, "fe80::9"),   route("0.0.0.0/0", 1, "10.0.0.7"),
            route("198.51.128.0/17", 0, "172.16.0.1")};
    }
    const Compiled compiled(with_nat(), kernel);
    const Config& config = *compiled.world.config;
    const Routes& routes = compiled.tables->nat->routes();
    std::mt19937 random(1812);
    std::vector<IpAddress> asked{ip("10.0.7.7"),      ip("10.0.7.8"),      ip("192.0.2.1"),
                                 ip("198.51.100.77"), ip("2001:db8:2::1"), ip("fd00:5::1")};
    for (int i = 0; i < 1000; ++i) {
        IpAddress address = ip(random() % 2 == 0 ? "10.0.0.0" : "198.51.100.0");
        for (std::size_t at = 1; at < 4; ++at)
            if (random() % 3 == 0) address.bytes[at] = static_cast<std::uint8_t>(random());
        asked.push_back(address);
    }
    for (const IpAddress& address : asked) {
        INFO(to_string(address));
        const auto egress = egress_of(config, address, *compiled.world.routes);
        const Route route = routes.find(address);
        REQUIRE(route.exists == egress.has_value());
        if (!egress) continue;
        const auto known = compiled.registry.find_next_hop(egress->port, egress->next_hop);
        CHECK(route.next_hop == known.value_or(invalid_next_hop));
    }
    CHECK(routes.find(ip("10.0.7.7")).next_hop != invalid_next_hop);
    CHECK(routes.find(ip("192.0.2.1")).next_hop != invalid_next_hop);
}

TEST_CASE("compile: a route that comes or goes is in the next tables, and builds no slots anew",
          "[control][nat][routes]") {
    Config config = two_ports();
    config.services = {service("far", 1, 2, Forward::ipip), service("near", 2, 2),
                       service("translated", 3, 2, Forward::nat)};
    config.services[0].backends[0].address = ip("192.0.2.1");
    Compiled compiled(std::move(config));
    World& world = compiled.world;
    Registry& registry = compiled.registry;
    const auto hop = [&](const Tables& tables) {
        return registry.next_hops().at(index(tables.services[0]->seats[0].next_hop));
    };
    const auto client = [&](const Tables& tables, std::string_view address) {
        return registry.next_hops().at(index(tables.nat->routes().find(ip(address)).next_hop));
    };
    const Registry::NextHopKey gateway{PortId{0}, ip("198.51.100.1")},
        other{PortId{1}, ip("10.0.0.7")};
    const Tables& before = *compiled.tables;
    CHECK(hop(before) == gateway);
    CHECK(client(before, "192.0.2.99") == gateway);

    world.routes = std::make_shared<const KernelRoutes>(
        std::vector<KernelRoute>{route("192.0.2.0/24", 1, "10.0.0.7")});
    world.neighbors[other] = mac(7);
    REQUIRE(registry.adopt(*world.config, *world.routes).ok());
    const auto with = compile(&before, world, registry, Changes{});
    CHECK(hop(*with) == other);
    CHECK(client(*with, "192.0.2.99") == other);
    CHECK(client(*with, "192.0.3.1") == gateway);
    CHECK(with->next_hops.at(index(with->services[0]->seats[0].next_hop)).destination == mac(7));
    CHECK(with->services[0]->configured == before.services[0]->configured);
    CHECK(with->services[0]->slots == before.services[0]->slots);
    CHECK(with->services[1] == before.services[1]);  // dsr-l2: untouched

    world.routes = std::make_shared<const KernelRoutes>();
    REQUIRE(registry.adopt(*world.config, *world.routes).ok());
    const auto after = compile(with.get(), world, registry, Changes{});
    CHECK(hop(*after) == gateway);
    CHECK(client(*after, "192.0.2.99") == gateway);
    CHECK_FALSE(registry.find_next_hop(other.port, other.address).has_value());
}
