// SPDX-License-Identifier: BSD-3-Clause
#include <map>
#include <random>
#include <set>

#include <catch2/catch.hpp>

#include "lib/control/registry.hh"
#include "tests/unit/control/compile_support.hh"

using namespace weir;
using namespace weir::test;

namespace {

Config with(std::vector<ServiceConfig> services) {
    Config config = two_ports();
    config.services = std::move(services);
    return config;
}

const auto unused = [](BackendId) { return false; };
const auto used = [](BackendId) { return true; };

}  // namespace

TEST_CASE("registry: ids are dense, stable over reloads, and follow names", "[control]") {
    Registry registry;
    REQUIRE(registry.adopt(with({service("web", 1, 3), service("dns", 2, 2)})).ok());
    CHECK(registry.backend_limit() == 5);
    CHECK(registry.service_limit() == 2);
    const auto web = registry.service("web"), dns = registry.service("dns");
    const auto b1 = registry.backend("web", "b1"), d1 = registry.backend("dns", "b1");
    CHECK(b1 != d1);
    CHECK_FALSE(registry.backend("web", "b3").has_value());
    CHECK_FALSE(registry.service("other").has_value());

    // Another order, and a backend whose name sorts first.
    auto changed = service("web", 1, 3);
    changed.backends.insert(changed.backends.begin(), {"a", ip("10.0.9.9"), 100, {}});
    REQUIRE(registry.adopt(with({service("dns", 2, 2), changed})).ok());
    CHECK(registry.service("web") == web);
    CHECK(registry.service("dns") == dns);
    CHECK(registry.backend("web", "b1") == b1);
    CHECK(registry.backend("dns", "b1") == d1);
    CHECK(registry.backend("web", "a") == BackendId{5});
    CHECK(registry.backend_name(BackendId{5}).backend == "a");
    CHECK(registry.backend_name(*d1).service == "dns");
    CHECK(registry.service_name(*web) == "web");
    CHECK(registry.backend_name(BackendId{6}).backend.empty());
    CHECK(registry.backend_name(invalid_backend).service.empty());
    CHECK(registry.service_name(ServiceId{2}).empty());
    CHECK(registry.adoptions() == 2);
}

TEST_CASE("registry: an id is reused only after release, a name that returns has its own",
          "[control]") {
    Registry registry;
    REQUIRE(registry.adopt(with({service("web", 1, 3)})).ok());
    const auto b2 = registry.backend("web", "b2");
    REQUIRE(registry.adopt(with({service("web", 1, 2), service("new", 3, 1)})).ok());
    CHECK(registry.backend("web", "b2") == b2);  // retired, still known
    CHECK(registry.backend("new", "b0") == BackendId{3});
    CHECK(registry.release(used).backends.empty());
    REQUIRE(registry.adopt(with({service("web", 1, 3)})).ok());
    CHECK(registry.backend("web", "b2") == b2);

    // "new" left with its one backend; nobody uses it any more.
    const auto released = registry.release(unused);
    CHECK(released.backends == std::vector<BackendId>{BackendId{3}});
    CHECK(released.services == std::vector<ServiceId>{ServiceId{1}});
    CHECK(registry.backend_name(BackendId{3}).service.empty());
    CHECK_FALSE(registry.backend("new", "b0").has_value());
    CHECK(registry.release(unused).backends.empty());
    REQUIRE(registry.adopt(with({service("web", 1, 3), service("later", 3, 2)})).ok());
    CHECK(registry.backend("later", "b0") == BackendId{3});
    CHECK(registry.backend("later", "b1") == BackendId{4});
    CHECK(registry.service("later") == ServiceId{1});
}

TEST_CASE("registry: a service is freed after the last of its backends", "[control]") {
    Registry registry;
    REQUIRE(registry.adopt(with({service("a", 1, 2), service("ab", 2, 1)})).ok());
    REQUIRE(registry.adopt(with({service("ab", 2, 1)})).ok());
    const auto held = registry.backend("a", "b1");
    auto released = registry.release([&](BackendId id) { return id == held; });
    CHECK(released.backends.size() == 1);
    CHECK(released.services.empty());
    CHECK(registry.service_name(ServiceId{0}) == "a");
    released = registry.release(unused);
    CHECK(released.backends == std::vector<BackendId>{*held});
    CHECK(released.services == std::vector<ServiceId>{ServiceId{0}});
    CHECK(registry.service("ab").has_value());
}

TEST_CASE("registry: endpoints are numbered by VIP, protocol and ports", "[control]") {
    Registry registry;
    ServiceConfig web = service("web", 1, 2), dns = service("dns", 2, 2);
    web.key.protocol = ServiceProtocol::tcp;
    dns.key.protocol = ServiceProtocol::any;
    REQUIRE(registry.adopt(with({web, dns})).ok());
    const EndpointId tcp = registry.endpoint(web.key, ServiceProtocol::tcp);
    const EndpointId dns_tcp = registry.endpoint(dns.key, ServiceProtocol::tcp),
                     dns_udp = registry.endpoint(dns.key, ServiceProtocol::udp),
                     dns_sctp = registry.endpoint(dns.key, ServiceProtocol::sctp);
    CHECK(std::set{tcp, dns_tcp, dns_udp, dns_sctp}.size() == 4);
    CHECK(registry.endpoint_key(dns_sctp).protocol == 132);
    CHECK(registry.endpoint_key(dns_udp).vip == dns.key.vip);
    CHECK(registry.endpoint_key(dns_udp).protocol == 17);
    CHECK(registry.endpoint_key(dns_udp).first_port == dns.key.first_port);

    // Another name and other backends: the same endpoint. Another port: another, and the old one
    // keeps its number, as flows may name it.
    ServiceConfig renamed = web, moved = dns;
    renamed.name = "www";
    moved.key.first_port = moved.key.last_port = 5353;
    REQUIRE(registry.adopt(with({moved, renamed})).ok());
    CHECK(registry.endpoint(renamed.key, ServiceProtocol::tcp) == tcp);
    CHECK_FALSE(std::set{tcp, dns_tcp, dns_udp}.contains(
        registry.endpoint(moved.key, ServiceProtocol::udp)));
    CHECK(registry.endpoint_key(dns_udp).first_port == dns.key.first_port);
    REQUIRE(registry.adopt(with({dns})).ok());
    CHECK(registry.endpoint(dns.key, ServiceProtocol::udp) == dns_udp);
}

TEST_CASE("registry: endpoints of echo services, and of all protocols", "[control]") {
    Registry registry;
    ServiceConfig echo = service("echo", 1, 1), echo6 = service("echo6", 2, 1),
                  all = service("all", 1, 1), translated = service("translated", 3, 1);
    echo.key.protocol = echo6.key.protocol = ServiceProtocol::icmp;
    echo6.key.vip.family = Family::v6;
    all.key = {all.key.vip, ServiceProtocol::any, 0, 65'535};
    translated.key = {translated.key.vip, ServiceProtocol::any, 0, 65'535};
    translated.forward = Forward::nat;
    REQUIRE(registry.adopt(with({echo, echo6, all, translated})).ok());
    const auto protocol = [&](const ServiceConfig& of, ServiceProtocol wanted) {
        return registry.endpoint_key(registry.endpoint(of.key, wanted)).protocol;
    };
    CHECK(protocol(echo, ServiceProtocol::icmp) == 1);
    CHECK(protocol(echo6, ServiceProtocol::icmp) == 58);
    CHECK(protocol(all, ServiceProtocol::tcp) == 6);
    CHECK(protocol(all, ServiceProtocol::udp) == 17);
    CHECK(protocol(all, ServiceProtocol::sctp) == 0);  // of all others
    CHECK(registry.endpoint_key(registry.endpoint(all.key, ServiceProtocol::sctp)).vip ==
          all.key.vip);
    CHECK(registry.endpoint(translated.key, ServiceProtocol::sctp) == EndpointId{0});
}

TEST_CASE("registry: an endpoint that left gives its number last of all", "[control]") {
    Registry registry;
    ServiceConfig kept = service("kept", 1, 1), moving = service("moving", 2, 1);
    kept.key.protocol = moving.key.protocol = ServiceProtocol::tcp;
    REQUIRE(registry.adopt(with({kept, moving})).ok());
    const EndpointId first = registry.endpoint(kept.key, ServiceProtocol::tcp);
    std::set<EndpointId> given{first, registry.endpoint(moving.key, ServiceProtocol::tcp)};
    for (std::uint32_t round = 0; given.size() < max_endpoints; ++round) {
        REQUIRE(round < max_endpoints);
        moving.key.first_port = moving.key.last_port = static_cast<std::uint16_t>(round);
        moving.key.vip.bytes[3] = static_cast<std::uint8_t>(round >> 16);
        moving.key.vip.bytes[2] = 77;
        REQUIRE(registry.adopt(with({kept, moving})).ok());
        const EndpointId id = registry.endpoint(moving.key, ServiceProtocol::tcp);
        REQUIRE(given.insert(id).second);
    }
    moving.key.vip.bytes[2] = 78;
    REQUIRE(registry.adopt(with({kept, moving})).ok());
    CHECK(registry.endpoint(moving.key, ServiceProtocol::tcp) == EndpointId{1});  // left first
    CHECK(registry.endpoint(kept.key, ServiceProtocol::tcp) == first);
}

TEST_CASE("registry: bounds refuse whole and change nothing", "[control]") {
    const auto huge = [](const std::string& name, std::size_t count) {
        ServiceConfig s = service(name, 1, 0);
        for (std::size_t i = 0; i < count; ++i) {
            s.backends.push_back({std::to_string(i), ip("10.0.0.9"), 1, BackendState::active});
        }
        return s;
    };
    Registry registry;
    REQUIRE(registry.adopt(with({huge("a", 65'534), huge("b", 65'534)})).ok());
    // 131 068 of 131 072 are taken, and stay so while flows may name them.
    const auto refused = registry.adopt(with({service("c", 1, 5)}));
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().message.find("131073 backends") != std::string::npos);
    CHECK_FALSE(registry.service("c").has_value());
    CHECK(registry.release(unused).backends.empty());  // nothing was retired
    CHECK(registry.adoptions() == 1);
    REQUIRE(registry.adopt(with({service("c", 1, 4)})).ok());
    CHECK(registry.backend_limit() == max_backends);
    CHECK(registry.release(unused).backends.size() == 2 * 65'534);
    CHECK(registry.adopt(with({service("c", 1, 5)})).ok());

    const auto wide = registry.adopt(with({huge("d", 65'535)}));
    REQUIRE_FALSE(wide.ok());
    CHECK(wide.error().message.find("at most 65534") != std::string::npos);

    std::vector<ServiceConfig> many;
    for (std::uint32_t i = 0; i <= max_services; ++i) {
        many.push_back(service("s" + std::to_string(i), 1, 0));
    }
    const auto crowd = Registry{}.adopt(with(many));
    REQUIRE_FALSE(crowd.ok());
    CHECK(crowd.error().message.find("services") != std::string::npos);
}

TEST_CASE("registry: next hops are shared, and their ids given out again at once", "[control]") {
    Registry registry;
    ServiceConfig near = service("near", 1, 2), far = service("far", 2, 2, Forward::ipip);
    far.backends[0].address = ip("192.0.2.1");  // both by the gateway of wan0
    far.backends[1].address = ip("192.0.2.2");
    REQUIRE(registry.adopt(with({near, far})).ok());
    CHECK(registry.next_hops().size() == 3);
    const auto gateway = registry.find_next_hop(PortId{0}, ip("198.51.100.1"));
    REQUIRE(gateway.has_value());
    CHECK(registry.next_hops()[index(*gateway)].port == PortId{0});
    CHECK(registry.next_hop(PortId{0}, ip("198.51.100.1")) == *gateway);
    CHECK_FALSE(registry.find_next_hop(PortId{1}, ip("198.51.100.1")).has_value());

    REQUIRE(registry.adopt(with({far})).ok());
    CHECK(registry.find_next_hop(PortId{0}, ip("198.51.100.1")) == gateway);
    CHECK_FALSE(registry.find_next_hop(PortId{1}, ip("10.0.1.10")).has_value());
    CHECK(std::ranges::count_if(registry.next_hops(),
                                [](const auto& key) { return is_unspecified(key.address); }) == 2);
    const NextHopId extra = registry.next_hop(PortId{1}, ip("10.0.0.77"));
    CHECK(index(extra) < 3);
    CHECK(registry.next_hops().size() == 3);
}

TEST_CASE("registry: stations get what room is left, and displace nothing", "[control][stations]") {
    Registry registry;
    const ServiceConfig near = service("near", 1, 2), far = service("far", 2, 2);
    REQUIRE(registry.adopt(with({near})).ok());
    const auto key = [](std::uint32_t number) {
        return Registry::NextHopKey{PortId{1},
                                    {{10, 7, std::uint8_t(number >> 8), std::uint8_t(number)}, {}}};
    };
    const auto id = [&](const Registry::NextHopKey& of) {
        return registry.find_next_hop(of.port, of.address);
    };
    const auto backend = id({PortId{1}, ip("10.0.1.10")});
    registry.set_stations({key(2), key(1)});
    CHECK(registry.station_changes() == 1);
    registry.set_stations({key(1), key(2)});
    CHECK(registry.station_changes() == 1);  // nothing new
    CHECK(id(key(1)).has_value());
    CHECK(registry.stations() == std::vector{key(1), key(2)});

    // A reload keeps them, one that leaves frees its number for the next.
    REQUIRE(registry.adopt(with({near, far})).ok());
    CHECK(id({PortId{1}, ip("10.0.1.10")}) == backend);
    CHECK(id({PortId{1}, ip("10.0.2.11")}).has_value());
    REQUIRE(id(key(1)).has_value());
    CHECK(registry.next_hops().size() == 6);
    const auto freed = id(key(1));
    registry.set_stations({key(2), key(3)});
    CHECK_FALSE(id(key(1)).has_value());
    CHECK(id(key(3)) == freed);

    // One that the configuration needs stays when it is no station any more.
    registry.set_stations({key(2), {PortId{1}, ip("10.0.1.10")}});
    registry.set_stations({});
    CHECK(id({PortId{1}, ip("10.0.1.10")}) == backend);
    CHECK_FALSE(id(key(2)).has_value());
}

TEST_CASE("registry: stations never keep a next hop of the configuration out",
          "[control][stations]") {
    Registry registry;
    REQUIRE(registry.adopt(with({service("near", 1, 2)})).ok());
    std::vector<Registry::NextHopKey> crowd;
    for (std::uint32_t i = 0; i < max_next_hops + 10; ++i)
        crowd.push_back(
            {PortId{0}, {{10, std::uint8_t(i >> 16), std::uint8_t(i >> 8), std::uint8_t(i)}, {}}});
    registry.set_stations(crowd);
    CHECK(registry.next_hops().size() == max_next_hops);
    REQUIRE(registry.adopt(with({service("near", 1, 2), service("far", 2, 3)})).ok());
    CHECK(registry.next_hops().size() == max_next_hops);
    CHECK(registry.find_next_hop(PortId{1}, ip("10.0.2.12")).has_value());
}

TEST_CASE("registry: gateways of routes are next hops as long as somebody needs them",
          "[control][routes]") {
    Registry registry;
    ServiceConfig far = service("far", 2, 1, Forward::ipip);
    far.backends[0].address = ip("192.0.2.1");
    const KernelRoutes routes(
        {route("192.0.2.0/24", 1, "10.0.0.7"), route("192.0.3.0/24", 1, "10.0.0.8")});
    const auto has = [&](PortId port, std::string_view address) {
        return registry.find_next_hop(port, ip(address)).has_value();
    };
    REQUIRE(registry.adopt(with({far}), routes).ok());
    CHECK(has(PortId{1}, "10.0.0.7"));
    CHECK_FALSE(has(PortId{1}, "10.0.0.8"));
    CHECK_FALSE(has(PortId{0}, "198.51.100.1"));
    // A client that was looked up and becomes a router, and is one no more.
    registry.set_stations({{PortId{1}, ip("10.0.0.8")}});
    const auto station = registry.find_next_hop(PortId{1}, ip("10.0.0.8"));
    REQUIRE(registry.adopt(with({far, service("nat", 3, 1, Forward::nat)}), routes).ok());
    CHECK(registry.find_next_hop(PortId{1}, ip("10.0.0.8")) == station);
    registry.set_stations({});
    CHECK(registry.find_next_hop(PortId{1}, ip("10.0.0.8")) == station);
    const std::uint64_t adoptions = registry.adoptions();
    REQUIRE(registry.adopt(with({far})).ok());
    CHECK(registry.adoptions() == adoptions + 1);
    CHECK_FALSE(has(PortId{1}, "10.0.0.7"));
    CHECK_FALSE(has(PortId{1}, "10.0.0.8"));
    CHECK(has(PortId{0}, "198.51.100.1"));
}

TEST_CASE("registry: agrees with a model over random reloads", "[control][property]") {
    using Name = std::pair<std::string, std::string>;
    for (unsigned seed = 0; seed < 20; ++seed) {
        std::mt19937 random(seed);
        Registry registry;
        std::map<Name, BackendId> known;  // configured or retired
        std::set<Name> configured;
        std::set<BackendId> busy;
        std::size_t wrong = 0;
        for (int step = 0; step < 200; ++step) {
            if (random() % 3 != 0) {
                std::vector<ServiceConfig> services;
                configured.clear();
                for (std::uint8_t i = 0; i < 5; ++i) {
                    if (random() % 3 == 0) continue;
                    ServiceConfig s = service("s" + std::to_string(i), i, 6);
                    std::erase_if(s.backends, [&](const auto&) { return random() % 2 == 0; });
                    std::ranges::shuffle(s.backends, random);
                    for (const auto& b : s.backends)
                        configured.emplace(s.name, b.name);
                    services.push_back(std::move(s));
                }
                std::ranges::shuffle(services, random);
                REQUIRE(registry.adopt(with(services)).ok());
                std::set<BackendId> taken;
                for (const auto& [name, id] : known)
                    taken.insert(id);
                for (const Name& name : configured) {
                    const auto id = registry.backend(name.first, name.second);
                    REQUIRE(id.has_value());
                    const auto before = known.find(name);
                    if (before != known.end()) {
                        wrong += *id != before->second ? 1 : 0;  // kept
                    } else {
                        wrong += taken.insert(*id).second ? 0 : 1;  // never one that is taken
                        known[name] = *id;
                    }
                }
            } else {
                for (const auto& [name, id] : known) {
                    if (random() % 4 == 0) busy.insert(id);
                    if (random() % 4 == 0) busy.erase(id);
                }
                std::set<BackendId> expected;
                std::erase_if(known, [&](const auto& entry) {
                    if (configured.contains(entry.first) || busy.contains(entry.second))
                        return false;
                    expected.insert(entry.second);
                    return true;
                });
                const auto released =
                    registry.release([&](BackendId id) { return busy.contains(id); });
                wrong += std::ranges::equal(released.backends, expected) ? 0 : 1;
            }
            for (const auto& [name, id] : known) {
                const auto is = registry.backend_name(id);
                wrong += is.service != name.first || is.backend != name.second ? 1 : 0;
                wrong += index(id) >= registry.backend_limit() ? 1 : 0;
            }
            wrong += registry.backend_limit() > 30 ? 1 : 0;  // dense: 5 x 6 names in all
        }
        INFO("seed " << seed);
        CHECK(wrong == 0);
    }
}
