// SPDX-License-Identifier: BSD-3-Clause
// The pipeline around the flow table: what stops a packet late, bursts, counters.
#include <algorithm>
#include <random>
#include <set>
#include <vector>

#include <catch2/catch.hpp>

#include "tests/unit/dataplane/fixture.hh"

using namespace weir;
using namespace weir::test;

TEST_CASE("process: workers never choose the same identification, also where it wraps",
          "[dataplane]") {
    for (std::uint8_t workers = 1; workers <= 5; ++workers) {
        for (const std::uint32_t any : {0u, 0x5555u, 0x3fff'ffffu, 0x5555'5555u, 0xffff'ffffu}) {
            std::vector<int> owner(0x10000, -1);
            for (std::uint8_t worker = 0; worker < workers; ++worker) {
                const WorkerPlace place{{}, worker, workers};
                const std::uint32_t first = place.own_id(any + worker * 0x2a2a'2a2bu);
                PacketIds ids(first, place.id_step());
                std::uint32_t id = first;
                for (int i = 0; i < 0x4000; ++i, id += place.id_step()) {
                    for (const auto chosen : {ids.next(), static_cast<std::uint16_t>(id)}) {
                        if (owner[chosen] != -1 && owner[chosen] != worker)
                            FAIL(int{worker} << " of " << int{workers} << " workers: " << chosen);
                        owner[chosen] = worker;
                    }
                }
            }
            CHECK(std::ranges::count(owner, -1) <= 0x10000 - 0x4000);
        }
    }
}

TEST_CASE("a backend without a resolved neighbour drops as no_neighbor", "[dataplane]") {
    World1 world(1);
    world.tables.next_hops[0] = make_next_hop(PortId{0}, world.tables.ports[0], nullptr);
    Worker1 worker;
    const Bytes frame = client_frame(1234);
    const Verdict verdict = worker.run(world.tables, frame);
    CHECK(verdict.action == Action::drop);
    CHECK(verdict.reason == DropReason::no_neighbor);
    CHECK(worker.sent == frame);
    CHECK(worker.traffic->backends[100].packets.read() == 0);
}

TEST_CASE("packets go once the neighbour is resolved", "[dataplane]") {
    World1 world(1);
    const NextHop known = world.tables.next_hops[0];
    world.tables.next_hops[0] = make_next_hop(PortId{0}, world.tables.ports[0], nullptr);
    Worker1 worker;
    CHECK(worker.run(world.tables, client_frame(1234)).reason == DropReason::no_neighbor);
    Tables next = world.tables;
    next.next_hops[0] = known;
    CHECK(worker.run(next, client_frame(1234)).action == Action::send);
    CHECK(worker.run(world.tables, client_frame(1234)).reason == DropReason::no_neighbor);
}

TEST_CASE("a backend without an egress port drops as no_route", "[dataplane]") {
    World1 world(1);
    world.service->seats[0].next_hop = invalid_next_hop;
    Worker1 worker;
    CHECK(worker.run(world.tables, client_frame(1234)).reason == DropReason::no_route);
}

TEST_CASE("too little headroom for the tunnel header drops as no_headroom",
          "[dataplane][fault-12]") {
    World1 world(1, Forward::ipip);
    Worker1 worker;
    const Bytes frame = client_frame(1234);
    const Verdict tight = worker.run(world.tables, frame, Tick{0}, 19);
    CHECK(tight.action == Action::drop);
    CHECK(tight.reason == DropReason::no_headroom);
    CHECK(worker.sent == frame);
    CHECK(worker.run(world.tables, frame, Tick{0}, 20).action == Action::send);
    CHECK(worker.sent.size() == frame.size() + 20);
}

TEST_CASE("replies to probes have a punt class of their own", "[dataplane]") {
    World1 world(1);
    Worker1 worker;
    const auto reply = [&](const std::string& source, std::uint16_t port) {
        const Bytes frame =
            Ethernet{.destination = "02:00:00:00:00:05", .source = "02:00:00:00:00:c1"} /
            (Ip4{.source = source, .destination = "10.0.0.5"} /
             (Tcp{.source = port, .destination = 50000, .flags = 0x12} / Bytes{}));
        const Verdict verdict = worker.run(world.tables, frame);
        CHECK(verdict.action == Action::punt);
        return verdict.punt_class;
    };
    CHECK(reply("10.0.0.11", 8080) == PuntClass::probe_reply);
    CHECK(reply("10.0.0.11", 8081) == PuntClass::other);
    CHECK(reply("10.0.0.12", 8080) == PuntClass::other);
}

TEST_CASE("without a TAP what is for the kernel drops as no_exception_path", "[dataplane]") {
    World1 world(1);
    world.tables.ports[0].has_tap = false;
    Worker1 worker;
    const Bytes arp =
        Ethernet{
            .destination = "ff:ff:ff:ff:ff:ff", .source = "02:00:00:00:00:c1", .type = 0x0806} /
        filled(46, 0);
    CHECK(worker.run(world.tables, arp).reason == DropReason::no_exception_path);
}

TEST_CASE("a burst gives the verdicts that its packets get one by one", "[dataplane][property]") {
    World1 world(3);
    Worker1 together(4096), single(4096);
    std::mt19937 random(7);
    for (int round = 0; round < 200; ++round) {
        const std::size_t count = 1 + random() % max_burst;
        std::vector<Bytes> frames;
        for (std::size_t i = 0; i < count; ++i) {
            Bytes frame = client_frame(static_cast<std::uint16_t>(1000 + random() % 500),
                                       random() % 4 == 0 ? 0x02 : 0x10);
            if (random() % 5 == 0) frame[random() % frame.size()] ^= 0xff;
            frames.push_back(frame);
        }
        std::vector<Packet> packets;
        std::vector<Bytes> buffers(count);
        for (std::size_t i = 0; i < count; ++i) {
            buffers[i] = filled(64, 0) + frames[i];
            packets.push_back({.data = buffers[i].data() + 64,
                               .contiguous = static_cast<std::uint32_t>(frames[i].size()),
                               .length = static_cast<std::uint32_t>(frames[i].size()),
                               .headroom = 64});
        }
        std::vector<Verdict> verdicts(count);
        together.pipeline.process(world.tables, packets, verdicts, Tick{1});
        for (std::size_t i = 0; i < count; ++i) {
            const Verdict one = single.run(world.tables, frames[i], Tick{1});
            REQUIRE(verdicts[i].action == one.action);
            if (one.action == Action::drop) REQUIRE(verdicts[i].reason == one.reason);
            REQUIRE(Bytes(packets[i].data, packets[i].data + packets[i].length) == single.sent);
        }
    }
    CHECK(together.traffic->services[3].packets.read() ==
          single.traffic->services[3].packets.read());
    CHECK(together.traffic->services[3].active_flows.read() ==
          single.traffic->services[3].active_flows.read());
}

TEST_CASE("service and backend counters agree with what was sent", "[dataplane]") {
    World1 world(3);
    Worker1 worker;
    std::uint64_t bytes = 0;
    for (int i = 0; i < 100; ++i) {
        const Bytes frame = client_frame(static_cast<std::uint16_t>(3000 + i));
        REQUIRE(worker.run(world.tables, frame).action == Action::send);
        bytes += frame.size() - 14;
    }
    std::uint64_t packets = 0, backend_bytes = 0;
    for (std::size_t id = 100; id < 103; ++id) {
        packets += worker.traffic->backends[id].packets.read();
        backend_bytes += worker.traffic->backends[id].bytes.read();
    }
    CHECK(packets == 100);
    CHECK(backend_bytes == bytes);
    CHECK(worker.traffic->services[3].packets.read() == 100);
    CHECK(worker.traffic->services[3].bytes.read() == bytes);
}

TEST_CASE("every drop reason has its own name and a sentence", "[dataplane]") {
    std::set<std::string_view> names;
    for (const DropReasonText& text : drop_reasons) {
        CHECK(names.insert(text.name).second);
        CHECK(text.help.size() > 20);
        CHECK(text.help.back() == '.');
    }
    CHECK(names.size() == drop_reason_count);
    CHECK(drop_reasons[static_cast<std::size_t>(DropReason::no_backend)].name == "no_backend");
    CHECK(drop_reasons[static_cast<std::size_t>(DropReason::mbuf_exhausted)].name ==
          "mbuf_exhausted");
}

TEST_CASE("process: GUE's source port is the flow's own, and flows spread over it",
          "[dataplane][property]") {
    World1 world(1, Forward::gue);
    Worker1 worker(8192);
    std::set<std::uint16_t> ports;
    constexpr std::uint16_t flows = 4000;
    const auto port_of = [&](std::uint16_t flow) {
        REQUIRE(worker.run(world.tables, client_frame(flow)).action == Action::send);
        return static_cast<std::uint16_t>(worker.sent.at(34) << 8 | worker.sent.at(35));
    };
    for (std::uint16_t flow = 1; flow <= flows; ++flow) {
        const std::uint16_t port = port_of(flow);
        REQUIRE(port >= 49152);
        REQUIRE(port == port_of(flow));
        ports.insert(port);
    }
    // Of 16384 ports, 4000 random choices hit about 3550.
    CHECK(ports.size() > 3300);
}
