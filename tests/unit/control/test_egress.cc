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

}  // namespace weir
