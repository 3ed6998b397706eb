// SPDX-License-Identifier: BSD-3-Clause
#include <catch2/catch.hpp>

#include "lib/control/prober.hh"

using namespace weir;

TEST_CASE("prober: probes of a configuration", "[control][prober]") {
    Config config;
    PortConfig wan, lan;
    wan.addresses = {*parse_prefix("198.51.100.5/24"), *parse_prefix("2001:db8:1::5/64")};
    wan.gateways = {*parse_ip("198.51.100.1"), *parse_ip("2001:db8:1::1")};
    wan.exception_tap = "wan0x";
    lan.addresses = {*parse_prefix("10.9.0.5/24"), *parse_prefix("10.0.0.5/16")};
    lan.exception_tap = "lan0x";
    config.ports = {wan, lan};
    config.health["web"].name = "web";
    config.health["tcp"].port = 8443;
    ServiceConfig web;
    web.name = "web";
    web.health = "web";
    web.key = {*parse_ip("203.0.113.10"), ServiceProtocol::tcp, 443, 443};
    web.backends = {{"near", *parse_ip("10.0.1.11")},
                    {"far6", *parse_ip("fd00:5::13"), 100, BackendState::drain},
                    {"off", *parse_ip("10.0.1.12"), 100, BackendState::disabled}};
    ServiceConfig range = web;
    range.name = "range";
    range.health = "tcp";
    range.key.first_port = 8000;
    range.key.last_port = 8099;
    range.backends.resize(1);
    ServiceConfig plain = web;
    plain.health.clear();
    config.services = {web, range, plain};

    const std::vector<ProbeTask> tasks = probe_tasks(config);
    REQUIRE(tasks.size() == 3);
    CHECK(tasks[0].backend == "near");
    CHECK(tasks[0].port == 443);
    CHECK(to_string(tasks[0].source) == "10.0.0.5");  // of the subnet that holds it
    CHECK(tasks[0].interface == "lan0x");
    CHECK(tasks[1].backend == "far6");
    CHECK(to_string(tasks[1].source) == "2001:db8:1::5");
    CHECK(tasks[1].interface == "wan0x");
    CHECK(tasks[2].service == "range");
    CHECK(tasks[2].port == 8443);

    // Routes of the kernel lead probes by their port, but for dsr-l2 backends.
    const KernelRoutes routes(
        {{*parse_prefix("fd00:5::/64"), 0, PortId{1}, *parse_ip("fe80::1")},
         {*parse_prefix("10.0.1.0/24"), 0, PortId{0}, *parse_ip("198.51.100.7")}});
    config.services[0].forward = Forward::dsr_l2;
    config.services[1].forward = Forward::ipip;
    config.ports[1].addresses.push_back(*parse_prefix("2001:db8:5::5/64"));
    const std::vector<ProbeTask> led = probe_tasks(config, routes);
    REQUIRE(led.size() == 3);
    CHECK(led[0].interface == "lan0x");
    CHECK(to_string(led[0].source) == "10.0.0.5");
    CHECK(led[1].interface == "wan0x");
    CHECK(led[2].interface == "wan0x");
    CHECK(to_string(led[2].source) == "198.51.100.5");
    config.services[0].forward = Forward::ipip;
    CHECK(probe_tasks(config, routes)[1].interface == "lan0x");
    CHECK(to_string(probe_tasks(config, routes)[1].source) == "2001:db8:5::5");
}
