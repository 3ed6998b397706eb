// SPDX-License-Identifier: BSD-3-Clause
// Whose reply a packet is, and the way to clients.
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "lib/balance/nat.hh"

using namespace weir;

namespace {

IpAddress ip(std::string_view text) {
    return parse_ip(text).value();
}

NatTables::Backend backend(std::uint32_t id, std::uint32_t service, ServiceProtocol protocol,
                           std::uint16_t first, std::uint16_t last, std::string_view address,
                           std::uint16_t port) {
    return {
        BackendId{id}, service, {ip("203.0.113.1"), protocol, first, last}, {ip(address), port}};
}

}  // namespace

TEST_CASE("nat: a reply belongs to the service whose backend ends there", "[balance][nat]") {
    const std::vector<NatTables::Backend> backends{
        backend(7, 4, ServiceProtocol::tcp, 80, 80, "10.0.0.1", 8080),
        backend(3, 2, ServiceProtocol::udp, 53, 53, "10.0.0.1", 0),
        backend(9, 5, ServiceProtocol::any, 1000, 1999, "10.0.0.2", 0),
        backend(8, 4, ServiceProtocol::tcp, 80, 80, "fd00::1", 8080)};
    const NatTables nat(backends, {}, {});
    CHECK(nat.service_of(ip("10.0.0.1"), 6, 8080) == 4);
    CHECK(nat.service_of(ip("fd00::1"), 6, 8080) == 4);
    CHECK(nat.service_of(ip("10.0.0.1"), 17, 53) == 2);
    for (const std::uint8_t protocol : {std::uint8_t{6}, std::uint8_t{17}}) {
        CHECK(nat.service_of(ip("10.0.0.2"), protocol, 1000) == 5);
        CHECK(nat.service_of(ip("10.0.0.2"), protocol, 1999) == 5);
        CHECK(nat.service_of(ip("10.0.0.2"), protocol, 2000) == std::nullopt);
        CHECK(nat.service_of(ip("10.0.0.2"), protocol, 999) == std::nullopt);
    }
    CHECK(nat.service_of(ip("10.0.0.1"), 6, 80) == std::nullopt);
    CHECK(nat.service_of(ip("10.0.0.1"), 17, 8080) == std::nullopt);
    CHECK(nat.service_of(ip("10.0.0.3"), 6, 8080) == std::nullopt);
    for (const NatTables::Backend& one : backends)
        CHECK(nat.end(one.id) == one.end);
}

TEST_CASE("nat: the pool knows its addresses, those of a family together", "[balance][nat]") {
    const std::vector<IpAddress> pool{ip("10.0.0.32"), ip("10.0.0.33"), ip("10.0.0.40"),
                                      ip("0a00:21::"), ip("fd00::32")};
    NatTables::Backend translated = backend(7, 0, ServiceProtocol::tcp, 80, 80, "10.0.0.1", 8080);
    translated.pool = {0, 3};
    const NatTables nat(std::span(&translated, 1), pool, {});
    for (std::uint32_t place = 0; place < pool.size(); ++place) {
        CHECK(nat.pool_place(pool[place]) == place);
        CHECK(nat.pool_address(place) == pool[place]);
    }
    for (const char* other : {"10.0.0.31", "10.0.0.34", "10.0.0.41", "fd00::33", "::", "0.0.0.0"})
        CHECK(nat.pool_place(ip(other)) == std::nullopt);
    CHECK(nat.pool_of(BackendId{7}) == PoolRange{0, 3});
    // Its replies go to the pool: by their source alone they are nobody's.
    CHECK(nat.service_of(ip("10.0.0.1"), 6, 8080) == std::nullopt);
}

TEST_CASE("routes: the narrowest network, there its stations; else the gateway", "[balance][nat]") {
    const std::vector<Routes::Station> stations{
        {PortId{0}, ip("10.0.0.9"), NextHopId{1}},
        {PortId{1}, ip("10.0.1.9"), NextHopId{2}},
        {PortId{0}, ip("10.0.1.8"), NextHopId{3}},  // not on the narrow network's port
    };
    const Routes routes({{*parse_prefix("10.0.0.5/16"), PortId{0}},
                         {*parse_prefix("10.0.1.5/24"), PortId{1}},
                         {*parse_prefix("fd00::5/64"), PortId{1}}},
                        stations, NextHopId{40}, invalid_next_hop);
    CHECK(routes.find(ip("10.0.0.9")) == Route{true, NextHopId{1}});
    CHECK(routes.find(ip("10.0.1.9")) == Route{true, NextHopId{2}, PortId{1}});
    CHECK(routes.find(ip("10.0.1.8")) == Route{true, invalid_next_hop, PortId{1}});
    CHECK(routes.find(ip("10.0.0.10")) == Route{true, invalid_next_hop});
    CHECK(routes.find(ip("192.0.2.1")) == Route{true, NextHopId{40}});
    CHECK(routes.find(ip("fd00::9")) == Route{true, invalid_next_hop, PortId{1}});
    CHECK(routes.find(ip("2001:db8::1")) == Route{false, invalid_next_hop});
}
