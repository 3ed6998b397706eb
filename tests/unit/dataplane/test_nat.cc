// SPDX-License-Identifier: BSD-3-Clause
// Flows of a nat service: both directions on one worker, one entry that follows both.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "lib/dataplane/nat.hh"
#include "lib/dataplane/steer.hh"
#include "tests/unit/dataplane/fixture.hh"

using namespace weir;
using namespace weir::test;

namespace {

const std::string our_mac = "02:00:00:00:00:05", backend_mac = "02:00:00:00:01:0b",
                  gateway_mac = "02:00:00:00:00:01";
constexpr std::uint16_t backend_port = 8080;

// World1's service with translation; clients are behind a gateway.
struct NatWorld : World1 {
    NatWorld() : World1(3, Forward::nat) {
        std::vector<NatTables::Backend> backends;
        for (BackendEntry& seat : service->seats) {
            seat.rewrite = Rewrite::nat;
            seat.settle();
            const auto number = std::to_string(11 + index(seat.id) - 100);
            backends.push_back(
                {seat.id, 0, service->key, {*parse_ip("10.0.0." + number), backend_port}});
        }
        const MacAddress gateway = *parse_mac(gateway_mac);
        const auto number = static_cast<std::uint32_t>(tables.next_hops.size());
        tables.next_hops.push_back(make_next_hop(PortId{0}, tables.ports[0], &gateway));
        tables.nat =
            std::make_shared<const NatTables>(backends, std::vector<IpAddress>{},
                                              Routes({{*parse_prefix("10.0.0.5/16"), PortId{0}}},
                                                     {}, NextHopId{number}, invalid_next_hop));
        rebuild();
    }
};

// The address in a frame without VLAN tag and IPv4 options: where a request went, and whence.
std::string address_in(const Bytes& frame, std::size_t at) {
    IpAddress address;
    std::copy_n(frame.begin() + static_cast<std::ptrdiff_t>(at), 4, address.bytes.begin());
    return to_string(address);
}
std::string destination_of(const Bytes& frame) {
    return address_in(frame, 14 + 16);
}
unsigned port_in(const Bytes& frame, std::size_t at) {
    return static_cast<unsigned>(frame.at(at) << 8 | frame.at(at + 1));
}

Bytes reply_frame(const std::string& backend, std::uint16_t client_port,
                  std::uint8_t flags = 0x10) {
    return Ethernet{.destination = our_mac, .source = backend_mac} /
           (Ip4{.source = backend, .destination = "198.18.0.7"} /
            (Tcp{.source = backend_port, .destination = client_port, .flags = flags} / filled(10)));
}

std::vector<FlowRecord> entries(const Worker1& worker, Tick now) {
    std::vector<FlowRecord> all(64);
    std::uint32_t cursor = 0;
    std::size_t count = 0;
    while (cursor < worker.table.lines())
        count += worker.table.copy(cursor, std::span(all).subspan(count), now);
    all.resize(count);
    return all;
}

constexpr std::uint8_t syn = 0x02, syn_ack = 0x12, ack = 0x10, fin_ack = 0x11, rst = 0x04;

}  // namespace

TEST_CASE("nat: request and reply are each other's inverse", "[dataplane][nat]") {
    NatWorld world;
    Worker1 worker;
    const Bytes request = client_frame(4711, syn);
    REQUIRE(worker.run(world.tables, request).is_sent());
    const Bytes there = worker.sent;
    const std::string backend = destination_of(there);
    CHECK(port_in(there, 14 + 22) == backend_port);
    REQUIRE(worker.run(world.tables, reply_frame(backend, 4711, syn_ack)).is_sent());
    CHECK(address_in(worker.sent, 14 + 12) == "203.0.113.10");
    CHECK(port_in(worker.sent, 14 + 20) == 80);
    CHECK(destination_of(worker.sent) == "198.18.0.7");
    CHECK(port_in(worker.sent, 14 + 22) == 4711);
    CHECK(Bytes(worker.sent.begin(), worker.sent.begin() + 6) == mac(gateway_mac));
}

TEST_CASE("nat: a flow whose backend alone speaks lives on", "[dataplane][nat]") {
    NatWorld world;
    Worker1 worker;
    Tick now{1000};
    REQUIRE(worker.run(world.tables, client_frame(1, syn), now).is_sent());
    const std::string backend = destination_of(worker.sent);
    REQUIRE(worker.run(world.tables, client_frame(1, ack), now).is_sent());
    // Its slots go to others: only the entry can name this backend any more.
    for (Seat seat = 0; seat < 3; ++seat)
        if (backend == "10.0.0." + std::to_string(11 + seat)) world.take_slots(seat, true);
    for (int minute = 0; minute < 120; minute += 10) {
        now = now + 600'000;
        REQUIRE(worker.run(world.tables, reply_frame(backend, 1), now).is_sent());
        worker.pipeline.sweep(worker.table.lines(), now);
    }
    REQUIRE(worker.run(world.tables, client_frame(1, ack), now).is_sent());
    CHECK(destination_of(worker.sent) == backend);
    // And without a word from either side it ends.
    now = now + 1'000'000;
    REQUIRE(worker.run(world.tables, client_frame(1, ack), now).is_sent());
    CHECK(destination_of(worker.sent) != backend);
}

TEST_CASE("nat: the state follows both sides", "[dataplane][nat]") {
    const auto after = [](std::vector<std::uint8_t> reply_flags) {
        NatWorld world;
        Worker1 worker;
        REQUIRE(worker.run(world.tables, client_frame(1, syn)).is_sent());
        const std::string backend = destination_of(worker.sent);
        for (const std::uint8_t flags : reply_flags)
            REQUIRE(worker.run(world.tables, reply_frame(backend, 1, flags)).is_sent());
        return entries(worker, Tick{1000}).at(0).state;
    };
    CHECK(after({}) == FlowState::syn);
    CHECK(after({syn_ack}) == FlowState::syn);
    CHECK(after({syn_ack, ack}) == FlowState::established);
    CHECK(after({syn_ack, ack, fin_ack}) == FlowState::fin);
    CHECK(after({rst}) == FlowState::fin);
}

TEST_CASE("nat: replies make no entries, and touch none of another backend", "[dataplane][nat]") {
    NatWorld world;
    Worker1 worker;
    REQUIRE(worker.run(world.tables, reply_frame("10.0.0.11", 7)).is_sent());
    CHECK(worker.table.size() == 0);
    REQUIRE(worker.run(world.tables, client_frame(7, syn)).is_sent());
    const std::string backend = destination_of(worker.sent);
    for (const std::string other : {"10.0.0.11", "10.0.0.12", "10.0.0.13"}) {
        if (other == backend) continue;
        REQUIRE(worker.run(world.tables, reply_frame(other, 7, rst)).is_sent());
    }
    CHECK(entries(worker, Tick{1000}).at(0).state == FlowState::syn);
    CHECK(worker.table.size() == 1);
}

TEST_CASE("nat: an expired entry stays expired when the backend speaks", "[dataplane][nat]") {
    NatWorld world;
    Worker1 worker;
    REQUIRE(worker.run(world.tables, client_frame(1, syn)).is_sent());
    const std::string backend = destination_of(worker.sent);
    const Tick late = Tick{1000} + 100'000;
    REQUIRE(worker.run(world.tables, reply_frame(backend, 1), late).is_sent());
    CHECK(entries(worker, late).empty());
}

TEST_CASE("nat: a reply has the owner of the client's packets", "[dataplane][nat][property]") {
    const NatWorld world;
    const HashSecret secret{{5, 6, 7, 8}};
    const auto owner = [&](Bytes frame, std::uint32_t workers, bool quick) {
        const auto length = static_cast<std::uint32_t>(frame.size());
        const Packet packet{.data = frame.data(), .contiguous = length, .length = length};
        return quick ? steer(world.tables, packet, workers, secret)
                     : steer_parsed(world.tables, packet, workers, secret);
    };
    for (const std::uint32_t workers : {2U, 3U, 7U, 65'521U}) {
        for (std::uint16_t port = 1; port < 500; ++port) {
            for (const bool quick : {true, false}) {
                const std::uint32_t own = owner(client_frame(port), workers, quick);
                REQUIRE(owner(reply_frame("10.0.0.11", port), workers, quick) == own);
                REQUIRE(owner(reply_frame("10.0.0.13", port, syn_ack), workers, quick) == own);
            }
        }
    }
    // What is no reply is a flow of its own: from another station, or to us.
    unsigned same = 0;
    for (std::uint16_t port = 1; port < 500; ++port)
        same += owner(reply_frame("10.0.0.99", port), 65'521, true) ==
                        owner(client_frame(port), 65'521, true)
                    ? 1
                    : 0;
    CHECK(same < 5);
}

TEST_CASE("nat: a client on the port's own network is left to be looked up, and then reached",
          "[dataplane][nat][stations]") {
    NatWorld world;
    Worker1 worker;
    StationMailbox& mailbox = worker.pipeline.unknown_stations();
    const IpAddress client = *parse_ip("10.0.7.9");
    const Bytes reply = Ethernet{.destination = our_mac, .source = backend_mac} /
                        (Ip4{.source = "10.0.0.11", .destination = to_string(client)} /
                         (Tcp{.source = backend_port, .destination = 4711} / filled(10)));
    const Verdict unknown = worker.run(world.tables, reply);
    CHECK(unknown.action == Action::drop);
    CHECK(unknown.reason == DropReason::no_neighbor);
    CHECK(worker.sent == reply);
    CHECK(mailbox.take() == UnknownStation{PortId{0}, client});
    CHECK_FALSE(mailbox.take());

    // In the tables but not resolved: somebody asks for it already.
    const auto number = NextHopId{static_cast<std::uint32_t>(world.tables.next_hops.size())};
    world.tables.next_hops.push_back(make_next_hop(PortId{0}, world.tables.ports[0], nullptr));
    const Routes::Station station{PortId{0}, client, number};
    world.tables.nat = std::make_shared<const NatTables>(
        world.tables.nat->with(Routes({{*parse_prefix("10.0.0.5/16"), PortId{0}}}, {&station, 1},
                                      invalid_next_hop, invalid_next_hop)));
    CHECK(worker.run(world.tables, reply).reason == DropReason::no_neighbor);
    CHECK_FALSE(mailbox.take());

    const MacAddress found = *parse_mac("02:00:00:00:07:09");
    world.tables.next_hops.back() = make_next_hop(PortId{0}, world.tables.ports[0], &found);
    REQUIRE(worker.run(world.tables, reply).is_sent());
    CHECK(Bytes(worker.sent.begin(), worker.sent.begin() + 6) == mac("02:00:00:00:07:09"));
    CHECK(address_in(worker.sent, 14 + 12) == "203.0.113.10");
    CHECK(destination_of(worker.sent) == "10.0.7.9");
    CHECK_FALSE(mailbox.take());
}

TEST_CASE("nat: nobody is looked up for whom that mends nothing", "[dataplane][nat][stations]") {
    NatWorld world;
    Worker1 worker;
    const auto reply_to = [&](const std::string& client) {
        const Bytes frame = Ethernet{.destination = our_mac, .source = backend_mac} /
                            (Ip4{.source = "10.0.0.11", .destination = client} /
                             (Tcp{.source = backend_port, .destination = 4711} / filled(10)));
        static_cast<void>(worker.run(world.tables, frame));
        return worker.pipeline.unknown_stations().take();
    };
    CHECK_FALSE(reply_to("198.18.0.7"));  // behind the gateway
    world.tables.next_hops.back() = make_next_hop(PortId{0}, world.tables.ports[0], nullptr);
    CHECK_FALSE(reply_to("198.18.0.7"));  // which is a next hop that is not resolved
    CHECK(reply_to("10.0.7.9").has_value());
    world.tables.ports[0].has_tap = false;  // nobody there to ask
    CHECK_FALSE(reply_to("10.0.7.9"));
}
