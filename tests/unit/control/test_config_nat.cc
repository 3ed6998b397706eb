// SPDX-License-Identifier: BSD-3-Clause
// What translation of addresses asks of a file: one error at its place for each thing that would
// leave a reply without a service or without a way.
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "tests/unit/control/config_fixture.hh"

namespace weir {

namespace {

using Errors = std::vector<std::string>;

// The valid file and, from line 47 on, `services`.
std::string file(std::string_view services) {
    return std::string(valid_config) + std::string(services);
}

// Three lines each: 48 + 7 * i is where the i-th begins.
std::string nat(std::string_view name, std::string_view vip, std::string_view protocol,
                std::string_view port, std::string_view backends) {
    return fmt::format(
        "[[service]]\nname = \"{}\"\nvip = \"{}\"\nprotocol = \"{}\"\nport = {}\nforward = "
        "\"nat\"\nbackend = [{}]\n",
        name, vip, protocol, port, backends);
}

constexpr std::string_view at_81 = R"({ name = "b", address = "198.51.100.81", port = 8080 })";

}  // namespace

TEST_CASE("config: nat takes a backend port and passes it on", "[config][nat]") {
    const ConfigResult result =
        parse_config(file(nat("n", "203.0.113.1", "tcp", "80", at_81)), "weir.toml");
    REQUIRE(result.errors.empty());
    const ServiceConfig& service = result.config->services.back();
    CHECK(service.forward == Forward::nat);
    CHECK(service.backends.at(0).port == 8080);
    CHECK(errors_of(file(nat("n", "203.0.113.1", "any", "\"any\"",
                             R"({ name = "b", address = "198.51.100.81" })")))
              .empty());
}

TEST_CASE("config: nat keeps the family", "[config][nat]") {
    CHECK(
        errors_of(file(nat("n", "203.0.113.1", "tcp", "80",
                           R"({ name = "b", address = "2001:db8:1::81" })"))) ==
        Errors{
            "54:36: backend 'b' has an IPv6 address, but nat cannot change the family of the IPv4 "
            "VIP: use forward = \"full-nat\" with a source_pool of IPv6, or an IPv4 address"});
}

TEST_CASE("config: a backend port needs a service of one port", "[config][nat]") {
    CHECK(
        errors_of(file(nat("n", "203.0.113.1", "tcp", "\"80-81\"", at_81))) ==
        Errors{"54:60: backend 'b' has a port, but service 'n' has several, and its replies would "
               "not tell which: leave it out, or give the service one port"});
}

TEST_CASE("config: replies of two services must not look alike", "[config][nat]") {
    const auto told = [](std::string_view backend, unsigned line) {
        return Errors{fmt::format(
            "{}:36: backend '{}' of service 'two' answers from the same address, protocol and port "
            "as backend 'b' of service 'one' on line 48, so a reply could belong to either: give "
            "one of them another address or port",
            line, backend)};
    };
    const std::string one = nat("one", "203.0.113.1", "tcp", "80", at_81);
    CHECK(errors_of(file(one + nat("two", "203.0.113.2", "tcp", "81", at_81))) == told("b", 61));
    // By the VIP's port, in a range, and in any protocol.
    const std::string_view plain = R"({ name = "b", address = "198.51.100.81" })";
    CHECK(errors_of(file(one + nat("two", "203.0.113.2", "tcp", "8080", plain))) == told("b", 61));
    CHECK(errors_of(file(one + nat("two", "203.0.113.2", "tcp", "\"8000-8099\"", plain))) ==
          told("b", 61));
    CHECK(errors_of(file(one + nat("two", "203.0.113.2", "any", "\"any\"", plain))) ==
          told("b", 61));
    // Another protocol, port or address, or one service.
    for (
        const std::string& other :
        {nat("two", "203.0.113.2", "udp", "8080", plain),
         nat("two", "203.0.113.2", "tcp", "8081", plain),
         nat("two", "203.0.113.2", "tcp", "\"8081-8099\"", plain),
         nat("two", "203.0.113.2", "tcp", "8080", R"({ name = "b", address = "198.51.100.82" })"),
         nat("two", "203.0.113.2", "tcp", "80",
             R"({ name = "b", address = "198.51.100.82" }, { name = "c", address = "198.51.100.82" })")})
        CHECK(errors_of(file(one + other)).empty());
}

TEST_CASE("config: a wide range hides no clash behind a narrow one", "[config][nat]") {
    const std::string_view plain = R"({ name = "b", address = "198.51.100.81" })";
    const std::string wide = nat("one", "203.0.113.1", "tcp", "\"1000-9000\"", plain),
                      narrow = nat("two", "203.0.113.2", "tcp", "\"2000-2001\"", plain),
                      late = nat("three", "203.0.113.3", "tcp", "8000", plain);
    CHECK(errors_of(file(wide + narrow + late)).size() == 2);
}

namespace {

std::string full(std::string_view vip, std::string_view nat_table, std::string_view backend) {
    return fmt::format(
        "[[service]]\nname = \"f\"\nvip = \"{}\"\nport = 80\nforward = \"full-nat\"\n{}\n"
        "backend = [{}]\n",
        vip, nat_table, backend);
}

std::string pool(std::string_view range) {
    return fmt::format("nat = {{ source_pool = \"{}\" }}", range);
}

}  // namespace

TEST_CASE("config: full-nat takes a pool", "[config][nat]") {
    const ConfigResult result = parse_config(
        file(full("203.0.113.1", pool("198.51.100.32-198.51.100.39"), at_81)), "weir.toml");
    REQUIRE(result.errors.empty());
    const ServiceConfig& service = result.config->services.back();
    CHECK(service.forward == Forward::full_nat);
    REQUIRE(service.source_pool.has_value());
    CHECK(pool_addresses(*result.config).size() == 8);
    CHECK(pool_addresses(*result.config).front() == parse_ip("198.51.100.32"));
    CHECK(pool_addresses(*result.config).back() == parse_ip("198.51.100.39"));
    // Several ports and a backend port: a binding knows which.
    CHECK(errors_of(file(with(full("203.0.113.1", pool("198.51.100.32"), at_81), "port = 80\n",
                              "port = \"80-99\"\n")))
              .empty());
}

TEST_CASE("config: wrong pools of full-nat", "[config][nat]") {
    const auto error = [](std::string_view nat_table) {
        return errors_of(file(full("203.0.113.1", nat_table, at_81)));
    };
    CHECK(error("") == Errors{"48:1: missing key 'nat' in [[service]]"});
    CHECK(error("nat = {}") == Errors{"53:7: missing key 'source_pool' in 'nat' of [[service]]"});
    CHECK(error(pool("198.51.100.39-198.51.100.32")) ==
          Errors{"53:23: 'source_pool' must be an address or a range like "
                 "\"10.0.0.32-10.0.0.39\", not \"198.51.100.39-198.51.100.32\""});
    CHECK(error(pool("198.51.100.32-2001:db8::1")) ==
          Errors{"53:23: 'source_pool' must be an address or a range like "
                 "\"10.0.0.32-10.0.0.39\", not \"198.51.100.32-2001:db8::1\""});
    CHECK(error(pool("2001:db8:1::32")) ==
          Errors{"54:36: backend 'b' has an IPv4 address, but its packets come from an IPv6 "
                 "source_pool: give it an IPv6 address or the service a source_pool of IPv4"});
    CHECK(error(pool("10.0.0.0-10.0.1.0")) ==
          Errors{"53:23: 'source_pool' has more than 256 addresses"});
    const auto holds = [](std::string_view address, std::string_view use) {
        return Errors{
            fmt::format("53:23: 'source_pool' holds {}, which is {}: replies to it would "
                        "not be told apart",
                        address, use)};
    };
    CHECK(error(pool("198.51.100.4-198.51.100.6")) ==
          holds("198.51.100.5", "the own address of port 'wan0'"));
    CHECK(error(pool("198.51.100.1")) == holds("198.51.100.1", "a gateway of port 'wan0'"));
    CHECK(error(pool("10.0.1.11")) == holds("10.0.1.11", "a neighbor of port 'lan0'"));
    CHECK(error(pool("203.0.113.10")) == holds("203.0.113.10", "the VIP of service 'web'"));
    CHECK(error(pool("198.51.100.12")) ==
          holds("198.51.100.12", "the address of backend 'web-2' of service 'web'"));
    CHECK(error(pool("224.0.0.1")) == holds("224.0.0.1", "a multicast address"));
}

TEST_CASE("config: a pool without full-nat is a mistake", "[config][nat]") {
    CHECK(errors_of(
              file(with(full("203.0.113.1", pool("198.51.100.32"), at_81), "full-nat", "nat"))) ==
          Errors{"53:7: 'nat' has a meaning for forward = \"full-nat\" only: with \"nat\" backends "
                 "see the client's address"});
    CHECK(
        errors_of(file(with(full("203.0.113.1", pool("198.51.100.32"), at_81), "full-nat", "ipip")))
            .front() == "53:7: 'nat' has a meaning for forward = \"full-nat\" only");
}

TEST_CASE("config: full-nat tells the backend the client's address", "[config][nat]") {
    const auto told_by = [](std::string_view way) {
        return full("203.0.113.1",
                    fmt::format("nat = {{ source_pool = \"198.51.100.32\"{} }}", way), at_81);
    };
    const auto how = [&](std::string_view way) {
        const ConfigResult result = parse_config(file(told_by(way)), "weir.toml");
        REQUIRE(result.errors.empty());
        return result.config->services.back().client_address;
    };
    CHECK(how("") == ClientAddress::none);
    CHECK(how(", client_address = \"none\"") == ClientAddress::none);
    CHECK(how(", client_address = \"toa\"") == ClientAddress::toa);
    CHECK(how(", client_address = \"proxy-v2\"") == ClientAddress::proxy_v2);
    CHECK(errors_of(file(told_by(", client_address = \"toe\""))) ==
          Errors{
              "53:57: 'client_address' must be \"none\", \"toa\" or \"proxy-v2\", not \"toe\" (did "
              "you mean \"toa\"?)"});
    for (const char* protocol : {"udp", "any"}) {
        CHECK(errors_of(file(with(told_by(", client_address = \"toa\""), "port = 80\n",
                                  fmt::format("port = 80\nprotocol = \"{}\"\n", protocol)))) ==
              Errors{"54:57: 'client_address' goes with TCP connections: leave it out, or give the "
                     "service protocol = \"tcp\" and what else it carries a service of its own"});
        CHECK(errors_of(file(with(told_by(", client_address = \"none\""), "port = 80\n",
                                  fmt::format("port = 80\nprotocol = \"{}\"\n", protocol))))
                  .empty());
    }
}

TEST_CASE("config: replies need a gateway whose MAC is known or can be learnt", "[config][nat]") {
    std::string text =
        with(file(nat("n", "203.0.113.1", "tcp", "80", R"({ name = "b", address = "10.0.1.11" })")),
             "exception_tap = \"wan0x\"\n", "\n");
    text = with(text, "\"198.51.100.11\", weight = 50", "\"10.0.1.11\"");
    text = with(text, "\"198.51.100.12\"", "\"10.0.1.11\"");
    text = with(text, "health = \"web\"\n", "\n");
    CHECK(
        errors_of(text) ==
        Errors{
            "12:12: port 'wan0' has no exception_tap to learn the MAC of gateway 198.51.100.1 "
            "by, and translated replies go there: add { address = \"198.51.100.1\", mac = \"...\" "
            "} to its neighbor list"});
    text = with(text, "gateway = [\"198.51.100.1\"",
                "neighbor = [{ address = \"198.51.100.1\", mac = \"02:00:00:00:00:01\" }]\n"
                "gateway = [\"198.51.100.1\"");
    CHECK(errors_of(text).empty());
}

}  // namespace weir
