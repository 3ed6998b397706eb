// SPDX-License-Identifier: BSD-3-Clause
// The engine with its loops on real lcores.
#include <chrono>
#include <functional>
#include <thread>

#include <catch2/catch.hpp>

#include "lib/dpdk/counters_view.hh"
#include "tests/unit/dpdk/loops_support.hh"

using namespace weir;
using namespace weir::test;

namespace {

// Runs control's turns until `done`; false after 20 s.
bool run_until(Rig& rig, const std::function<bool()>& done) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!done()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        if (rig.engine->control_turn() == 0) std::this_thread::yield();
    }
    return true;
}

std::unique_ptr<const Tables> copy_of(const Tables& tables, std::uint64_t version) {
    auto copy = std::make_unique<Tables>(tables);
    copy->version = version;
    return copy;
}

}  // namespace

TEST_CASE("engine: no queue is polled before tables are published", "[dpdk][engine]") {
    const RigOptions options =
        GENERATE(RigOptions{.workers = 2, .rx_queues = 2}, RigOptions{.rx_lcores = 1, .workers = 2},
                 RigOptions{.rx_lcores = 1, .workers = 2, .shared_cpu = true, .tx_queues = 1});
    Rig rig(options);
    constexpr std::uint16_t flows = 300;
    for (std::uint16_t flow = 0; flow < flows; ++flow)
        rig.receive(0, client_frame(static_cast<std::uint16_t>(2000 + flow)),
                    flow % options.rx_queues);
    REQUIRE(rig.engine->start().ok());
    for (int turn = 0; turn < 1000; ++turn)
        rig.engine->control_turn();
    CHECK_FALSE(rig.engine->polling());
    CHECK(rig.ports[0]->waiting(0) == flows / options.rx_queues);

    rig.engine->publisher().publish(copy_of(*rig.tables, 1));
    CHECK(run_until(rig, [&] { return rig.engine->polling(); }));
    CHECK(run_until(rig, [&] { return rig.sums().sent == flows; }));
    CHECK(rig.sent().size() == flows);

    // Tables change under the workers' feet; the old ones go.
    for (std::uint64_t version = 2; version < 50; ++version)
        rig.engine->publisher().publish(copy_of(*rig.tables, version));
    CHECK(run_until(rig, [&] { return rig.engine->publisher().settled(); }));

    CHECK(rig.engine->stop().ok());
    CHECK(rig.engine->publisher().settled());
    const Rig::Sums sums = rig.sums();
    CHECK(sums.received == sums.sent + sums.punted + sums.dropped);
}

TEST_CASE("engine: stops without ever having had tables", "[dpdk][engine]") {
    Rig rig({});
    REQUIRE(rig.engine->start().ok());
    CHECK(rig.engine->stop().ok());
    CHECK_FALSE(rig.engine->polling());
}

TEST_CASE("engine: packets in rings when it ends are freed", "[dpdk][engine]") {
    Pool* pool = nullptr;
    Rig rig({.rx_lcores = 1, .workers = 2, .tx_queues = 1});
    pool = &rig.pool;
    for (std::uint16_t flow = 0; flow < 100; ++flow)
        rig.receive(0, client_frame(static_cast<std::uint16_t>(2000 + flow)));
    for (int i = 0; i < 10; ++i)
        rig.receive(0, arp_frame());
    for (int i = 0; i < 10; ++i)
        rig.receive(0, ping_frame("198.51.100.5"));
    rig.lcore(0).loop->turn(*rig.tables, rig.now);  // RX: into the workers' rings
    rig.lcore(2).loop->turn(*rig.tables, rig.now);  // worker 1: into TX and punt rings
    CHECK(pool->in_use() > 100);
    rig.engine.reset();
    CHECK(rig.sent().size() == 0);
    CHECK(pool->in_use() == rig.ports[0]->waiting(0));
}

TEST_CASE("engine: the view sums what the loops counted", "[dpdk][engine]") {
    Rig rig({.rx_lcores = 1, .workers = 2, .tx_queues = 1});
    for (std::uint16_t flow = 0; flow < 90; ++flow)
        rig.receive(0, client_frame(static_cast<std::uint16_t>(2000 + flow)));
    rig.receive(0, arp_frame());
    rig.receive(0, {1});
    rig.kernel_sends(1, arp_frame());
    rig.settle();
    InstanceView view;
    view.ports.resize(2);
    fill_counters(*rig.engine, view);
    CHECK(view.received == 92);
    CHECK(view.sent == 90);
    CHECK(view.punted == 1);
    CHECK(view.dropped == 1);
    CHECK(view.injected == 1);
    CHECK(view.punted_by_class == std::array<std::uint64_t, punt_class_count>{1, 0, 0, 0});
    REQUIRE(view.drops.size() == drop_reason_count);
    CHECK(view.drops[0].reason == "l2_truncated");
    CHECK(view.drops[0].packets == 1);
    REQUIRE(view.workers.size() == 3);
    CHECK(view.workers[0].name == "rx0");
    CHECK(view.workers[0].polls_nic);
    CHECK_FALSE(view.workers[0].is_worker);
    CHECK(view.workers[0].handed_over == 92);
    CHECK(view.workers[1].name == "worker0");
    CHECK(view.workers[1].handed_in + view.workers[2].handed_in == 92);
    CHECK(view.workers[2].flow_capacity == 3 * 4096);
    CHECK(view.ports[0].port_to_tap == 1);
    CHECK(view.ports[1].tap_to_port == 1);
    CHECK(service_traffic(*rig.engine, ServiceId{3}).packets == 90);
    std::uint64_t by_backend = 0;
    for (std::uint32_t id = 100; id < 103; ++id)
        by_backend += backend_traffic(*rig.engine, BackendId{id}).packets;
    CHECK(by_backend == 90);
    // 1 poller x 2 workers, fragments both ways, 2 x 4 punt classes, 2 ports x (worker 1 and
    // control
    // -> worker 0)
    CHECK(view.rings.size() == 2 + 2 + 8 + 4);
    CHECK(view.rings[0].name == "rx0-worker0");
    CHECK(view.rings[0].size == 2047);
}

TEST_CASE("engine: says what is wrong with its setup", "[dpdk][engine]") {
    need_eal();
    EngineSetup setup;
    CHECK(Engine::create(setup).error().message ==
          "no worker lcore: name one in [system] worker_lcores");
    setup.lcores.push_back({.lcore = 1, .worker = 0});
    CHECK(Engine::create(setup).error().message == "no port: add a [[port]]");
    setup.ports.push_back({.name = "wan0", .tx_queues = 0});
    CHECK(Engine::create(setup).error().message == "port wan0 has no RX or no TX queue");
}

TEST_CASE("engine: lcores that nap carry every packet and see the stop", "[dpdk][engine]") {
    const RigOptions options = GENERATE(RigOptions{.workers = 2, .rx_queues = 2},
                                        RigOptions{.rx_lcores = 1, .workers = 2});
    RigOptions napping = options;
    napping.idle = Idle::pause;
    Rig rig(napping);
    REQUIRE(rig.engine->start().ok());
    rig.engine->publisher().publish(copy_of(*rig.tables, 1));
    REQUIRE(run_until(rig, [&] { return rig.engine->polling(); }));
    // Every lcore turns on while nothing comes, so it still lets go of old tables.
    const auto loops = [&](std::size_t i) {
        return rig.engine->lcores()[i]->loop->counters().loops.read();
    };
    for (std::size_t i = 0; i < rig.engine->lcores().size(); ++i) {
        const std::uint64_t far = loops(i) + 2 * Rest::empty_turns;
        CHECK(run_until(rig, [&] { return loops(i) > far; }));
        CHECK(rig.engine->lcores()[i]->loop->counters().busy_loops.read() == 0);
    }
    rig.engine->publisher().publish(copy_of(*rig.tables, 2));
    CHECK(run_until(rig, [&] { return rig.engine->publisher().settled(); }));
    CHECK(rig.engine->stop().ok());

    constexpr std::uint16_t flows = 100;  // rings have one producer and no lock: before the start
    for (std::uint16_t flow = 0; flow < flows; ++flow)
        rig.receive(0, client_frame(static_cast<std::uint16_t>(2000 + flow)));
    REQUIRE(rig.engine->start().ok());
    CHECK(run_until(rig, [&] { return rig.sums().sent == flows; }));
    CHECK(rig.engine->stop().ok());
}
