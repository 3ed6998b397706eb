// SPDX-License-Identifier: BSD-3-Clause
// What the sections say together: keys, addresses, and ways out.
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "tests/unit/control/config_fixture.hh"

namespace weir {

namespace {

using Errors = std::vector<std::string>;

// A third service behind the two of valid_config; its first line is 45.
std::string with_service(const std::string& keys) {
    return with(valid_config, "[api]", "[[service]]\nname = \"third\"\n" + keys + "[api]");
}

// valid_config with web-1 at another address.
Errors at_address(std::string_view address) {
    return errors_of(with(valid_config, "198.51.100.11", address));
}

}  // namespace

TEST_CASE("config: VIP, protocol and port stand once", "[config]") {
    const std::string rest = "forward = \"dsr-l2\"\nbackend = []\n";
    const auto key = [&](const char* vip, const char* protocol, const char* port) {
        return errors_of(with_service(
            fmt::format("vip = \"{}\"\nprotocol = \"{}\"\nport = {}\n", vip, protocol, port) +
            rest));
    };
    CHECK(key("203.0.113.10", "tcp", "443") ==
          Errors{"47:7: service 'web' on line 26 has the same VIP, protocol and port"});
    CHECK(
        key("2001:db8:443::10", "udp", "\"8050-8149\"") ==
        Errors{"49:8: service 'tunnel' on line 38 has a range of the same width that overlaps, so "
               "neither would win: make one narrower"});
    // The most specific wins, so these may stand beside each other.
    CHECK(key("203.0.113.10", "any", "443").empty());
    CHECK(key("203.0.113.10", "udp", "443").empty());
    CHECK(key("203.0.113.10", "tcp", "\"any\"").empty());
    CHECK(key("203.0.113.10", "tcp", "\"400-500\"").empty());
    CHECK(key("2001:db8:443::10", "udp", "\"8100-8199\"").empty());
    CHECK(key("2001:db8:443::10", "udp", "\"8050-8150\"").empty());
}

TEST_CASE("config: a backend is a station that is not Weir", "[config]") {
    CHECK(at_address("224.0.0.9") == Errors{"35:31: address 224.0.0.9 is a multicast address"});
    CHECK(at_address("255.255.255.255") ==
          Errors{"35:31: address 255.255.255.255 is the broadcast address"});
    CHECK(at_address("203.0.113.10") ==
          Errors{"35:31: backend 'web-1' is at 203.0.113.10, the VIP of service 'web': its packets "
                 "would come back"});
    CHECK(at_address("198.51.100.5") ==
          Errors{"35:31: backend 'web-1' is at 198.51.100.5, the own address of port 'wan0': its "
                 "packets would come back"});
    CHECK(at_address("2001:db8:1::11") ==
          Errors{"35:31: backend 'web-1' has an IPv6 address, but dsr-l2 cannot change the family "
                 "of the IPv4 VIP: use forward = \"ipip\" or an IPv4 address"});
}

TEST_CASE("config: every backend has a way out", "[config]") {
    CHECK(at_address("192.0.2.1") ==
          Errors{"35:31: backend 'web-1' at 192.0.2.1 is behind gateway 198.51.100.1, but dsr-l2 "
                 "reaches only the networks of the ports: use forward = \"ipip\""});
    const std::string no_v4_gateway = with(valid_config, "\"198.51.100.1\", ", "");
    CHECK(errors_of(with(no_v4_gateway, "198.51.100.11", "192.0.2.1")) ==
          Errors{"35:31: no route to backend 'web-1' at 192.0.2.1: no port has an address in its "
                 "network, and none has an IPv4 gateway"});
    // A tunnel may go through a gateway and change the family.
    CHECK(errors_of(with(valid_config, "\"10.0.1.11\" }]\n[api]", "\"192.0.2.1\" }]\n[api]"))
              .empty());
}

TEST_CASE("config: a port without TAP knows its neighbours and is not probed through", "[config]") {
    CHECK(errors_of(with(valid_config, "\"10.0.1.11\" }]\n[api]", "\"10.0.1.12\" }]\n[api]")) ==
          Errors{"44:38: port 'lan0' has no exception_tap to learn the MAC of 10.0.1.12 by: add { "
                 "address = \"10.0.1.12\", mac = \"...\" } to its neighbor list"});
    CHECK(errors_of(with(valid_config, "198.51.100.12", "10.0.1.11")) ==
          Errors{"33:10: probes of service 'web' cannot leave by port 'lan0', which has no "
                 "exception_tap: give the port one, or leave out health"});
}

TEST_CASE("config: the same next hop is asked for once", "[config]") {
    const std::string text = with(valid_config, "{ name = \"t-1\", address = \"10.0.1.11\" }",
                                  "{ name = \"t-1\", address = \"10.0.1.12\" },"
                                  "{ name = \"t-2\", address = \"10.0.1.12\" }");
    CHECK(errors_of(text).size() == 1);
}

TEST_CASE("config: a probe needs a port", "[config]") {
    const std::string text =
        with(with(valid_config, "port = 443", "port = \"any\""), "path = \"/healthz\"\n", "");
    CHECK(errors_of(text) ==
          Errors{"32:10: service 'web' has no single port to probe: give [health.web] a port"});
    CHECK(errors_of(with(text, "type = \"http\"", "type = \"http\"\nport = 80")).empty());
}

TEST_CASE("config: a wrong port address is one error, not one for each backend", "[config]") {
    CHECK(errors_of(with(valid_config, "198.51.100.5/24", "198.51.100.5/24x")).size() == 1);
    CHECK(errors_of(with(valid_config, "exception_tap = \"wan0x\"", "exception_tap = 1")).size() ==
          1);
}

TEST_CASE("config: hugepages below the plan's need name the value that does", "[config]") {
    const Errors errors = errors_of(with(valid_config, "1GiB", "64MiB"));
    REQUIRE(errors.size() == 1);
    CHECK(errors[0].starts_with("7:24: 'hugepages' is 64 MiB, but DPDK needs "));
    const std::size_t value = errors[0].find("set hugepages = \"");
    REQUIRE(value != std::string::npos);
    const std::size_t begin = errors[0].find('"', value) + 1;
    const std::string enough = errors[0].substr(begin, errors[0].find('"', begin) - begin);
    CHECK(errors_of(with(valid_config, "1GiB", enough)).empty());
}

}  // namespace weir
