// SPDX-License-Identifier: BSD-3-Clause
#include <catch2/catch.hpp>

#include "lib/control/compile.hh"
#include "tests/unit/control/compile_support.hh"

using namespace weir;
using namespace weir::test;

namespace {

// What the controller does: one registry, and each compile on top of the last.
class Instance {
public:
    explicit Instance(Config config) : world(world_of(std::move(config))) {
        REQUIRE(registry.adopt(*world.config).ok());
        compile();
    }
    void compile() {
        auto next = weir::compile(tables_.get(), world, registry);
        before_ = std::move(tables_);
        tables_ = std::move(next);
    }
    void reload(Config config) {
        world.config = std::make_shared<const Config>(std::move(config));
        ++world.generation;
        REQUIRE(registry.adopt(*world.config).ok());
        compile();
    }
    [[nodiscard]] const Tables& tables() const { return *tables_; }
    [[nodiscard]] const Tables& before() const { return *before_; }
    [[nodiscard]] const ServiceTable& service(std::size_t i) const { return *tables_->services[i]; }
    [[nodiscard]] bool shared(std::size_t i) const {
        return tables_->services[i] == before_->services[i];
    }

    World world;
    Registry registry;

private:
    std::unique_ptr<const Tables> before_, tables_;
};

Config web(std::size_t backends = 3, Forward forward = Forward::dsr_l2) {
    Config config = two_ports();
    config.services = {service("web", 10, backends, forward)};
    return config;
}

std::size_t slots_of(const ServiceTable& service, Seat seat) {
    return static_cast<std::size_t>(std::ranges::count(service.slots, seat));
}

}  // namespace

TEST_CASE("compile: seats go by name, entries by id", "[control]") {
    Config config = web();
    std::ranges::reverse(config.services[0].backends);
    Instance instance(config);
    const ServiceTable& table = instance.service(0);
    CHECK(table.backend_names == std::vector<std::string>{"b0", "b1", "b2"});
    CHECK(table.name == "web");
    CHECK(table.slots.size() == 251);
    CHECK(table.seats[0].id == BackendId{2});  // ids go by the file
    for (Seat seat = 0; seat < 3; ++seat) {
        CHECK(instance.tables().backend(table.seats[seat].id, table.id) == &table.seats[seat]);
        CHECK(table.seats[seat].keeps_flows);
        CHECK(table.seats[seat].outer.length == 0);
        CHECK((slots_of(table, seat) == 83 || slots_of(table, seat) == 84));
    }
    CHECK(instance.tables().version == 1);
    CHECK(instance.tables().generation == 1);
    CHECK(instance.tables().hash_seed == 0x5765697200000001);
    CHECK(sound(instance.tables()));
}

TEST_CASE("compile: who takes new flows and who keeps old ones", "[control]") {
    struct Case {
        BackendState state;
        std::optional<BackendState> over;
        Liveness liveness;
        std::uint32_t weight;
        bool live, keeps;
    };
    constexpr auto active = BackendState::active, drain = BackendState::drain,
                   disabled = BackendState::disabled;
    constexpr auto up = Liveness::up, down = Liveness::down, unknown = Liveness::unknown;
    for (const Case& c : {
             Case{active, {}, up, 100, true, true},
             Case{active, {}, unknown, 100, true, true},
             Case{active, {}, down, 100, false, false},
             Case{active, {}, up, 0, false, true},
             Case{active, {}, down, 0, false, false},
             Case{drain, {}, up, 100, false, true},
             Case{drain, {}, down, 100, false, false},
             Case{disabled, {}, up, 100, false, false},
             Case{active, drain, up, 100, false, true},
             Case{active, disabled, up, 100, false, false},
             Case{drain, active, up, 100, true, true},
             Case{disabled, active, up, 100, true, true},
             Case{disabled, active, down, 100, false, false},
         }) {
        Config config = web();
        config.services[0].backends[1].state = c.state;
        config.services[0].backends[1].weight = c.weight;
        Instance instance(config);
        if (c.over) instance.world.overrides[{"web", "b1"}] = *c.over;
        instance.world.health[{"web", "b1"}] = c.liveness;
        instance.world.health[{"web", "b0a"}] = Liveness::down;  // names nobody has
        instance.world.health[{"wea", "b0"}] = Liveness::down;
        instance.world.health[{"web2", "b2"}] = Liveness::down;
        instance.compile();
        const ServiceTable& table = instance.service(0);
        INFO("state " << int(c.state) << " liveness " << int(c.liveness) << " weight " << c.weight);
        CHECK(table.live[1] == c.live);
        CHECK(table.seats[1].keeps_flows == c.keeps);
        CHECK((slots_of(table, 1) > 0) == c.live);
        CHECK((table.live[0] && table.live[2]));
    }
}

TEST_CASE("compile: without health a backend is up, whatever was once probed", "[control]") {
    Config config = web();
    config.services[0].health = "";
    Instance instance(config);
    instance.world.health[{"web", "b1"}] = Liveness::down;
    instance.compile();
    CHECK(instance.service(0).live[1]);
    CHECK(instance.shared(0));
}

TEST_CASE("compile: all down leaves every slot empty", "[control]") {
    Instance instance(web());
    for (const char* name : {"b0", "b1", "b2"})
        instance.world.health[{"web", name}] = Liveness::down;
    instance.compile();
    CHECK(slots_of(instance.service(0), no_seat) == 251);
    CHECK(sound(instance.tables()));
}

TEST_CASE("compile: a flip builds its own service and shares all others", "[control]") {
    Config config = two_ports();
    for (std::uint8_t i = 0; i < 20; ++i) {
        config.services.push_back(service("s" + std::to_string(i), i, 5));
    }
    Instance instance(config);
    instance.world.health[{"s7", "b3"}] = Liveness::down;
    instance.compile();
    for (std::size_t i = 0; i < 20; ++i)
        CHECK(instance.shared(i) == (i != 7));
    CHECK(instance.service(7).configured == instance.before().services[7]->configured);
    CHECK(slots_of(instance.service(7), 3) == 0);
    const auto changed = changed_slots(instance.before(), instance.tables());
    CHECK(changed.size() == 20);
    CHECK(changed.at("s7") == slots_of(*instance.before().services[7], 3));
    CHECK(changed.at("s8") == 0);

    const auto original = instance.before().services[7]->slots;
    instance.world.health[{"s7", "b3"}] = Liveness::up;
    instance.compile();
    CHECK(instance.service(7).slots == original);
    // A reload of an equal file shares everything, in any order of the file.
    instance.world.health[{"s7", "b3"}] = Liveness::unknown;
    instance.compile();
    CHECK(instance.shared(7));
    std::ranges::reverse(config.services);
    for (ServiceConfig& s : config.services)
        std::ranges::reverse(s.backends);
    instance.reload(config);
    for (std::size_t i = 0; i < 20; ++i) {
        CHECK(instance.tables().services[i] == instance.before().services[19 - i]);
    }
    CHECK(instance.tables().version == 5);
    CHECK(instance.tables().generation == 2);
}

TEST_CASE("compile: a weight edit rebuilds one service, a drain only moves its slots",
          "[control]") {
    Config config = two_ports();
    config.services = {service("one", 1, 4), service("two", 2, 4)};
    Instance instance(config);
    config.services[0].backends[2].state = BackendState::drain;
    instance.reload(config);
    CHECK(instance.shared(1));
    CHECK(instance.service(0).configured == instance.before().services[0]->configured);
    CHECK(instance.service(0).seats[2].keeps_flows);
    const auto moved = slots_of(*instance.before().services[0], 2);
    CHECK(changed_slots(instance.before(), instance.tables()).at("one") == moved);

    config.services[0].backends[2] = config.services[1].backends[2];
    config.services[0].backends[2].address = ip("10.0.1.12");
    config.services[0].backends[2].weight = 300;
    instance.reload(config);
    CHECK(instance.shared(1));
    const auto half = slots_of(instance.service(0), 2);  // of 251 slots: 300 of 600
    CHECK((half == 125 || half == 126));
}

TEST_CASE("compile: a backend that sorts first leaves ids and most slots where they are",
          "[control]") {
    Config config = web(10);
    config.services[0].table_size = 4093;
    Instance instance(config);
    std::map<std::string, BackendId> ids;
    for (std::size_t i = 0; i < 10; ++i) {
        ids[instance.service(0).backend_names[i]] = instance.service(0).seats[i].id;
    }
    BackendConfig first = config.services[0].backends[0];
    first.name = "a-first";
    first.address = ip("10.0.10.99");
    config.services[0].backends.insert(config.services[0].backends.begin(), first);
    instance.reload(config);
    const ServiceTable& table = instance.service(0);
    CHECK(table.backend_names[0] == "a-first");
    for (std::size_t i = 1; i <= 10; ++i) {
        CHECK(table.seats[i].id == ids.at(table.backend_names[i]));
    }
    // 4093 / 11 = 372 must move; plain Maglev moves some more.
    const auto changed = changed_slots(instance.before(), instance.tables()).at("web");
    CHECK(changed >= 372);
    CHECK(changed < 800);
    CHECK(sound(instance.tables()));
}

TEST_CASE("compile: backends that left have no entry, and no other service's", "[control]") {
    Config config = two_ports();
    config.services = {service("one", 1, 3), service("two", 2, 2)};
    Instance instance(config);
    const BackendId gone = instance.service(0).seats[2].id;
    const ServiceId one = instance.service(0).id, two = instance.service(1).id;
    config.services[0].backends.pop_back();
    instance.reload(config);
    CHECK(instance.tables().backend(gone, one) == nullptr);
    CHECK(instance.tables().backend(BackendId{0}, one) != nullptr);
    CHECK(instance.tables().backend(BackendId{0}, two) == nullptr);
    CHECK(instance.tables().backend(invalid_backend, one) == nullptr);
    config.services.erase(config.services.begin());
    instance.reload(config);
    CHECK(instance.tables().services.size() == 1);
    CHECK(instance.tables().backend(BackendId{0}, one) == nullptr);
    const auto changed = changed_slots(instance.before(), instance.tables());
    CHECK(changed.at("one") == 251);  // on one side only: counted whole
    CHECK(changed.at("two") == 0);
}

TEST_CASE("compile: changed_slots across table sizes counts shares of hashes", "[control]") {
    Config config = web(1);
    Instance instance(config);
    config.services[0].table_size = 1021;
    instance.reload(config);
    CHECK(instance.service(0).slots.size() == 1021);
    CHECK(changed_slots(instance.before(), instance.tables()).at("web") == 0);
}

TEST_CASE("compile: neighbours make next hops, static ones first", "[control]") {
    Config config = web(2);
    config.ports[1].neighbors = {{ip("10.0.10.11"), mac(0x11)}};
    Instance instance(config);
    const auto hop = [&](std::size_t seat) {
        return instance.tables().next_hops.at(index(instance.service(0).seats[seat].next_hop));
    };
    CHECK_FALSE(hop(0).resolved);
    CHECK(hop(0).port == PortId{1});
    CHECK(hop(0).source == mac(0xa1));
    CHECK(hop(1).resolved);
    CHECK(hop(1).destination == mac(0x11));
    instance.world.neighbors[{PortId{1}, ip("10.0.10.10")}] = mac(0x77);
    instance.world.neighbors[{PortId{1}, ip("10.0.10.11")}] = mac(0x78);
    instance.world.neighbors[{PortId{0}, ip("10.0.10.10")}] = mac(0x79);
    instance.compile();
    CHECK(instance.shared(0));
    CHECK(hop(0).resolved);
    CHECK(hop(0).destination == mac(0x77));
    CHECK(hop(1).destination == mac(0x11));
    CHECK(instance.tables().ports[1].vlan == 7);
    CHECK(instance.tables().ports[1].mtu == 9000);
    CHECK(instance.tables().ports[0].has_tap);
    CHECK_FALSE(instance.tables().ports[1].has_tap);
}

TEST_CASE("compile: a next hop says what goes without another look", "[control]") {
    for (const std::uint16_t vlan : {std::uint16_t{0}, std::uint16_t{7}}) {
        Config config = web(1);
        config.ports[1].vlan = vlan;
        Instance instance(config);
        const auto hop = [&] {
            return instance.tables().next_hops.at(index(instance.service(0).seats[0].next_hop));
        };
        CHECK(hop().plain_mtu == 0);
        instance.world.neighbors[{PortId{1}, ip("10.0.10.10")}] = mac(0x77);
        instance.compile();
        CHECK(hop().plain_mtu == (vlan == 0 ? 9000 : 0));
        instance.world.neighbors.clear();
        instance.compile();
        CHECK(hop().plain_mtu == 0);
        CHECK_FALSE(hop().resolved);
    }
}

TEST_CASE("compile: the index knows own addresses and what is probed", "[control]") {
    Config config = web(2);
    config.services.push_back(service("plain", 11, 1));
    config.services[1].health = "";
    Instance instance(config);
    const ServiceIndex& found = instance.tables().index;
    CHECK(found.find(ip("203.0.113.10"), 6, 443).place == 0);
    CHECK(found.find(ip("203.0.113.10"), 6, 80).role == AddressRole::vip);
    CHECK(found.find(ip("fd00:5::5"), 6, 22).role == AddressRole::own);
    CHECK(found.find(ip("198.51.100.5"), 6, 22).role == AddressRole::own);
    CHECK(found.find(ip("198.51.100.6"), 6, 22).role == AddressRole::foreign);
    CHECK(found.is_probe_reply(ip("10.0.10.11"), 443));
    CHECK_FALSE(found.is_probe_reply(ip("10.0.11.10"), 443));
    config.health["web"].port = 8080;
    instance.reload(config);
    CHECK(instance.tables().index.is_probe_reply(ip("10.0.10.11"), 8080));
    CHECK_FALSE(instance.tables().index.is_probe_reply(ip("10.0.10.11"), 443));
    CHECK(instance.shared(0));
}

TEST_CASE("probe_port: the check's, else the backend's, else the service's single one",
          "[control]") {
    ServiceConfig s = service("web", 1, 1);
    BackendConfig& backend = s.backends[0];
    HealthConfig check;
    CHECK(probe_port(s, backend, check) == 443);
    backend.port = 8080;
    CHECK(probe_port(s, backend, check) == 8080);
    check.port = 8443;
    CHECK(probe_port(s, backend, check) == 8443);
    check.port = 0;
    backend.port = 0;
    s.key.last_port = 444;
    CHECK(probe_port(s, backend, check) == 0);
}
