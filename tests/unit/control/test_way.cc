// SPDX-License-Identifier: BSD-3-Clause
#include <catch2/catch.hpp>

#include "lib/control/compile.hh"
#include "tests/unit/control/compile_support.hh"

using namespace weir;
using namespace weir::test;

namespace {

BackendConfig at(std::string_view address) {
    return {"b", ip(address), 100, BackendState::active, 0};
}

// A service of an IPv4 VIP.
ServiceConfig in(Forward forward) {
    return service("web", 10, 0, forward);
}

}  // namespace

TEST_CASE("way: the narrowest network of a port, else the first gateway of the family",
          "[control]") {
    Config config = two_ports();
    config.ports[0].addresses.push_back(prefix("10.0.128.1/17"));
    const auto hop = [&](std::string_view address) {
        const auto way = way_of(config, in(Forward::ipip), at(address));
        REQUIRE(way.has_value());
        return way->next_hop;
    };
    CHECK(hop("10.0.1.11") == Registry::NextHopKey{PortId{1}, ip("10.0.1.11")});
    CHECK(hop("10.0.200.1") == Registry::NextHopKey{PortId{0}, ip("10.0.200.1")});
    CHECK(hop("192.0.2.1") == Registry::NextHopKey{PortId{0}, ip("198.51.100.1")});
    CHECK(hop("fd00:5::99") == Registry::NextHopKey{PortId{1}, ip("fd00:5::99")});
    CHECK(hop("2001:db8:2::1") == Registry::NextHopKey{PortId{0}, ip("2001:db8:1::1")});
    config.ports[0].gateways.pop_back();
    CHECK_FALSE(way_of(config, in(Forward::ipip), at("2001:db8:2::1")).has_value());
}

TEST_CASE("way: dsr-l2 has no outer header and never crosses a gateway", "[control]") {
    const Config config = two_ports();
    const auto way = way_of(config, in(Forward::dsr_l2), at("10.0.1.11"));
    REQUIRE(way.has_value());
    CHECK(way->outer.length == 0);
    CHECK_FALSE(way_of(config, in(Forward::dsr_l2), at("192.0.2.1")).has_value());
}

TEST_CASE("way: the outer source is tunnel_source, else the own address without variation",
          "[control]") {
    Config config = two_ports();
    const auto outer = [&](std::string_view address) {
        const auto way = way_of(config, in(Forward::ipip), at(address));
        REQUIRE(way.has_value());
        return way->outer;
    };
    CHECK(same(outer("10.0.1.11"),
               make_outer_template(prefix("10.0.0.5/32"), ip("10.0.1.11"), Family::v4)));
    CHECK(same(outer("fd00:5::13"),
               make_outer_template(prefix("fd00:5::5/128"), ip("fd00:5::13"), Family::v4)));
    CHECK(outer("10.0.1.11").entropy_bits == 0);

    config.ports[0].tunnel_source = {prefix("198.18.0.0/24")};  // of the other port
    CHECK(outer("10.0.1.11").entropy_bits == 0);
    config.ports[1].tunnel_source = {prefix("198.18.64.0/24"), prefix("2001:db8:1:ffff::/64")};
    CHECK(same(outer("10.0.1.11"),
               make_outer_template(prefix("198.18.64.0/24"), ip("10.0.1.11"), Family::v4)));
    CHECK(same(outer("fd00:5::13"),
               make_outer_template(prefix("2001:db8:1:ffff::/64"), ip("fd00:5::13"), Family::v4)));
    CHECK(outer("10.0.1.11").entropy_bits == 8);
    // Behind the gateway of wan0: its source, towards the backend.
    CHECK(same(outer("192.0.2.1"),
               make_outer_template(prefix("198.18.0.0/24"), ip("192.0.2.1"), Family::v4)));
}

TEST_CASE("way: a tunnel without any source has no route", "[control]") {
    Config config = two_ports();
    config.ports[0].addresses = {prefix("198.51.100.5/24")};  // still has an IPv6 gateway
    CHECK_FALSE(way_of(config, in(Forward::ipip), at("2001:db8:2::1")).has_value());
    config.ports[0].tunnel_source = {prefix("2001:db8:9::/64")};
    CHECK(way_of(config, in(Forward::ipip), at("2001:db8:2::1")).has_value());
}

TEST_CASE("way: own address towards a next hop", "[control]") {
    PortConfig port;
    port.addresses = {prefix("192.0.2.1/24"), prefix("10.0.0.5/8"), prefix("10.1.0.5/16"),
                      prefix("10.2.0.5/16")};
    CHECK(own_address_towards(port, ip("10.1.2.3")) == ip("10.1.0.5"));
    CHECK(own_address_towards(port, ip("10.3.2.3")) == ip("10.0.0.5"));
    CHECK(own_address_towards(port, ip("203.0.113.1")) == ip("192.0.2.1"));
    CHECK_FALSE(own_address_towards(port, ip("fd00::1")).has_value());
}

TEST_CASE("way: needed next hops, each once", "[control]") {
    Config config = two_ports();
    config.services = {service("one", 1, 2), service("two", 1, 3, Forward::ipip)};
    config.services[1].backends[2].address = ip("192.0.2.1");
    config.services[1].backends[1].state = BackendState::disabled;
    config.services[0].backends.push_back(at("192.0.2.2"));  // dsr-l2 behind a gateway: no way
    const std::vector<Registry::NextHopKey> expected{{PortId{0}, ip("198.51.100.1")},
                                                     {PortId{1}, ip("10.0.1.10")},
                                                     {PortId{1}, ip("10.0.1.11")}};
    CHECK(needed_next_hops(config) == expected);
}

TEST_CASE("way: routes of the kernel lead tunnels by their port, and dsr-l2 nowhere",
          "[control][routes]") {
    Config config = two_ports();
    config.ports[1].tunnel_source = {prefix("198.18.64.0/24")};
    const KernelRoutes routes({route("192.0.2.0/24", 1, "10.0.0.7"),
                               route("2001:db8:2::/48", 1, "fe80::7"),
                               route("10.0.1.0/24", 1, "10.0.0.8")});
    const auto way = [&](Forward forward, std::string_view address) {
        return way_of(config, in(forward), at(address), routes);
    };
    const auto tunnel = way(Forward::ipip, "192.0.2.1");
    REQUIRE(tunnel.has_value());
    CHECK(tunnel->next_hop == Registry::NextHopKey{PortId{1}, ip("10.0.0.7")});
    CHECK(same(tunnel->outer,
               make_outer_template(prefix("198.18.64.0/24"), ip("192.0.2.1"), Family::v4)));
    // By a link-local gateway: from the port's own address, towards the backend.
    const auto local = way(Forward::ipip, "2001:db8:2::1");
    REQUIRE(local.has_value());
    CHECK(local->next_hop == Registry::NextHopKey{PortId{1}, ip("fe80::7")});
    CHECK(same(local->outer,
               make_outer_template(prefix("fd00:5::5/128"), ip("2001:db8:2::1"), Family::v4)));

    CHECK(way(Forward::nat, "10.0.1.11")->next_hop.address == ip("10.0.0.8"));
    CHECK(way(Forward::dsr_l2, "10.0.1.11")->next_hop.address == ip("10.0.1.11"));
    CHECK_FALSE(way(Forward::dsr_l2, "192.0.2.1").has_value());
}

TEST_CASE(
    "way: needed next hops are those of routes that are used; all where replies may go by them",
    "[control][routes]") {
    Config config = two_ports();
    config.services = {service("one", 1, 1, Forward::ipip)};
    config.services[0].backends[0].address = ip("192.0.2.1");
    const KernelRoutes routes(
        {route("192.0.2.0/24", 1, "10.0.0.7"), route("192.0.3.0/24", 1, "10.0.0.8")});
    using Keys = std::vector<Registry::NextHopKey>;
    CHECK(needed_next_hops(config, routes) == Keys{{PortId{1}, ip("10.0.0.7")}});
    config.services.push_back(service("two", 2, 1, Forward::nat));
    CHECK(needed_next_hops(config, routes) == Keys{{PortId{0}, ip("2001:db8:1::1")},
                                                   {PortId{0}, ip("198.51.100.1")},
                                                   {PortId{1}, ip("10.0.0.7")},
                                                   {PortId{1}, ip("10.0.0.8")},
                                                   {PortId{1}, ip("10.0.2.10")}});
}

TEST_CASE("way: a backend without one has no next hop and crashes nothing", "[control]") {
    Config config = two_ports();
    config.services = {service("one", 1, 1, Forward::ipip)};
    config.services[0].backends[0].address = ip("2001:db8:2::1");
    config.ports[0].gateways.clear();
    Registry registry;
    const World world = world_of(config);
    REQUIRE(registry.adopt(*world.config).ok());
    const auto tables = compile(nullptr, world, registry);
    const BackendEntry& entry = tables->services[0]->seats[0];
    CHECK(entry.next_hop == invalid_next_hop);
    CHECK(entry.keeps_flows);
    CHECK(tables->next_hops.empty());
    CHECK(sound(*tables));
}
