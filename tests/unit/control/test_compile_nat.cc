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
    explicit Compiled(Config config) : world(world_of(std::move(config))) {
        REQUIRE(registry.adopt(*world.config).ok());
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
          "[control][nat][property]") {
    const Compiled compiled(with_nat());
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
        const auto egress = egress_of(config, address);
        const Route route = routes.find(address);
        REQUIRE(route.exists == egress.has_value());
        if (!egress) continue;
        const auto known = compiled.registry.find_next_hop(egress->port, egress->next_hop);
        CHECK(route.next_hop == known.value_or(invalid_next_hop));
    }
    CHECK(routes.find(ip("10.0.7.7")).next_hop != invalid_next_hop);
    CHECK(routes.find(ip("192.0.2.1")).next_hop != invalid_next_hop);
}
