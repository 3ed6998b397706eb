// SPDX-License-Identifier: BSD-3-Clause
// How flows keep, lose and regain their backend.
#include <map>

#include <catch2/catch.hpp>

#include "tests/unit/dataplane/fixture.hh"

using namespace weir;
using namespace weir::test;

namespace {

constexpr std::uint8_t syn = 0x02, ack = 0x10, fin = 0x11, rst = 0x04;

// The backend that a frame went to, by its MAC.
int backend_of(const Bytes& sent) {
    return sent.at(5) - 11;
}

std::map<std::uint16_t, int> open_flows(Worker1& worker, const Tables& tables, int count) {
    std::map<std::uint16_t, int> placed;
    for (int i = 0; i < count; ++i) {
        const auto port = static_cast<std::uint16_t>(20000 + i);
        REQUIRE(worker.run(tables, client_frame(port, syn)).action == Action::send);
        placed[port] = backend_of(worker.sent);
        REQUIRE(worker.run(tables, client_frame(port, ack)).action == Action::send);
    }
    return placed;
}

std::uint64_t active(const Worker1& worker, int backend) {
    return worker.traffic->backends[static_cast<std::size_t>(100 + backend)].active_flows.read();
}

}  // namespace

TEST_CASE("a flow keeps its backend when the service's table changes", "[dataplane]") {
    World1 world(4);
    Worker1 worker;
    const auto placed = open_flows(worker, world.tables, 200);
    for (Seat& slot : world.service->slots)
        slot = static_cast<Seat>((slot + 1) % 4);
    world.rebuild();
    for (const auto& [port, backend] : placed) {
        REQUIRE(worker.run(world.tables, client_frame(port)).action == Action::send);
        CHECK(backend_of(worker.sent) == backend);
    }
}

TEST_CASE("a draining backend keeps its flows and gets no new ones", "[dataplane]") {
    World1 world(3);
    Worker1 worker;
    const auto placed = open_flows(worker, world.tables, 300);
    world.take_slots(1, true);
    for (const auto& [port, backend] : placed) {
        REQUIRE(worker.run(world.tables, client_frame(port)).action == Action::send);
        CHECK(backend_of(worker.sent) == backend);
    }
    for (int i = 0; i < 300; ++i) {
        REQUIRE(worker.run(world.tables, client_frame(static_cast<std::uint16_t>(40000 + i), syn))
                    .action == Action::send);
        CHECK(backend_of(worker.sent) != 1);
    }
}

TEST_CASE("flows of a backend that went down are picked anew, the others stay", "[dataplane]") {
    World1 world(3);
    Worker1 worker;
    const auto placed = open_flows(worker, world.tables, 300);
    world.take_slots(1, false);
    std::uint64_t moved = 0;
    for (const auto& [port, backend] : placed) {
        REQUIRE(worker.run(world.tables, client_frame(port)).action == Action::send);
        if (backend != 1) CHECK(backend_of(worker.sent) == backend);
        if (backend == 1) CHECK(backend_of(worker.sent) == 2);
        moved += backend == 1;
    }
    REQUIRE(moved > 50);
    CHECK(active(worker, 1) == 0);
    CHECK(active(worker, 0) + active(worker, 2) == 300);
    CHECK(worker.traffic->services[3].active_flows.read() == 300);
}

TEST_CASE("without expire_nodest_conn flows wait for their backend", "[dataplane]") {
    World1 world(3);
    Worker1 worker;
    world.tables.expire_nodest_conn = false;
    const auto placed = open_flows(worker, world.tables, 60);
    World1 less(3);
    less.take_slots(1, false);
    less.tables.expire_nodest_conn = false;
    int waiting = 0;
    for (const auto& [port, backend] : placed) {
        const Verdict verdict = worker.run(less.tables, client_frame(port));
        CHECK(verdict.action == (backend == 1 ? Action::drop : Action::send));
        if (backend != 1) continue;
        CHECK(verdict.reason == DropReason::no_backend);
        ++waiting;
    }
    REQUIRE(waiting > 5);
    CHECK(active(worker, 1) == static_cast<std::uint64_t>(waiting));
    for (const auto& [port, backend] : placed) {
        REQUIRE(worker.run(world.tables, client_frame(port)).action == Action::send);
        CHECK(backend_of(worker.sent) == backend);
    }
    // Entries that expired meanwhile, and ports that are used again, are no flows that wait.
    const Tick late{10'000'000};
    for (const auto& [port, backend] : placed) {
        REQUIRE(worker.run(less.tables, client_frame(port), late).action == Action::send);
        CHECK(backend_of(worker.sent) != 1);
    }
}

TEST_CASE("without expire_nodest_conn a port that is used again does not wait", "[dataplane]") {
    World1 world(3);
    Worker1 worker;
    const auto placed = open_flows(worker, world.tables, 60);
    for (const auto& [port, backend] : placed)
        (void)worker.run(world.tables, client_frame(port, fin));
    world.take_slots(1, false);
    world.tables.expire_nodest_conn = false;
    for (const auto& [port, backend] : placed) {
        REQUIRE(worker.run(world.tables, client_frame(port, syn)).action == Action::send);
        CHECK(backend_of(worker.sent) != 1);
    }
}

TEST_CASE("without sloppy_tcp only a SYN begins a flow", "[dataplane]") {
    World1 world(3);
    Worker1 worker;
    world.tables.sloppy_tcp = false;
    const auto denied = [&](std::uint16_t port, std::uint8_t flags, Tick now = Tick{1000}) {
        const Verdict verdict = worker.run(world.tables, client_frame(port, flags), now);
        return verdict.action == Action::drop && verdict.reason == DropReason::policy_denied;
    };
    for (const std::uint8_t flags : {ack, fin, rst, std::uint8_t{0x12}, std::uint8_t{0x18}})
        CHECK(denied(1000, flags));
    CHECK(worker.counters.flow_insert_failed.read() == 0);
    CHECK(worker.traffic->services[3].active_flows.read() == 0);
    CHECK_FALSE(denied(1000, syn));
    CHECK_FALSE(denied(1000, ack));
    // Neither an entry that ended nor a backend that fell makes a difference.
    CHECK(denied(1000, ack, Tick{10'000'000}));
    CHECK_FALSE(denied(1000, syn, Tick{10'000'000}));
    for (std::uint16_t port = 2000; port < 2060; ++port)
        CHECK_FALSE(denied(port, syn, Tick{10'000'000}));
    world.take_slots(1, false);
    for (std::uint16_t port = 2000; port < 2060; ++port)
        CHECK_FALSE(denied(port, ack, Tick{10'000'000}));
}

TEST_CASE("a moved flow stays where it moved when the old backend returns", "[dataplane]") {
    World1 world(3);
    Worker1 worker;
    const auto placed = open_flows(worker, world.tables, 90);
    const World1 whole(3);
    world.take_slots(1, false);
    for (const auto& [port, backend] : placed)
        (void)worker.run(world.tables, client_frame(port));
    for (const auto& [port, backend] : placed) {
        REQUIRE(worker.run(whole.tables, client_frame(port)).action == Action::send);
        CHECK(backend_of(worker.sent) == (backend == 1 ? 2 : backend));
    }
}

TEST_CASE("without any live backend a flow is dropped and its entry waits", "[dataplane]") {
    World1 world(2);
    Worker1 worker;
    const auto placed = open_flows(worker, world.tables, 20);
    World1 dead(2);
    std::fill(dead.service->slots.begin(), dead.service->slots.end(), no_seat);
    for (BackendEntry& seat : dead.service->seats)
        seat.keeps_flows = false;
    dead.rebuild();
    for (const auto& [port, backend] : placed) {
        const Verdict verdict = worker.run(dead.tables, client_frame(port));
        CHECK(verdict.action == Action::drop);
        CHECK(verdict.reason == DropReason::no_backend);
    }
    for (const auto& [port, backend] : placed) {
        REQUIRE(worker.run(world.tables, client_frame(port)).action == Action::send);
        CHECK(backend_of(worker.sent) == backend);
    }
}

TEST_CASE("a SYN on a closed flow begins a new one by the table", "[dataplane]") {
    const auto closing = GENERATE(fin, rst);
    World1 world(2);
    Worker1 worker;
    const auto placed = open_flows(worker, world.tables, 40);
    for (const auto& [port, backend] : placed)
        (void)worker.run(world.tables, client_frame(port, closing));
    for (Seat& slot : world.service->slots)
        slot = static_cast<Seat>(1 - slot);
    world.rebuild();
    for (const auto& [port, backend] : placed) {
        REQUIRE(worker.run(world.tables, client_frame(port, ack)).action == Action::send);
        CHECK(backend_of(worker.sent) == backend);  // the last ACKs still find their way
        REQUIRE(worker.run(world.tables, client_frame(port, syn)).action == Action::send);
        CHECK(backend_of(worker.sent) == 1 - backend);
    }
    CHECK(worker.traffic->services[3].active_flows.read() == 40);
    CHECK(worker.traffic->services[3].new_flows.read() == 80);
}

TEST_CASE("flows expire by the timeout of their state", "[dataplane]") {
    World1 world(2);
    world.tables.timeouts = {.tcp_syn = 1000, .tcp_established = 100'000, .tcp_fin = 2000};
    Worker1 worker;
    (void)worker.run(world.tables, client_frame(1001, syn), Tick{0});
    (void)worker.run(world.tables, client_frame(1002, syn), Tick{0});
    (void)worker.run(world.tables, client_frame(1002, ack), Tick{10});
    (void)worker.run(world.tables, client_frame(1003, syn), Tick{0});
    (void)worker.run(world.tables, client_frame(1003, fin), Tick{10});
    const auto live = [&](Tick now) {
        worker.pipeline.sweep(worker.table.lines(), now);
        return worker.traffic->services[3].active_flows.read();
    };
    // In quarters of a second (expiry.hh), to whose end they live.
    CHECK(live(Tick{1023}) == 3);
    CHECK(live(Tick{1024}) == 2);
    CHECK(live(Tick{2047}) == 2);
    CHECK(live(Tick{2048}) == 1);
    // A deadline that was moved is a 64th later (deadlines.hh): six quarters here.
    CHECK(live(Tick{100'095 + 6 * 256}) == 1);
    CHECK(live(Tick{100'096 + 6 * 256}) == 0);
    CHECK(active(worker, 0) + active(worker, 1) == 0);
}

TEST_CASE("a full table goes on by hash, and established flows keep their entries",
          "[dataplane][fault-23]") {
    World1 world(2);
    Worker1 worker(64);
    const auto placed = open_flows(worker, world.tables, 30);
    int stateless = 0;
    for (int i = 0; i < 500; ++i) {
        const auto port = static_cast<std::uint16_t>(40000 + i);
        REQUIRE(worker.run(world.tables, client_frame(port, syn)).action == Action::send);
        const int first = backend_of(worker.sent);
        REQUIRE(worker.run(world.tables, client_frame(port, ack)).action == Action::send);
        CHECK(backend_of(worker.sent) == first);
    }
    stateless = static_cast<int>(worker.counters.flow_insert_failed.read());
    CHECK(stateless > 400);
    for (Seat& slot : world.service->slots)
        slot = static_cast<Seat>(1 - slot);
    world.rebuild();
    for (const auto& [port, backend] : placed) {
        REQUIRE(worker.run(world.tables, client_frame(port)).action == Action::send);
        CHECK(backend_of(worker.sent) == backend);
    }
}

TEST_CASE("a full table with when_full = drop-new drops new flows by name",
          "[dataplane][fault-23]") {
    World1 world(2);
    world.tables.when_full = WhenFull::drop_new;
    Worker1 worker(16);
    int dropped = 0;
    for (int i = 0; i < 200; ++i) {
        const Verdict verdict =
            worker.run(world.tables, client_frame(static_cast<std::uint16_t>(2000 + i), syn));
        if (verdict.action == Action::send) continue;
        CHECK(verdict.reason == DropReason::conntrack_full);
        ++dropped;
    }
    CHECK(dropped >= 184);
    CHECK(worker.counters.flow_insert_failed.read() == static_cast<std::uint64_t>(dropped));
}

TEST_CASE("a flow of a backend that left is picked anew and counted for its new one",
          "[dataplane]") {
    World1 world(2);
    Worker1 worker;
    const auto placed = open_flows(worker, world.tables, 20);
    for (Seat& slot : world.service->slots)
        slot = static_cast<Seat>(1 - slot);
    world.rebuild();
    world.tables.backends.assign(200, nullptr);
    for (const auto& [port, backend] : placed) {
        REQUIRE(worker.run(world.tables, client_frame(port)).action == Action::send);
        CHECK(backend_of(worker.sent) == 1 - backend);
    }
    CHECK(worker.traffic->services[3].active_flows.read() == 20);
}

TEST_CASE("an id that names a backend of another service is not followed", "[dataplane]") {
    World1 world(2), other(2);
    for (BackendEntry& seat : other.service->seats)
        seat.service = ServiceId{9};
    CHECK(world.tables.backend(BackendId{100}, ServiceId{3}) == &world.service->seats[0]);
    CHECK(world.tables.backend(BackendId{100}, ServiceId{9}) == nullptr);
    CHECK(other.tables.backend(BackendId{100}, ServiceId{9}) == &other.service->seats[0]);
    CHECK(world.tables.backend(BackendId{5000}, ServiceId{3}) == nullptr);
    CHECK(world.tables.backend(invalid_backend, ServiceId{3}) == nullptr);
}

TEST_CASE("a new flow that takes the place of an expired one keeps the counts true",
          "[dataplane]") {
    World1 world(2);
    world.tables.timeouts.tcp_syn = 1000;
    Worker1 worker(64);
    for (std::uint32_t round = 0; round < 10; ++round) {
        const Tick now{round * 5000};
        for (std::uint32_t i = 0; i < 300; ++i) {
            const auto port = static_cast<std::uint16_t>(1000 + round * 1000 + i);
            (void)worker.run(world.tables, client_frame(port, syn), now);
        }
        CHECK(worker.traffic->services[3].active_flows.read() == worker.table.size());
        CHECK(active(worker, 0) + active(worker, 1) == worker.table.size());
        CHECK(worker.traffic->services[3].new_flows.read() > 50U * (round + 1));
    }
    worker.pipeline.sweep(worker.table.lines(), Tick{100'000});
    CHECK(worker.traffic->services[3].active_flows.read() == 0);
}

TEST_CASE("an old flow whose place a new one took in the same burst goes to its own backend",
          "[dataplane]") {
    World1 world(4);
    Worker1 worker(300), alone(4096);
    Tick now{1000};
    const auto old_flow = [](unsigned i) { return static_cast<std::uint16_t>(1000 + i); };
    for (unsigned i = 0; worker.counters.flow_insert_failed.read() == 0; ++i)
        worker.run(world.tables, client_frame(old_flow(i), ack), now);
    now = now + world.tables.timeouts.tcp_syn + 1000;  // none is alive, all have their place
    for (unsigned round = 0; round < 30; ++round) {
        // New and old flows in turn, in one call.
        std::vector<Bytes> buffers;
        std::vector<Packet> packets;
        for (unsigned i = 0; i < 8; ++i) {
            for (const unsigned port : {20'000 + 8 * round + i, 1000 + 8 * round + i}) {
                const Bytes frame = client_frame(static_cast<std::uint16_t>(port), ack);
                buffers.emplace_back(64 + frame.size());
                std::copy(frame.begin(), frame.end(), buffers.back().begin() + 64);
                const auto length = static_cast<std::uint32_t>(frame.size());
                packets.push_back({.data = buffers.back().data() + 64,
                                   .contiguous = length,
                                   .length = length,
                                   .headroom = 64});
            }
        }
        std::vector<Bytes> clients;
        for (const Packet& packet : packets)
            clients.emplace_back(packet.data, packet.data + packet.length);
        std::vector<Verdict> verdicts(packets.size());
        worker.pipeline.process(world.tables, packets, verdicts, now);
        for (std::size_t i = 0; i < packets.size(); ++i) {
            REQUIRE(verdicts[i].action == Action::send);
            REQUIRE(alone.run(world.tables, clients[i], now).action == Action::send);
            CHECK(packets[i].data[5] == alone.sent[5]);
        }
    }
}
