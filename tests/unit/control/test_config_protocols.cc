// SPDX-License-Identifier: BSD-3-Clause
// Services of other protocols than TCP and UDP: what they take, and one error at its place for what
// they cannot have.
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "tests/unit/control/config_fixture.hh"

namespace weir {

namespace {

using Errors = std::vector<std::string>;

// The valid file and, from line 48 on, one service; `rest`: from line 54 on.
std::string file(std::string_view protocol, std::string_view forward, std::string_view rest = "") {
    return std::string(valid_config) +
           fmt::format(
               "[[service]]\nname = \"p\"\nvip = \"203.0.113.1\"\nprotocol = \"{}\"\n"
               "forward = \"{}\"\nbackend = [{{ name = \"b\", address = \"198.51.100.81\" }}]\n{}",
               protocol, forward, rest);
}

}  // namespace

TEST_CASE("config: an SCTP service of a port or of several", "[config][protocols]") {
    for (const std::string_view port : {"5000", "\"5000-5009\"", "\"any\""}) {
        const std::string text = file("sctp", "dsr-l2", fmt::format("port = {}\n", port));
        const ConfigResult result = parse_config(text, "weir.toml");
        REQUIRE(result.errors.empty());
        CHECK(result.config->services.back().key.protocol == ServiceProtocol::sctp);
    }
    CHECK(errors_of(file("sctp", "dsr-l2")) == Errors{"48:1: missing key 'port' in [[service]]"});
}

TEST_CASE("config: no translation of SCTP", "[config][protocols]") {
    const auto told = [](std::string_view forward) {
        return fmt::format(
            "52:11: forward = \"{}\" is for TCP and UDP: an SCTP association names its other "
            "addresses in its packets, and would not survive translation; use \"dsr-l2\", "
            "\"ipip\", "
            "\"gre\", \"gue\" or \"l3dsr\"",
            forward);
    };
    CHECK(errors_of(file("sctp", "nat", "port = 5000\n")) == Errors{told("nat")});
    CHECK(errors_of(file("sctp", "full-nat",
                         "port = 5000\nnat = { source_pool = \"198.51.100.200\" }\n")) ==
          Errors{told("full-nat")});
    CHECK(errors_of(file("any", "nat", "port = 5000\n")).empty());
}

TEST_CASE("config: probes of an SCTP service need a port of their own", "[config][protocols]") {
    const std::string text = file("sctp", "dsr-l2", "port = 5000\nhealth = \"web\"\n");
    CHECK(
        errors_of(text) ==
        Errors{"55:10: service 'p' takes SCTP alone, and its probes would be TCP to its port: give "
               "[health.web] a port"});
    CHECK(errors_of(with(text, "path = \"/healthz\"", "port = 8080")).empty());
}

TEST_CASE("config: an echo service has no port", "[config][protocols]") {
    for (const std::string_view port : {"", "port = \"any\"\n"}) {
        const ConfigResult result = parse_config(file("icmp", "ipip", port), "weir.toml");
        REQUIRE(result.errors.empty());
        const ServiceKey& key = result.config->services.back().key;
        CHECK(key.protocol == ServiceProtocol::icmp);
        CHECK((key.first_port == 0 && key.last_port == 0));
    }
    for (const std::string_view port : {"7", "\"7-9\"", "true"})
        CHECK(errors_of(file("icmp", "ipip", fmt::format("port = {}\n", port))) ==
              Errors{"54:8: 'port' has no meaning for protocol = \"icmp\": leave it out"});
    CHECK(errors_of(file("icmp", "ipip", "health = \"web\"\n")) ==
          Errors{"54:10: service 'p' has no port to probe: give [health.web] a port"});
    CHECK(errors_of(file("icmp", "nat")) ==
          Errors{"52:11: forward = \"nat\" is for TCP and UDP, not for echo requests; use "
                 "\"dsr-l2\", \"ipip\", \"gre\", \"gue\" or \"l3dsr\""});
    const std::string twice =
        file("icmp", "ipip") + file("icmp", "gre").substr(valid_config.size());
    CHECK(errors_of(with(twice, "name = \"p\"", "name = \"q\"")) ==
          Errors{"56:7: service 'q' on line 48 has the same VIP, protocol and port"});
}

TEST_CASE("config: mss_clamp is TCP's", "[config][protocols]") {
    CHECK(errors_of(file("sctp", "dsr-l2", "port = 5000\nmss_clamp = 1400\n")) ==
          Errors{"55:13: 'mss_clamp' has a meaning for TCP only: leave it out"});
}

}  // namespace weir
