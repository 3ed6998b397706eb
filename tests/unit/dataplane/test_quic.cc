// SPDX-License-Identifier: BSD-3-Clause
// A QUIC packet goes where its connection ID says; flows have the rest.
#include <catch2/catch.hpp>

#include "tests/unit/balance/quic_cid.hh"
#include "tests/unit/dataplane/fixture.hh"

using namespace weir;
using namespace weir::test;

namespace {

constexpr std::uint32_t second = 1000;

const QuicLbConfig clear{0, 2, 4, std::nullopt};
const QuicLbConfig keyed{5, 2, 8,
                         Aes128::Key{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

CidBytes server_id(int backend) {
    return {0xb0, static_cast<std::uint8_t>(backend)};
}
Bytes cid_of(int backend, const QuicLbConfig& config = clear) {
    return make_cid(config, server_id(backend), CidBytes(config.nonce_length, 0x77));
}
const Bytes unroutable{0xe7, 1, 2, 3, 4, 5, 6, 7};

// The service on UDP port 443; its backends have server IDs, but for the last one.
struct QuicWorld : World1 {
    explicit QuicWorld(std::size_t backends, Forward forward = Forward::dsr_l2)
        : World1(backends, forward) {
        service->key.protocol = ServiceProtocol::udp;
        service->key.first_port = service->key.last_port = 443;
        std::vector<QuicLb::Server> servers;
        for (std::size_t i = 0; i + 1 < backends; ++i)
            servers.push_back({block_of(server_id(static_cast<int>(i))), static_cast<Seat>(i)});
        const QuicLbConfig configs[] = {clear, keyed};
        service->quic = std::make_shared<const QuicLb>(configs, servers);
        rebuild();
    }
};

Bytes quic_frame(std::uint16_t source_port, const Bytes& cid,
                 const std::string& source = "198.18.0.7") {
    return Ethernet{.destination = "02:00:00:00:00:05", .source = "02:00:00:00:00:c1"} /
           (Ip4{.source = source, .destination = "203.0.113.10", .protocol = 17} /
            (Udp{.source = source_port, .destination = 443} / (Bytes{0x40} + cid + filled(20))));
}

int backend_of(const Bytes& sent) {
    return sent.at(5) - 11;
}
int send_to(Worker1& worker, const Tables& tables, const Bytes& frame, Tick now = Tick{1000}) {
    REQUIRE(worker.run(tables, frame, now).action == Action::send);
    return backend_of(worker.sent);
}
std::uint64_t active(const Worker1& worker, int backend) {
    return worker.traffic->backends[static_cast<std::size_t>(100 + backend)].active_flows.read();
}

}  // namespace

TEST_CASE("quic: a connection stays with its server wherever its client is", "[dataplane][quic]") {
    const QuicWorld world(5);
    Worker1 worker;
    for (int backend = 0; backend < 4; ++backend) {
        for (const QuicLbConfig& config : {clear, keyed}) {
            const Bytes cid = cid_of(backend, config);
            for (std::uint16_t port = 20000; port < 20020; ++port)
                CHECK(send_to(worker, world.tables, quic_frame(port, cid)) == backend);
            for (const char* source : {"198.18.0.8", "192.0.2.1", "198.18.200.9"})
                CHECK(send_to(worker, world.tables, quic_frame(20000, cid, source)) == backend);
        }
    }
}

TEST_CASE("quic: what names no server goes by its flow as without connection IDs",
          "[dataplane][quic]") {
    QuicWorld world(5), without(5);
    without.service->quic = nullptr;
    without.rebuild();
    Worker1 worker, other;
    std::array<int, 5> seen{};
    for (std::uint16_t port = 20000; port < 20200; ++port) {
        const Bytes frame = quic_frame(port, port % 2 == 0 ? unroutable : cid_of(4));
        const int backend = send_to(worker, world.tables, frame);
        CHECK(backend == send_to(other, without.tables, frame));
        ++seen[static_cast<std::size_t>(backend)];
    }
    for (const int count : seen)
        CHECK(count > 0);
    // The table changes; flows stay.
    Seat last = 0;
    for (Seat& slot : world.service->slots)
        slot = last++ % 2;
    without.service->slots = world.service->slots;
    world.rebuild();
    without.rebuild();
    for (std::uint16_t port = 20000; port < 20200; port = static_cast<std::uint16_t>(port + 2)) {
        const Bytes frame = quic_frame(port, unroutable);
        CHECK(send_to(worker, world.tables, frame) == send_to(other, without.tables, frame));
    }
}

TEST_CASE("quic: a flow is its first backend's while that is alive", "[dataplane][quic]") {
    QuicWorld world(3);
    Worker1 worker;
    for (Seat& slot : world.service->slots)
        slot = 2;
    world.rebuild();
    CHECK(send_to(worker, world.tables, quic_frame(20000, unroutable)) == 2);
    CHECK(active(worker, 2) == 1);
    CHECK(send_to(worker, world.tables, quic_frame(20000, cid_of(0))) == 0);
    CHECK(send_to(worker, world.tables, quic_frame(20000, cid_of(1))) == 1);
    CHECK(send_to(worker, world.tables, quic_frame(20000, unroutable)) == 2);
    CHECK(active(worker, 0) == 0);
    CHECK(active(worker, 1) == 0);
    CHECK(active(worker, 2) == 1);
    // What goes elsewhere does not prolong it: after its time the next connection has the flow.
    const std::uint32_t timeout = world.tables.timeouts.udp;
    for (std::uint32_t time = 1000; time <= 1000 + timeout + 5 * second; time += 5 * second)
        CHECK(send_to(worker, world.tables, quic_frame(20000, cid_of(0)), Tick{time}) == 0);
    const Tick after{1000 + timeout + 5 * second};
    CHECK(send_to(worker, world.tables, quic_frame(20000, unroutable), after) == 0);
    CHECK(active(worker, 0) == 1);
    CHECK(active(worker, 2) == 0);
}

TEST_CASE("quic: a flow that a connection ID began lives on by it", "[dataplane][quic]") {
    QuicWorld world(3);
    Worker1 worker;
    for (Seat& slot : world.service->slots)
        slot = 2;
    world.rebuild();
    const std::uint32_t timeout = world.tables.timeouts.udp;
    for (std::uint32_t i = 0; i < 10; ++i)
        CHECK(send_to(worker, world.tables, quic_frame(20000, cid_of(1)),
                      Tick{1000 + i * timeout / 2}) == 1);
    CHECK(active(worker, 1) == 1);
    CHECK(worker.traffic->backends[101].new_flows.read() == 1);
    CHECK(send_to(worker, world.tables, quic_frame(20000, unroutable), Tick{1000 + 5 * timeout}) ==
          1);
}

TEST_CASE("quic: a draining server keeps its connections, one that is down has none",
          "[dataplane][quic]") {
    QuicWorld world(4);
    Worker1 worker;
    world.take_slots(1, true);
    for (std::uint16_t port = 20000; port < 20050; ++port) {
        CHECK(send_to(worker, world.tables, quic_frame(port, cid_of(1))) == 1);
        CHECK(send_to(worker, world.tables,
                      quic_frame(static_cast<std::uint16_t>(port + 100), unroutable)) != 1);
    }
    world.take_slots(1, false);
    std::array<int, 4> seen{};
    for (std::uint16_t port = 20000; port < 20050; ++port)
        ++seen[static_cast<std::size_t>(
            send_to(worker, world.tables, quic_frame(port, cid_of(1))))];
    CHECK(seen[1] == 0);
    CHECK(active(worker, 1) == 0);
    CHECK(seen[0] + seen[2] + seen[3] == 50);
    // It is up again: its connections are its own at once.
    world.service->seats[1].keeps_flows = true;
    world.rebuild();
    for (std::uint16_t port = 20000; port < 20050; ++port)
        CHECK(send_to(worker, world.tables, quic_frame(port, cid_of(1))) == 1);
}

TEST_CASE("quic: packets of a burst are decided in their order", "[dataplane][quic]") {
    QuicWorld world(3);
    for (Seat& slot : world.service->slots)
        slot = 2;
    world.rebuild();
    // By threes: a flow that a connection ID begins; one that it does not; one that it never names.
    std::vector<Bytes> frames;
    std::vector<int> expected;
    for (std::uint16_t i = 0; i < 10; ++i) {
        const auto port = static_cast<std::uint16_t>(20000 + 10 * i);
        const auto one = [&](int flow, const Bytes& cid, int backend) {
            frames.push_back(quic_frame(static_cast<std::uint16_t>(port + flow), cid));
            expected.push_back(backend);
        };
        one(0, cid_of(0), 0);
        one(1, unroutable, 2);
        one(0, unroutable, 0);
        one(1, cid_of(1, keyed), 1);
        one(2, unroutable, 2);
        one(1, unroutable, 2);
    }
    for (const auto lanes : {Pipeline::Lanes::where_available, Pipeline::Lanes::never}) {
        Worker1 worker(1024, lanes);
        std::vector<Bytes> buffers;
        std::vector<Packet> packets;
        for (const Bytes& frame : frames) {
            buffers.push_back(filled(128) + frame);
            packets.push_back({.data = buffers.back().data() + 128,
                               .contiguous = static_cast<std::uint32_t>(frame.size()),
                               .length = static_cast<std::uint32_t>(frame.size()),
                               .headroom = 128});
        }
        std::vector<Verdict> verdicts(packets.size());
        worker.pipeline.process(world.tables, packets, verdicts, Tick{1000});
        for (std::size_t i = 0; i < packets.size(); ++i) {
            INFO("packet " << i);
            REQUIRE(verdicts[i].action == Action::send);
            CHECK(packets[i].data[5] - 11 == expected[i]);
        }
    }
}

TEST_CASE("quic: a full connection table stops no connection that names its server",
          "[dataplane][quic]") {
    QuicWorld world(3);
    world.tables.when_full = WhenFull::drop_new;
    Worker1 worker(64);
    std::size_t refused = 0;
    for (std::uint16_t port = 20000; port < 20500; ++port)
        refused += worker.run(world.tables, quic_frame(port, unroutable)).action == Action::drop;
    REQUIRE(refused > 100);
    for (std::uint16_t port = 30000; port < 30500; ++port)
        CHECK(send_to(worker, world.tables, quic_frame(port, cid_of(1))) == 1);
}

TEST_CASE("quic: only contiguous bytes of the datagram are read", "[dataplane][quic]") {
    QuicWorld world(3);
    for (Seat& slot : world.service->slots)
        slot = 2;
    world.rebuild();
    Worker1 worker;
    const Bytes frame = quic_frame(20000, cid_of(0));
    const std::size_t udp_end = 14 + 20 + 8, needed = udp_end + 1 + 1 + 2 + 4;
    for (std::size_t there = udp_end; there <= frame.size(); ++there) {
        const std::unique_ptr<std::uint8_t[]> buffer(new std::uint8_t[128 + there]);
        std::copy_n(frame.begin(), there, buffer.get() + 128);
        buffer[128 + 35] = static_cast<std::uint8_t>(there);  // another client port
        Packet packet{.data = buffer.get() + 128,
                      .contiguous = static_cast<std::uint32_t>(there),
                      .length = static_cast<std::uint32_t>(frame.size()),
                      .headroom = 128};
        Verdict verdict;
        worker.pipeline.process(world.tables, {&packet, 1}, {&verdict, 1}, Tick{1000});
        REQUIRE(verdict.action == Action::send);
        CHECK(packet.data[5] - 11 == (there >= needed ? 0 : 2));
    }
}
