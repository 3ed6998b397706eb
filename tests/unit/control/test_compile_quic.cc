// SPDX-License-Identifier: BSD-3-Clause
// Server IDs of the configuration lead to the seats of their backends.
#include <cstring>

#include <catch2/catch.hpp>

#include "lib/control/compile.hh"
#include "tests/unit/balance/quic_cid.hh"
#include "tests/unit/control/compile_support.hh"

using namespace weir;
using namespace weir::test;

namespace {

Config with_quic() {
    Config config = two_ports();
    config.services = {service("plain", 1, 2), service("quic", 2, 3)};
    ServiceConfig& quic = config.services[1];
    quic.key.protocol = ServiceProtocol::udp;
    quic.quic = {{0, 2, 4, std::nullopt}, {3, 2, 8, Aes128::Key{1, 2, 3}}};
    quic.backends[0].quic_server_id = {0xaa, 1};
    quic.backends[2].quic_server_id = {0xaa, 2};
    std::swap(quic.backends[0], quic.backends[2]);  // seats go by name
    return config;
}

struct Compiled {
    explicit Compiled(const Config& config) : world(world_of(config)) { compile_next(); }
    void reload(const Config& config) {
        world = world_of(config, world.generation + 1);
        compile_next();
    }
    void compile_next() {
        REQUIRE(registry.adopt(*world.config).ok());
        tables = compile(tables.get(), world, registry);
    }
    [[nodiscard]] const ServiceTable& quic() const { return *tables->services[1]; }

    World world;
    Registry registry;
    std::unique_ptr<const Tables> tables;
};

// What the backend with this server ID is called; "" for none.
std::string named(const ServiceTable& service, const QuicLbConfig& config, std::uint8_t last) {
    const Seat seat =
        service.quic->find(make_cid(config, {0xaa, last}, CidBytes(config.nonce_length, 9)));
    return seat == no_seat ? "" : service.backend_names[seat];
}

}  // namespace

TEST_CASE("compile: server IDs lead to their backends by each configuration", "[control][quic]") {
    const Config config = with_quic();
    const Compiled compiled(config);
    CHECK(compiled.tables->services[0]->quic == nullptr);
    REQUIRE(compiled.quic().quic != nullptr);
    for (const QuicLbConfig& one : config.services[1].quic) {
        CHECK(named(compiled.quic(), one, 1) == "b0");
        CHECK(named(compiled.quic(), one, 2) == "b2");
        CHECK(named(compiled.quic(), one, 3).empty());
    }
}

TEST_CASE("compile: health leaves server IDs as they are, a reload changes them",
          "[control][quic]") {
    Config config = with_quic();
    Compiled compiled(config);
    const auto before = compiled.quic().quic;
    compiled.world.health[{"quic", "b0"}] = Liveness::down;
    compiled.tables = compile(compiled.tables.get(), compiled.world, compiled.registry,
                              {.services = {"quic"}, .next_hops = {}});
    CHECK(compiled.quic().quic == before);
    CHECK_FALSE(compiled.quic().seats[0].keeps_flows);

    const ServiceTable* const same = &compiled.quic();
    World world = world_of(config, 2);
    world.health = compiled.world.health;
    compiled.world = world;
    compiled.compile_next();
    CHECK(&compiled.quic() == same);

    config.services[1].backends[1].quic_server_id = {0xaa, 3};
    compiled.reload(config);
    CHECK(named(compiled.quic(), config.services[1].quic[0], 3) == "b1");
    config.services[1].quic[1].key = Aes128::Key{7};
    compiled.reload(config);
    CHECK(named(compiled.quic(), config.services[1].quic[1], 3) == "b1");

    // Without quic, the index finds the service quickly again.
    const auto single = [&] {
        const IpAddress vip = config.services[1].key.vip;
        std::uint32_t word;
        std::memcpy(&word, vip.bytes.data(), sizeof word);
        return compiled.tables->index.find_single(word, 17, 443);
    };
    CHECK_FALSE(single());
    config.services[1].quic.clear();
    for (BackendConfig& backend : config.services[1].backends)
        backend.quic_server_id.clear();
    compiled.reload(config);
    CHECK(compiled.quic().quic == nullptr);
    CHECK(single());
}
