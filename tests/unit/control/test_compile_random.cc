// SPDX-License-Identifier: BSD-3-Clause
// The property behind the one way to change: whatever happened before, the tables are those that a
// compile from nothing gives, and nothing that did not change was built again.
#include <cstring>
#include <random>
#include <utility>

#include <catch2/catch.hpp>

#include "lib/control/compile.hh"
#include "tests/unit/control/compile_support.hh"

using namespace weir;
using namespace weir::test;

namespace {

// One step of an operator, a prober or the network.
class Life {
public:
    explicit Life(unsigned seed) : random_(seed) {
        config_ = two_ports();
        for (std::uint8_t i = 0; i < 4; ++i)
            add_service();
        world = world_of(config_);
        adopt();
    }

    // Answers true when the change was a new configuration.
    bool step() {
        switch (draw(15)) {
            case 0:
            case 1:
            case 2:
                return pick([&](auto& s, auto& b) {
                           world.health[{s.name, b.name}] = static_cast<Liveness>(draw(3));
                           changes.services.insert(s.name);
                       }),
                       false;
            case 3:
                return pick([&](auto& s, auto& b) {
                           world.overrides[{s.name, b.name}] = static_cast<BackendState>(draw(3));
                           changes.services.insert(s.name);
                       }),
                       false;
            case 4:
                for (const auto& [name, state] : world.overrides)
                    changes.services.insert(name.first);  // some of which left meanwhile
                return world.overrides.clear(), false;
            case 5: {
                if (registry.next_hops().empty()) return false;
                const auto& hops = registry.next_hops();
                const auto& hop = hops[draw(std::uint32_t(hops.size()))];
                if (hop == Registry::NextHopKey{}) return false;  // a free place
                world.neighbors[hop] = mac(std::uint8_t(draw(9)));
                changes.next_hops.insert(hop);
                return false;
            }
            case 13:
                change_stations();
                return false;
            case 14:
                change_routes();
                adopt();
                return false;
            case 6:
                pick([&](auto&, auto& b) { b.weight = draw(4) * 50; });
                break;
            case 7:
                pick([&](auto&, auto& b) { b.state = static_cast<BackendState>(draw(3)); });
                break;
            case 8:
                draw(2) == 0 ? add_service() : remove_service();
                break;
            case 9:
                resize_service();
                break;
            case 10:
                std::ranges::shuffle(config_.services, random_);
                for (auto& s : config_.services)
                    std::ranges::shuffle(s.backends, random_);
                break;
            case 11:
                change_network();
                break;
            default:
                pick([&](auto& s, auto& b) {
                    s.forward = static_cast<Forward>(draw(2));
                    s.health = draw(3) == 0 ? "" : "web";
                    s.table_size = draw(3) == 0 ? 1021 : 251;
                    b.address = address();
                });
        }
        world.config = std::make_shared<const Config>(config_);
        ++world.generation;
        adopt();
        return true;
    }

    void release() {
        registry.release([&](BackendId) { return draw(2) == 0; });
    }

    World world;
    Registry registry;
    Changes changes;  // of the world, beside the configuration

private:
    std::uint32_t draw(std::uint32_t below) { return std::uint32_t(random_() % below); }
    void adopt() { REQUIRE(registry.adopt(*world.config, *world.routes).ok()); }

    template <typename Change>
    void pick(Change change) {
        if (config_.services.empty()) return;
        auto& s = config_.services[draw(std::uint32_t(config_.services.size()))];
        if (s.backends.empty()) return;
        change(s, s.backends[draw(std::uint32_t(s.backends.size()))]);
    }
    IpAddress address() {
        const char* pool[] = {"10.0.3.7", "10.0.3.8", "fd00:5::7", "192.0.2.1", "2001:db8:2::1"};
        return ip(pool[draw(5)]);
    }
    void add_service() {
        const auto number = std::uint8_t(draw(8));
        const std::string name = "s" + std::to_string(number);
        for (const auto& s : config_.services) {
            if (s.name == name) return;
        }
        auto added = service(name, number, draw(6), static_cast<Forward>(draw(2)));
        if (number % 2 != 0) added.key.last_port = 450;
        if (number == 2) added.forward = Forward::nat;
        if (number % 4 == 3) added.key.protocol = ServiceProtocol::any;
        config_.services.push_back(std::move(added));
    }
    void remove_service() {
        if (config_.services.empty()) return;
        config_.services.erase(config_.services.begin() +
                               draw(std::uint32_t(config_.services.size())));
    }
    void resize_service() {
        if (config_.services.empty()) return;
        auto& s = config_.services[draw(std::uint32_t(config_.services.size()))];
        if (draw(2) == 0 && !s.backends.empty()) {
            s.backends.erase(s.backends.begin() + draw(std::uint32_t(s.backends.size())));
            return;
        }
        const std::string name = (draw(2) == 0 ? "a" : "c") + std::to_string(draw(5));
        for (const auto& b : s.backends) {
            if (b.name == name) return;
        }
        s.backends.push_back({name, address(), 100, BackendState::active});
    }
    void change_stations() {
        std::vector<Registry::NextHopKey> stations;
        for (const char* address : {"10.0.3.7", "10.0.3.9", "10.0.3.10", "fd00:5::9"})
            if (draw(2) == 0) stations.push_back({PortId{1}, ip(address)});
        for (const auto& key : stations)
            world.neighbors[key] = mac(std::uint8_t(draw(9)));
        for (const auto& key : stations)
            changes.next_hops.insert(key);
        registry.set_stations(std::move(stations));
    }
    void change_routes() {
        std::vector<KernelRoute> routes;
        for (const char* to : {"192.0.2.0/24", "10.0.3.8/32", "10.0.3.0/24", "0.0.0.0/0",
                               "fd00:5::/64", "2001:db8:2::/48"}) {
            const bool six = ip(std::string(to, std::strchr(to, '/'))).family == Family::v6;
            for (unsigned port = 0; port < 2; ++port)
                if (draw(3) == 0)
                    routes.push_back(route(to, port, six ? "fe80::1" : "10.0.3.9", draw(2)));
        }
        world.routes = std::make_shared<const KernelRoutes>(std::move(routes));
    }
    void change_network() {
        PortConfig& port = config_.ports[draw(2)];
        if (draw(2) == 0) {
            port.tunnel_source.clear();
            if (draw(2) == 0) port.tunnel_source = {prefix("198.18.64.0/24")};
        } else {
            port.neighbors.clear();
            if (draw(2) == 0) port.neighbors = {{ip("10.0.3.7"), mac(std::uint8_t(draw(9)))}};
        }
    }

    std::mt19937 random_;
    Config config_;
};

}  // namespace

TEST_CASE("compile: any history gives what a compile from nothing gives", "[control][property]") {
    std::size_t shared = 0, rebuilt = 0, reused_configured = 0;
    for (unsigned seed = 0; seed < 40; ++seed) {
        Life life(seed);
        std::unique_ptr<const Tables> tables = compile(nullptr, life.world, life.registry);
        for (int step = 0; step < 150; ++step) {
            const int changes = 1 + step % 3;  // bursts coalesce
            for (int i = 0; i < changes; ++i)
                life.step();
            auto next = compile(tables.get(), life.world, life.registry);
            const auto fresh = compile(nullptr, life.world, life.registry);
            const auto by_changes =
                compile(tables.get(), life.world, life.registry, std::exchange(life.changes, {}));
            INFO("seed " << seed << " step " << step);
            REQUIRE(next->version == tables->version + 1);
            REQUIRE(fresh->version == 1);
            REQUIRE(same(*next, *fresh, *life.world.config));
            REQUIRE(sound(*next));
            REQUIRE(by_changes->version == next->version);
            REQUIRE(same(*by_changes, *fresh, *life.world.config));
            REQUIRE(sound(*by_changes));
            REQUIRE(by_changes->services.size() == next->services.size());
            // What is equal is the same object.
            for (const auto& now : next->services) {
                for (const auto& before : tables->services) {
                    if (now->id != before->id) continue;
                    const bool equal = same(*now, *before);
                    REQUIRE(equal == (now == before));
                    (equal ? shared : rebuilt) += 1;
                    reused_configured += !equal && now->configured == before->configured ? 1 : 0;
                }
            }
            tables = std::move(next);
            if (step % 7 == 0) life.release();
        }
    }
    CHECK(shared > 5000);
    CHECK(rebuilt > 500);
    CHECK(reused_configured > 100);
}

TEST_CASE("compile: ids from two adoptions of one configuration are not confused", "[control]") {
    // A configuration that returns as the same object may have other next hop ids by then.
    Config one = two_ports(), other = two_ports(), last = two_ports();
    one.services = {service("web", 1, 3)};
    other.services = {service("web", 77, 3)};
    last.services = {service("web", 1, 3)};
    last.services[0].backends.erase(last.services[0].backends.begin());
    Registry registry;
    REQUIRE(registry.adopt(last).ok());
    const World world = world_of(one);
    REQUIRE(registry.adopt(*world.config).ok());
    const auto first = compile(nullptr, world, registry);
    REQUIRE(registry.adopt(other).ok());
    REQUIRE(registry.adopt(*world.config).ok());
    const auto second = compile(first.get(), world, registry);
    CHECK_FALSE(first->services[0]->seats[0].next_hop == second->services[0]->seats[0].next_hop);
    CHECK(same(*second, *compile(nullptr, world, registry), *world.config));
}

TEST_CASE("compile: another configuration object is read anew, whoever adopted it", "[control]") {
    Config config = two_ports();
    config.services = {service("web", 1, 3)};
    Registry registry;
    World world = world_of(config);
    REQUIRE(registry.adopt(*world.config).ok());
    const auto first = compile(nullptr, world, registry);
    config.services[0].backends[1].weight = 7;  // names and next hops are those of before
    world.config = std::make_shared<const Config>(config);
    const auto second = compile(first.get(), world, registry);
    CHECK(second->services[0]->members[1].weight == 7);
}

TEST_CASE("compile: one flip among 10 000 services of 10 backends builds one service",
          "[control][property]") {
    Config config = two_ports();
    for (std::uint32_t i = 0; i < 10'000; ++i) {
        ServiceConfig s = service("service-" + std::to_string(i), 0, 10, Forward::ipip);
        s.key.vip = IpAddress{{203, 0, std::uint8_t(i >> 8), std::uint8_t(i)}, Family::v4};
        s.table_size = 1021;
        config.services.push_back(std::move(s));
    }
    World world = world_of(std::move(config));
    for (const ServiceConfig& s : world.config->services) {
        for (const BackendConfig& b : s.backends)
            world.health[{s.name, b.name}] = Liveness::up;
    }
    Registry registry;
    REQUIRE(registry.adopt(*world.config).ok());
    const auto before = compile(nullptr, world, registry);
    world.health[{"service-4711", "b3"}] = Liveness::down;
    const auto after = compile(before.get(), world, registry, {{"service-4711"}, {}});
    CHECK(same(*after, *compile(before.get(), world, registry), *world.config));
    std::size_t built = 0;
    for (std::size_t i = 0; i < before->services.size(); ++i) {
        built += before->services[i] != after->services[i] ? 1 : 0;
    }
    CHECK(built == 1);
    CHECK(after->services[4711] != before->services[4711]);
    CHECK(after->services[4711]->configured == before->services[4711]->configured);
}
