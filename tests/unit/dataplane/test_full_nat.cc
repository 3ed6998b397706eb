// SPDX-License-Identifier: BSD-3-Clause
// Flows of a full-nat service: the backend sees an address and port of the pool, and answers there.
#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "lib/dataplane/lanes.hh"
#include "lib/dataplane/nat.hh"
#include "lib/dataplane/steer.hh"
#include "tests/unit/dataplane/full_nat_world.hh"

using namespace weir;
using namespace weir::test;

TEST_CASE("full-nat: the backend sees the pool, the client the VIP", "[dataplane][nat]") {
    FullNatWorld world;
    FullNatWorker worker;
    REQUIRE(worker.run(world.tables, client_frame(4711, syn)).is_sent());
    const Ends asked = ends_of(worker.sent);
    CHECK(asked.source == "10.0.0.32");
    CHECK(asked.from >= nat_first_port);
    CHECK(asked.to == backend_port);
    REQUIRE(worker.run(world.tables, answer_to(asked)).is_sent());
    CHECK(ends_of(worker.sent) == Ends{"203.0.113.10", "198.18.0.7", 80, 4711});
    // The flow keeps its port, and another has another one.
    REQUIRE(worker.run(world.tables, client_frame(4711, ack)).is_sent());
    CHECK(ends_of(worker.sent) == asked);
    REQUIRE(worker.run(world.tables, client_frame(4712, syn)).is_sent());
    CHECK(ends_of(worker.sent).from != asked.from);
}

TEST_CASE("full-nat: a reply in fragments, whichever comes first", "[dataplane][nat]") {
    FullNatWorld world;
    FullNatWorker worker;
    REQUIRE(worker.run(world.tables, client_frame(4711, syn)).is_sent());
    const Ends asked = ends_of(worker.sent);
    const Bytes segment = Tcp{.source = asked.to, .destination = asked.from} / filled(28);
    const auto piece = [&](std::uint16_t fragment, std::size_t begin, std::size_t end) {
        return Ethernet{.destination = our_mac, .source = backend_mac} /
               (Ip4{.source = asked.destination,
                    .destination = asked.source,
                    .fragment = fragment} /
                cut(segment, begin, end));
    };
    REQUIRE(worker.run(world.tables, piece(3, 24, 48)).action == Action::hold);
    REQUIRE(worker.run(world.tables, piece(0x2000, 0, 24)).is_sent());
    CHECK(ends_of(worker.sent) == Ends{"203.0.113.10", "198.18.0.7", 80, 4711});
    const auto released = worker.pipeline.released();
    REQUIRE(released.size() == 1);
    REQUIRE(worker.run(world.tables, piece(3, 24, 48), Tick{1000}, &released[0].ports).is_sent());
    CHECK(ends_of(worker.sent).source == "203.0.113.10");
    CHECK(ends_of(worker.sent).destination == "198.18.0.7");
    CHECK(cut(worker.sent, 34, worker.sent.size()) == cut(segment, 24, 48));
}

TEST_CASE("full-nat: a reply in fragments goes to the owner of its port", "[dataplane][nat]") {
    FullNatWorld world;
    constexpr std::uint32_t workers = 3;
    FullNatWorker worker(workers, WorkerPlace{HashSecret{{5, 6, 7, 8}}, 0, workers});
    unsigned others = 0;
    for (std::uint16_t port = nat_first_port; port < nat_first_port + 30; ++port) {
        const Bytes segment = Tcp{.source = backend_port, .destination = port} / filled(28);
        const Bytes first = Ethernet{.destination = our_mac, .source = backend_mac} /
                            (Ip4{.source = "10.0.0.11",
                                 .destination = "10.0.0.32",
                                 .id = port,
                                 .fragment = 0x2000} /
                             cut(segment, 0, 24));
        const Verdict verdict = worker.run(world.tables, first);
        const std::uint32_t owner = nat_port_owner(port, workers);
        CHECK((verdict.action == Action::hand_over) == (owner != 0));
        if (owner == 0) continue;
        ++others;
        CHECK(verdict.worker() == owner);
    }
    CHECK(others == 20);
}

TEST_CASE("full-nat: no burst is steered by flows alone", "[dataplane][nat]") {
    FullNatWorld world;
    const BurstSteering steering(3, HashSecret{{5, 6, 7, 8}});
    const Bytes frame = client_frame(4711, ack);
    const std::vector<const std::uint8_t*> frames(16, frame.data());
    std::array<std::uint32_t, max_burst> owners{};
    const auto known = [&] {
        return steering.quick(world.tables, frames, static_cast<std::uint32_t>(frame.size()),
                              PortId{0}, owners);
    };
    CHECK(known() == 0);
    world.tables.nat.reset();
    CHECK((known() == first_bits(16) || !lanes::available()));
}

TEST_CASE("full-nat: ICMP errors about a flow are told to each side as it knows the flow",
          "[dataplane][nat]") {
    FullNatWorld world;
    FullNatWorker worker;
    REQUIRE(worker.run(world.tables, client_frame(4711, syn)).is_sent());
    const Ends asked = ends_of(worker.sent);
    const auto about = [](const Ends& ends) {
        const Bytes start = Tcp{.source = ends.from, .destination = ends.to} / filled(4);
        return Ip4{.source = ends.source, .destination = ends.destination} / start;
    };
    const Ends answer{"203.0.113.10", "198.18.0.7", 80, 4711},
        at_backend{asked.destination, asked.source, asked.to, asked.from};
    const auto error = [](const std::string& from, const std::string& to, const Bytes& inside,
                          std::uint8_t ttl) {
        return Ip4{.source = from, .destination = to, .protocol = 1, .ttl = ttl} /
               sound_icmp(3, 4, 1400, inside);
    };
    const Ethernet in{.destination = our_mac, .source = backend_mac};
    // From the client's side, about an answer.
    REQUIRE(worker.run(world.tables, in / error("192.0.2.1", "203.0.113.10", about(answer), 64))
                .is_sent());
    const Bytes there(worker.sent.begin() + 14, worker.sent.end());
    CHECK(ends_of(worker.sent).source == "192.0.2.1");
    CHECK(ends_of(worker.sent).destination == asked.destination);
    CHECK(ends_of(Bytes(14) + Bytes(there.begin() + 28, there.end())) == at_backend);
    CHECK(internet_checksum(Bytes(there.begin() + 20, there.end())) == 0);
    CHECK(internet_checksum(Bytes(there.begin() + 28, there.begin() + 48)) == 0);
    // From the backend's side, about a request.
    REQUIRE(worker.run(world.tables, in / error("10.0.0.77", asked.source, about(asked), 64))
                .is_sent());
    const Bytes back(worker.sent.begin() + 14, worker.sent.end());
    CHECK(ends_of(worker.sent).source == "10.0.0.77");
    CHECK(ends_of(worker.sent).destination == "198.18.0.7");
    CHECK(ends_of(Bytes(14) + Bytes(back.begin() + 28, back.end())) ==
          Ends{"198.18.0.7", "203.0.113.10", 4711, 80});
    CHECK(internet_checksum(Bytes(back.begin() + 20, back.end())) == 0);
    // Whoever is not the flow's backend tells nothing about it.
    Ends other = asked;
    other.destination = "10.0.0.99";
    const Verdict verdict =
        worker.run(world.tables, in / error("10.0.0.77", asked.source, about(other), 64));
    CHECK(verdict.reason == DropReason::unknown_port);
}

TEST_CASE("full-nat: a pool without a free port drops by name, until flows end",
          "[dataplane][nat]") {
    FullNatWorld world;
    FullNatWorker worker;
    const std::uint32_t ports = worker.nat.capacity() / 2;
    for (std::uint32_t i = 0; i < ports; ++i)
        REQUIRE(worker.run(world.tables, client_frame(static_cast<std::uint16_t>(1 + i), syn))
                    .is_sent());
    const Verdict verdict = worker.run(world.tables, client_frame(20'000, syn));
    REQUIRE(verdict.action == Action::drop);
    CHECK(verdict.reason == DropReason::nat_ports_exhausted);
    // Those that have one go on.
    REQUIRE(worker.run(world.tables, client_frame(1, ack)).is_sent());
    const Tick late = Tick{1000} + 40'000;  // flows of one SYN are gone
    worker.nat.sweep(worker.nat.places(), late);
    CHECK(worker.nat.size() == 1);
    CHECK(worker.run(world.tables, client_frame(20'000, syn), late).is_sent());
}

TEST_CASE("full-nat: what no binding knows is dropped, whoever sends it", "[dataplane][nat]") {
    FullNatWorld world;
    FullNatWorker worker;
    const auto refused = [&](const Ends& asked) {
        const Verdict verdict = worker.run(world.tables, answer_to(asked));
        return verdict.action == Action::drop && verdict.reason == DropReason::unknown_port;
    };
    CHECK(refused({"10.0.0.32", "10.0.0.11", nat_first_port, backend_port}));
    REQUIRE(worker.run(world.tables, client_frame(1, syn)).is_sent());
    const Ends asked = ends_of(worker.sent);
    Ends other = asked;
    other.destination = "10.0.0.99";
    CHECK(refused(other));
    other = asked;
    other.to = 81;
    CHECK(refused(other));
    other = asked;
    other.from = 80;
    CHECK(refused(other));
    CHECK(worker.run(world.tables, answer_to(asked)).is_sent());
}

TEST_CASE("full-nat: a flow whose backend alone speaks lives on", "[dataplane][nat]") {
    FullNatWorld world;
    FullNatWorker worker;
    Tick now{1000};
    REQUIRE(worker.run(world.tables, client_frame(1, syn), now).is_sent());
    const Ends asked = ends_of(worker.sent);
    REQUIRE(worker.run(world.tables, client_frame(1, ack), now).is_sent());
    for (Seat seat = 0; seat < 3; ++seat)
        if (asked.destination == "10.0.0." + std::to_string(11 + seat))
            world.take_slots(seat, true);
    for (int minute = 0; minute < 120; minute += 10) {
        now = now + 600'000;
        REQUIRE(worker.run(world.tables, answer_to(asked), now).is_sent());
        worker.pipeline.sweep(worker.worker.table.lines(), now);
        worker.nat.sweep(worker.nat.places(), now);
    }
    REQUIRE(worker.run(world.tables, client_frame(1, ack), now).is_sent());
    CHECK(ends_of(worker.sent) == asked);
}

TEST_CASE("full-nat: a closed flow gives its port back soon", "[dataplane][nat]") {
    for (const std::uint8_t flags : {fin_ack, rst}) {
        FullNatWorld world;
        FullNatWorker worker;
        REQUIRE(worker.run(world.tables, client_frame(1, syn)).is_sent());
        const Ends asked = ends_of(worker.sent);
        REQUIRE(worker.run(world.tables, client_frame(1, ack)).is_sent());
        REQUIRE(worker.run(world.tables, answer_to(asked, flags)).is_sent());
        worker.nat.sweep(worker.nat.places(), Tick{1000} + 20'000);
        CHECK(worker.nat.size() == 1);
        worker.nat.sweep(worker.nat.places(), Tick{1000} + 40'000);
        CHECK(worker.nat.size() == 0);
    }
}

TEST_CASE("full-nat: when its backend goes away a flow goes to another by the same port",
          "[dataplane][nat]") {
    FullNatWorld world;
    FullNatWorker worker;
    REQUIRE(worker.run(world.tables, client_frame(1, syn)).is_sent());
    const Ends before = ends_of(worker.sent);
    for (Seat seat = 0; seat < 3; ++seat)
        if (before.destination == "10.0.0." + std::to_string(11 + seat))
            world.take_slots(seat, false);
    REQUIRE(worker.run(world.tables, client_frame(1, ack)).is_sent());
    const Ends after = ends_of(worker.sent);
    CHECK(after.from == before.from);
    CHECK(after.destination != before.destination);
    // The one that had it may not speak any more.
    CHECK(worker.run(world.tables, answer_to(before)).action == Action::drop);
    CHECK(worker.run(world.tables, answer_to(after)).is_sent());
}

TEST_CASE("full-nat: a reply goes to the worker that owns its port", "[dataplane][nat]") {
    const FullNatWorld world;
    for (const std::uint32_t workers : {2U, 3U, 7U}) {
        for (std::uint32_t port = 1024; port < 65'536; port += 97) {
            Bytes frame = answer_to(
                {"10.0.0.32", "10.0.0.11", static_cast<std::uint16_t>(port), backend_port});
            const auto length = static_cast<std::uint32_t>(frame.size());
            const Packet packet{.data = frame.data(), .contiguous = length, .length = length};
            const HashSecret secret{{5, 6, 7, 8}};
            const std::uint32_t owner = nat_port_owner(static_cast<std::uint16_t>(port), workers);
            REQUIRE(steer(world.tables, packet, workers, secret) == owner);
            REQUIRE(steer_parsed(world.tables, packet, workers, secret) == owner);
        }
    }
}

TEST_CASE("full-nat: a client on the port's own network is left to be looked up",
          "[dataplane][nat][stations]") {
    FullNatWorld world;
    FullNatWorker worker;
    REQUIRE(worker.run(world.tables, client_frame(4711, syn, "10.0.7.9")).is_sent());
    const Ends asked = ends_of(worker.sent);
    CHECK_FALSE(worker.pipeline.unknown_stations().take());  // requests need no way back
    CHECK(worker.run(world.tables, answer_to(asked)).reason == DropReason::no_neighbor);
    CHECK(worker.pipeline.unknown_stations().take() ==
          UnknownStation{PortId{0}, *parse_ip("10.0.7.9")});
    CHECK_FALSE(worker.pipeline.unknown_stations().take());
}
