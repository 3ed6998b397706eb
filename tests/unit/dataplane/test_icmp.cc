// SPDX-License-Identifier: BSD-3-Clause
// ICMP errors that come in: to whom, and what they leave behind.
#include <map>
#include <string>

#include <catch2/catch.hpp>

#include "lib/dataplane/steer.hh"
#include "tests/unit/dataplane/fixture.hh"

using namespace weir;
using namespace weir::test;

namespace {

constexpr std::uint8_t syn = 0x02, ack = 0x10;

// Fragmentation needed, from a router, about what a backend sent to this client.
Bytes error_about(std::uint16_t client_port, std::uint32_t mtu = 1400) {
    const Bytes answer = Ip4{.source = "203.0.113.10", .destination = "198.18.0.7"} /
                         (Tcp{.source = 80, .destination = client_port} / Bytes{});
    return Ethernet{.destination = "02:00:00:00:00:05", .source = "02:00:00:00:00:c1"} /
           (Ip4{.source = "192.0.2.1", .destination = "203.0.113.10", .protocol = 1} /
            sound_icmp(3, 4, mtu, Bytes(answer.begin(), answer.begin() + 28)));
}

// The backend that the frame which just left was for: the last byte of its MAC address.
int backend_of(const Worker1& worker) {
    return worker.sent.at(5);
}

std::uint64_t service_packets(const Worker1& worker) {
    return worker.traffic->services[3].packets.read();
}

}  // namespace

TEST_CASE("icmp: an error goes to the backend that has the flow, not to the one of its slot",
          "[dataplane][icmp]") {
    for (const Forward forward : {Forward::dsr_l2, Forward::ipip}) {
        World1 world(8, forward);
        Worker1 worker;
        std::map<std::uint16_t, int> before;
        for (std::uint16_t port = 1000; port < 1200; ++port) {
            REQUIRE(worker.run(world.tables, client_frame(port, syn)).is_sent());
            before[port] = backend_of(worker);
        }
        // Every slot is another backend's now, but all keep their flows.
        for (Seat& slot : world.service->slots)
            slot = static_cast<Seat>((slot + 1U) % 8);
        const std::uint64_t packets = service_packets(worker);
        for (const auto& [port, backend] : before) {
            REQUIRE(worker.run(world.tables, error_about(port)).is_sent());
            CHECK(backend_of(worker) == backend);
        }
        CHECK(service_packets(worker) == packets + before.size());
        CHECK(worker.traffic->services[3].new_flows.read() == before.size());
        CHECK(worker.traffic->services[3].active_flows.read() == before.size());
    }
}

TEST_CASE("icmp: an error about a flow that nobody holds goes by hash and leaves no entry",
          "[dataplane][icmp]") {
    World1 world(8);
    Worker1 worker, other;
    for (std::uint16_t port = 1000; port < 1050; ++port) {
        REQUIRE(worker.run(world.tables, error_about(port)).is_sent());
        const int told = backend_of(worker);
        REQUIRE(other.run(world.tables, client_frame(port, ack)).is_sent());
        CHECK(told == backend_of(other));
    }
    CHECK(worker.table.size() == 0);
    CHECK(worker.traffic->services[3].new_flows.read() == 0);
    CHECK(service_packets(worker) == 50);
    std::uint64_t bytes = 0;
    for (std::size_t i = 100; i < 108; ++i)
        bytes += worker.traffic->backends[i].bytes.read();
    CHECK(bytes == 50U * (error_about(1000).size() - 14));
}

TEST_CASE("icmp: errors do not keep a flow alive", "[dataplane][icmp]") {
    World1 world(8);
    world.tables.timeouts.tcp_syn = 30'000;
    Worker1 worker;
    REQUIRE(worker.run(world.tables, client_frame(1000, syn), Tick{1'000}).is_sent());
    const int first = backend_of(worker);
    for (Seat& slot : world.service->slots)
        slot = static_cast<Seat>((slot + 1U) % 8);
    REQUIRE(worker.run(world.tables, error_about(1000), Tick{29'000}).is_sent());
    CHECK(backend_of(worker) == first);
    // 32 s after its only packet, and 3 s after the error.
    REQUIRE(worker.run(world.tables, error_about(1000), Tick{33'000}).is_sent());
    CHECK(backend_of(worker) != first);
}

TEST_CASE("icmp: an error about a flow whose backend went away goes to the next one",
          "[dataplane][icmp]") {
    World1 world(2);
    Worker1 worker;
    REQUIRE(worker.run(world.tables, client_frame(1000, syn)).is_sent());
    const int first = backend_of(worker);
    world.take_slots(static_cast<Seat>(first - 11), false);
    REQUIRE(worker.run(world.tables, error_about(1000)).is_sent());
    CHECK(backend_of(worker) != first);
}

TEST_CASE("icmp: a flood of errors about no flow is bounded, and takes nothing from known flows",
          "[dataplane][icmp]") {
    World1 world(4);
    Worker1 worker;
    REQUIRE(worker.run(world.tables, client_frame(999, syn)).is_sent());
    const auto flood = [&](Tick now) {
        unsigned passed = 0;
        for (std::uint16_t port = 1000; port < 3000; ++port) {
            const Verdict verdict = worker.run(world.tables, error_about(port), now);
            if (verdict.is_sent())
                ++passed;
            else
                REQUIRE(verdict.reason == DropReason::rate_limited);
            REQUIRE(worker.run(world.tables, error_about(999), now).is_sent());
        }
        return passed;
    };
    CHECK(flood(Tick{1000}) == untracked_icmp_limit.burst);
    CHECK(flood(Tick{1010}) == untracked_icmp_limit.per_second / 100);
}

TEST_CASE("icmp: an error has the owner of the flow that it is about", "[dataplane][icmp][steer]") {
    const HashSecret secret{{5, 6, 7, 8}};
    const auto whole = [](Bytes& frame) {
        const auto length = static_cast<std::uint32_t>(frame.size());
        return Packet{.data = frame.data(), .contiguous = length, .length = length};
    };
    const Ethernet link{.destination = "02:00:00:00:00:05", .source = "02:00:00:00:00:c1"},
        link6{.destination = link.destination, .source = link.source, .type = 0x86dd};
    const std::string vip = "203.0.113.10", vip6 = "2001:db8:443::10", user6 = "2001:db8:7::7";
    const Ip6 router6{.source = "2001:db8:ff::1", .destination = vip6, .next = 58};
    Tables tables;
    tables.ports.resize(1);
    for (std::uint16_t port = 1; port < 500; ++port) {
        Bytes flow = client_frame(port);
        Bytes error = error_about(port);
        Bytes flow6 = link6 / (Ip6{.source = user6, .destination = vip6, .next = 17} /
                               (Udp{.source = port, .destination = 53} / filled(3)));
        Bytes error6 =
            link6 /
            (router6 / sound_icmp6(router6, 2, 0, 1400,
                                   Ip6{.source = vip6, .destination = user6, .next = 60} /
                                       (extension(17, 1) +
                                        (Udp{.source = 53, .destination = port} / Bytes{}))));
        for (const std::uint32_t workers : {2U, 7U, 65'521U}) {
            REQUIRE(steer(tables, whole(error), workers, secret) ==
                    steer(tables, whole(flow), workers, secret));
            REQUIRE(steer(tables, whole(error6), workers, secret) ==
                    steer(tables, whole(flow6), workers, secret));
        }
    }
}
