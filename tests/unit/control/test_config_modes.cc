// SPDX-License-Identifier: BSD-3-Clause
// The keys of the forwarding modes gre, gue and l3dsr, and what contradicts them.
#include <catch2/catch.hpp>

#include "lib/control/forward_mode.hh"
#include "tests/unit/control/config_fixture.hh"

namespace weir {

namespace {

using Errors = std::vector<std::string>;

// The service "tunnel", an IPv6 VIP with an IPv4 backend behind port lan0, with these lines for its
// forward, which stands on line 43.
std::string tunnel(std::string_view lines) {
    return with(valid_config, "forward = \"ipip\"", lines);
}
// The service "web", IPv4 and IPv4, forward on line 31.
std::string web(std::string_view lines) {
    return with(valid_config, "forward = \"dsr-l2\"", lines);
}

ServiceConfig service_of(const std::string& text, std::size_t which) {
    const ConfigResult result = parse_config(text, "weir.toml");
    for (const ConfigError& error : result.errors)
        UNSCOPED_INFO(to_string(error));
    REQUIRE(result.config.has_value());
    return result.config->services.at(which);
}

}  // namespace

TEST_CASE("config: gre, gue and l3dsr with their keys and defaults", "[config]") {
    CHECK(service_of(tunnel("forward = \"gre\""), 1).forward == Forward::gre);
    const ServiceConfig gue = service_of(tunnel("forward = \"gue\""), 1);
    CHECK(gue.forward == Forward::gue);
    CHECK(gue.gue == GueConfig{6080, 1});
    CHECK(service_of(tunnel("forward = \"gue\"\ngue = { port = 5555, variant = 0 }"), 1).gue ==
          GueConfig{5555, 0});
    const ServiceConfig l3 = service_of(web("forward = \"l3dsr\"\nl3dsr = { dscp = 63 }"), 0);
    CHECK(l3.forward == Forward::l3dsr);
    CHECK(l3.l3dsr.dscp == 63);
    CHECK(l3.gue == GueConfig{});
}

TEST_CASE("config: a table of another mode is an error where it stands", "[config]") {
    CHECK(errors_of(tunnel("forward = \"gre\"\ngue = { port = 6080 }")) ==
          Errors{"44:7: 'gue' needs forward = \"gue\": leave it out, or change forward"});
    CHECK(errors_of(tunnel("forward = \"gue\"\nl3dsr = { dscp = 1 }")) ==
          Errors{"44:9: 'l3dsr' needs forward = \"l3dsr\": leave it out, or change forward"});
    // One mistake, one error.
    CHECK(errors_of(tunnel("forward = \"geu\"\ngue = { port = 6080 }")).size() == 1);
}

TEST_CASE("config: wrong values of gue and l3dsr", "[config]") {
    const auto gue = [](std::string_view table) {
        return errors_of(tunnel(fmt::format("forward = \"gue\"\ngue = {}", table)));
    };
    CHECK(gue("{ port = 0 }") == Errors{"44:16: 'port' must be from 1 to 65535, not 0"});
    CHECK(gue("{ variant = 2 }") == Errors{"44:19: 'variant' must be from 0 to 1, not 2"});
    CHECK(gue("{ vni = 2 }") == Errors{"44:9: unknown key 'vni' in 'gue' of [[service]]"});
    const auto l3dsr = [](std::string_view lines) {
        return errors_of(web(fmt::format("forward = \"l3dsr\"{}", lines)));
    };
    CHECK(
        l3dsr("") ==
        Errors{
            "31:11: forward = \"l3dsr\" needs the DSCP by which backends know the VIP: add l3dsr = "
            "{ dscp = 10 }"});
    CHECK(l3dsr("\nl3dsr = {}") == Errors{"32:9: missing key 'dscp' in 'l3dsr' of [[service]]"});
    CHECK(l3dsr("\nl3dsr = { dscp = 0 }") == Errors{"32:18: 'dscp' must be from 1 to 63, not 0"});
    CHECK(l3dsr("\nl3dsr = { dscp = 64 }") == Errors{"32:18: 'dscp' must be from 1 to 63, not 64"});
}

TEST_CASE("config: l3dsr keeps the family", "[config]") {
    CHECK(errors_of(tunnel("forward = \"l3dsr\"\nl3dsr = { dscp = 1 }")) ==
          Errors{"45:38: backend 't-1' has an IPv4 address, but l3dsr cannot change the family of "
                 "the IPv6 VIP: use forward = \"ipip\" or an IPv6 address"});
}

TEST_CASE("config: l3dsr goes through gateways", "[config]") {
    const std::string text = web("forward = \"l3dsr\"\nl3dsr = { dscp = 1 }");
    CHECK(errors_of(with(text, "198.51.100.11", "192.0.2.1")).empty());
}

TEST_CASE("config: at one backend a DSCP stands for one VIP", "[config]") {
    const std::string first = web("forward = \"l3dsr\"\nl3dsr = { dscp = 10 }");
    const auto second = [&](std::string_view vip, std::string_view backend, int dscp) {
        return with(first, "[api]",
                    fmt::format("[[service]]\nname = \"other\"\nvip = \"{}\"\nprotocol = \"tcp\"\n"
                                "port = 80\nforward = \"l3dsr\"\nl3dsr = {{ dscp = {} }}\n"
                                "backend = [{{ name = \"o\", address = \"{}\" }}]\n[api]",
                                vip, dscp, backend));
    };
    CHECK(errors_of(second("203.0.113.11", "198.51.100.12", 10)) ==
          Errors{"52:18: at backend 198.51.100.12 DSCP 10 stands for VIP 203.0.113.10 of service "
                 "'web' already: give this service another dscp"});
    CHECK(errors_of(second("203.0.113.11", "198.51.100.12", 11)).empty());
    CHECK(errors_of(second("203.0.113.11", "198.51.100.13", 10)).empty());
    CHECK(errors_of(second("203.0.113.10", "198.51.100.12", 10)).empty());  // another port of it
}

TEST_CASE("config: a tunnel leaves IPv6 its 1280 bytes", "[config]") {
    const auto at_mtu = [](std::string_view forward, int mtu) {
        return errors_of(with(tunnel(forward), "mtu = 1560", fmt::format("mtu = {}", mtu)));
    };
    CHECK(at_mtu("forward = \"ipip\"", 1300).empty());
    CHECK(at_mtu("forward = \"ipip\"", 1299) ==
          Errors{"44:38: port 'lan0' has mtu 1299, of which the tunnel to backend 't-1' takes 20: "
                 "IPv6 needs 1280, so set the port's mtu to 1300 or more"});
    CHECK(at_mtu("forward = \"gre\"", 1304).empty());
    CHECK(at_mtu("forward = \"gre\"", 1303).size() == 1);
    CHECK(at_mtu("forward = \"gue\"", 1308).empty());
    CHECK(at_mtu("forward = \"gue\"", 1307).size() == 1);
    CHECK(at_mtu("forward = \"gue\"\ngue = { variant = 0 }", 1312).empty());
    CHECK(at_mtu("forward = \"gue\"\ngue = { variant = 0 }", 1311).size() == 1);
}

TEST_CASE("forward mode: what each is to a backend of either family", "[config]") {
    ServiceConfig service;
    const auto is = [&](Forward forward, Rewrite v4, Rewrite v6, unsigned outer4, unsigned outer6) {
        service.forward = forward;
        CAPTURE(name_of(forward));
        CHECK(rewrite_of(service, Family::v4) == v4);
        CHECK(rewrite_of(service, Family::v6) == v6);
        CHECK(outer_length(service, Family::v4) == outer4);
        CHECK(outer_length(service, Family::v6) == outer6);
    };
    is(Forward::dsr_l2, Rewrite::link, Rewrite::link, 0, 0);
    is(Forward::ipip, Rewrite::ipv4_outer, Rewrite::ipv6_outer, 20, 40);
    is(Forward::gre, Rewrite::gre, Rewrite::gre, 24, 44);
    is(Forward::gue, Rewrite::gue_direct, Rewrite::gue_direct, 28, 48);
    service.gue.variant = 0;
    is(Forward::gue, Rewrite::gue_header, Rewrite::gue_header, 32, 52);
    is(Forward::l3dsr, Rewrite::destination, Rewrite::destination, 0, 0);
}

}  // namespace weir
