// SPDX-License-Identifier: BSD-3-Clause
#include <catch2/catch.hpp>

#include "lib/control/egress.hh"

namespace weir {

namespace {

IpAddress ip(std::string_view text) {
    return parse_ip(text).value();
}

PortConfig port(std::initializer_list<const char*> prefixes,
                std::initializer_list<const char*> gateways) {
    PortConfig result;
    for (const char* prefix : prefixes)
        result.addresses.push_back(parse_prefix(prefix).value());
    for (const char* gateway : gateways)
        result.gateways.push_back(ip(gateway));
    return result;
}

KernelRoute route(std::string_view prefix, unsigned port, std::string_view gateway,
                  std::uint32_t metric = 0) {
    return {parse_prefix(prefix).value(), metric, static_cast<PortId>(port), ip(gateway)};
}

}  // namespace

TEST_CASE("egress: the longest prefix, then the first port, then the first gateway", "[egress]") {
    Config config;
    config.ports = {port({"10.0.0.5/8"}, {"10.0.0.1"}),
                    port({"10.1.0.5/16", "fd00::5/64"}, {"fd00::1"}),
                    port({"10.1.0.6/16", "192.0.2.5/24"}, {"192.0.2.1", "fd00::2"})};
    const auto direct = [&](std::string_view to, unsigned by) {
        return egress_of(config, ip(to)) == Egress{static_cast<PortId>(by), ip(to)};
    };
    CHECK(direct("10.9.9.9", 0));
    CHECK(direct("10.1.9.9", 1));  // longer, and before its equal
    CHECK(direct("192.0.2.9", 2));
    CHECK(direct("fd00::9", 1));
    CHECK(egress_of(config, ip("198.51.100.1")) == Egress{PortId{0}, ip("10.0.0.1")});
    CHECK(egress_of(config, ip("2001:db8::1")) == Egress{PortId{1}, ip("fd00::1")});
}

TEST_CASE("egress: none without a network or a gateway of the family", "[egress]") {
    Config config;
    CHECK_FALSE(egress_of(config, ip("10.0.0.1")));
    config.ports = {port({"10.0.0.5/8"}, {"10.0.0.1"})};
    CHECK_FALSE(egress_of(config, ip("fd00::1")));
}

TEST_CASE("egress: a longer prefix of the kernel's routes goes before a network and the gateway",
          "[egress][routes]") {
    Config config;
    config.ports = {port({"10.0.0.5/16", "2001:db8::5/64"}, {"10.0.0.1", "2001:db8::1"}),
                    port({"10.1.0.5/16"}, {})};
    const KernelRoutes routes(
        {route("10.30.0.0/16", 0, "10.0.0.7"), route("10.30.9.0/24", 1, "10.1.0.7"),
         route("10.1.0.0/16", 0, "10.0.0.8"),    // as long as the network
         route("10.1.128.0/17", 0, "10.0.0.9"),  // longer
         route("10.0.0.0/8", 1, "10.1.0.8"), route("198.51.100.0/24", 0, "10.0.0.7", 20),
         route("198.51.100.0/24", 1, "10.1.0.9", 10), route("2001:db8:9::/48", 1, "fe80::1")});
    const auto by = [&](std::string_view to, unsigned out, std::string_view next_hop) {
        return egress_of(config, ip(to), routes) == Egress{static_cast<PortId>(out), ip(next_hop)};
    };
    CHECK(by("10.30.1.1", 0, "10.0.0.7"));
    CHECK(by("10.30.9.1", 1, "10.1.0.7"));
    CHECK(by("10.1.0.99", 1, "10.1.0.99"));  // direct: of equal lengths the own network
    CHECK(by("10.1.200.1", 0, "10.0.0.9"));
    CHECK(by("10.0.7.7", 0, "10.0.7.7"));  // the route is shorter than the network
    CHECK(by("10.99.0.1", 1, "10.1.0.8"));
    CHECK(by("198.51.100.3", 1, "10.1.0.9"));  // of the lowest metric
    CHECK(by("203.0.113.1", 0, "10.0.0.1"));   // nobody's: the gateway
    CHECK(by("2001:db8:9::3", 1, "fe80::1"));
    CHECK(by("2001:db8:8::3", 0, "2001:db8::1"));
    // The gateway of a route need not be in a network of the port: the kernel took it so.
    const KernelRoutes onlink({route("10.31.0.0/16", 1, "172.16.0.1")});
    CHECK(egress_of(config, ip("10.31.0.1"), onlink) == Egress{PortId{1}, ip("172.16.0.1")});
}

TEST_CASE("egress: a default route of the kernel goes before the gateway", "[egress][routes]") {
    Config config;
    config.ports = {port({"10.0.0.5/16"}, {"10.0.0.1"})};
    const KernelRoutes routes({route("0.0.0.0/0", 0, "10.0.0.2")});
    CHECK(egress_of(config, ip("192.0.2.1"), routes) == Egress{PortId{0}, ip("10.0.0.2")});
    CHECK(egress_of(config, ip("10.0.9.9"), routes) == Egress{PortId{0}, ip("10.0.9.9")});
    config.ports[0].gateways.clear();
    CHECK(egress_of(config, ip("192.0.2.1"), routes) == Egress{PortId{0}, ip("10.0.0.2")});
    CHECK_FALSE(egress_of(config, ip("fd00::1"), routes));
}

TEST_CASE("egress: routes change nothing for dsr-l2, whatever the mode they do for others",
          "[egress][routes]") {
    Config config;
    config.ports = {port({"10.0.0.5/16"}, {"10.0.0.1"})};
    const KernelRoutes routes({route("10.0.7.0/24", 0, "10.0.0.2")});
    ServiceConfig service;
    BackendConfig backend;
    backend.address = ip("10.0.7.7");
    for (const Forward forward : {Forward::dsr_l2, Forward::ipip, Forward::gre, Forward::gue,
                                  Forward::l3dsr, Forward::nat, Forward::full_nat}) {
        service.forward = forward;
        const bool direct = forward == Forward::dsr_l2;
        CHECK(egress_of(config, service, backend, routes) ==
              Egress{PortId{0}, ip(direct ? "10.0.7.7" : "10.0.0.2")});
        CHECK(egress_of(config, service, backend, {}) == Egress{PortId{0}, ip("10.0.7.7")});
    }
}

}  // namespace weir
