// SPDX-License-Identifier: BSD-3-Clause
#include <random>
#include <set>

#include <catch2/catch.hpp>

#include "lib/dataplane/fragments.hh"
#include "lib/dataplane/steer.hh"
#include "tests/unit/dataplane/fixture.hh"

using namespace weir;
using namespace weir::test;

namespace {

Bytes segment_of(std::uint16_t source_port) {
    return Tcp{.source = source_port} / filled(44);
}

// Bytes [begin, end) of a segment of 64 bytes.
Bytes piece(const Bytes& segment, std::uint16_t id, std::size_t begin, std::size_t end) {
    const bool last = end == segment.size();
    return Ethernet{.destination = "02:00:00:00:00:05", .source = "02:00:00:00:00:c1"} /
           (Ip4{.destination = "203.0.113.10",
                .id = id,
                .fragment = static_cast<std::uint16_t>((last ? 0 : 0x2000) | begin / 8)} /
            cut(segment, begin, end));
}

// Where a frame that was sent went: its destination MAC.
Bytes next_hop(const Worker1& worker) {
    return {worker.sent.begin(), worker.sent.begin() + 6};
}

}  // namespace

TEST_CASE("fragments go where the whole packets of their flow go, through changes of the table",
          "[dataplane][fragments]") {
    World1 world(3);
    Worker1 worker;
    std::set<Bytes> hops;
    std::uint16_t id = 0;
    for (std::uint16_t port = 1000; port < 1200; ++port) {
        if (port == 1100) world.take_slots(0, true);  // its flows stay
        const Bytes segment = segment_of(port);
        const auto old_port = static_cast<std::uint16_t>(port - 100);
        for (const std::uint16_t source : {port, old_port}) {
            if (source < 1000) continue;
            const Bytes whole = segment_of(source);
            REQUIRE(worker.run(world.tables, client_frame(source)).action == Action::send);
            const Bytes hop = next_hop(worker);
            hops.insert(hop);
            ++id;
            for (const auto& [begin, end] : {std::pair{0u, 24u}, {24u, 48u}, {48u, 64u}}) {
                REQUIRE(worker.run(world.tables, piece(whole, id, begin, end)).action ==
                        Action::send);
                REQUIRE(next_hop(worker) == hop);
            }
        }
    }
    CHECK(hops.size() > 1);
}

TEST_CASE("fragments of a new flow make an entry for its whole packets", "[dataplane][fragments]") {
    World1 world(3);
    Worker1 worker;
    REQUIRE(worker.run(world.tables, piece(segment_of(1000), 1, 0, 24)).action == Action::send);
    CHECK(worker.table.size() == 1);
    CHECK(worker.traffic->services[index(world.service->id)].packets.read() == 1);
    REQUIRE(worker.run(world.tables, client_frame(1000)).action == Action::send);
    CHECK(worker.table.size() == 1);
}

TEST_CASE("the worker that has a datagram's fragments gives them to the owner of its flow",
          "[dataplane][fragments]") {
    constexpr std::uint8_t workers = 3;
    const HashSecret secret{{5, 6, 7, 8}};
    World1 world(3);
    std::set<int> owners;
    for (std::uint16_t port = 1000; port < 1100; ++port) {
        const Bytes segment = segment_of(port), whole = client_frame(port);
        Bytes frame = whole;
        const std::uint32_t owner =
            steer(world.tables,
                  Packet{.data = frame.data(),
                         .contiguous = static_cast<std::uint32_t>(frame.size()),
                         .length = static_cast<std::uint32_t>(frame.size())},
                  workers, secret);
        owners.insert(static_cast<int>(owner));
        for (std::uint8_t self = 0; self < workers; ++self) {
            Worker1 worker(1024, Pipeline::Lanes::where_available, {secret, self, workers});
            const Verdict later = worker.run(world.tables, piece(segment, 9, 24, 64));
            REQUIRE(later.action == Action::hold);
            const Verdict first = worker.run(world.tables, piece(segment, 9, 0, 24));
            const auto released = worker.pipeline.released();
            REQUIRE(released.size() == 1);
            CHECK(released[0].slot == later.slot());
            CHECK(released[0].ports == FragmentPorts{port, 80, proto_tcp});
            if (self == owner) {
                CHECK(first.action == Action::send);
                continue;
            }
            REQUIRE(first.action == Action::hand_over);
            CHECK(first.worker() == owner);
            CHECK(worker.pipeline.ports_of(0) == FragmentPorts{port, 80, proto_tcp});
            CHECK(worker.table.size() == 0);
        }
    }
    CHECK(owners.size() == workers);
}

TEST_CASE("first and later fragments over IPv6 have one owner, whatever headers the first one has",
          "[dataplane][steer]") {
    const HashSecret secret{{1, 2, 3, 4}};
    const World1 world(3);
    std::mt19937 random(7);
    for (int i = 0; i < 100; ++i) {
        const std::string source = "2001:db8:7::" + std::to_string(1 + random() % 9999);
        const auto owner = [&](std::uint16_t offset, const Bytes& payload) {
            Bytes frame = Ethernet{.destination = "02:00:00:00:00:05",
                                   .source = "02:00:00:00:00:c1",
                                   .type = 0x86dd} /
                          (Ip6{.source = source, .destination = "2001:db8:443::10", .next = 44} /
                           (fragment_header(60, offset, offset == 0) + payload));
            return steer(world.tables,
                         Packet{.data = frame.data(),
                                .contiguous = static_cast<std::uint32_t>(frame.size()),
                                .length = static_cast<std::uint32_t>(frame.size())},
                         7, secret);
        };
        CHECK(owner(0, extension(17) + (Udp{} / filled(8))) == owner(3, filled(16)));
    }
}
