// SPDX-License-Identifier: BSD-3-Clause
// Flows of other protocols than TCP and UDP: who owns them, what tells them apart, and how long
// they are remembered.
#include <array>
#include <map>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "lib/dataplane/steer.hh"
#include "tests/unit/dataplane/fixture.hh"

using namespace weir;
using namespace weir::test;

namespace {

const std::string vip = "203.0.113.10", vip6 = "2001:db8:443::10", user = "198.18.0.7",
                  user6 = "2001:db8:7::7";
const Ethernet link4{.destination = "02:00:00:00:00:05", .source = "02:00:00:00:00:c1"},
    link6{.destination = link4.destination, .source = link4.source, .type = 0x86dd};
constexpr std::uint8_t sctp = 132, esp = 50;

std::uint32_t echo_word(std::uint16_t identifier) {
    return std::uint32_t{identifier} << 16 | 1;
}
Bytes ping(std::uint16_t identifier, const std::string& source = user) {
    return link4 / (Ip4{.source = source, .destination = vip, .protocol = 1} /
                    sound_icmp(8, 0, echo_word(identifier), filled(20)));
}
Bytes ping6(std::uint16_t identifier) {
    const Ip6 ip{.source = user6, .destination = vip6, .next = 58};
    return link6 / (ip / sound_icmp6(ip, 128, 0, echo_word(identifier), filled(20)));
}
Bytes sctp_header(std::uint16_t source, std::uint16_t destination) {
    return Bytes{static_cast<std::uint8_t>(source >> 8), static_cast<std::uint8_t>(source),
                 static_cast<std::uint8_t>(destination >> 8),
                 static_cast<std::uint8_t>(destination)} +
           filled(16);
}
Bytes sctp_frame(std::uint16_t port, std::uint16_t to = 80) {
    return link4 /
           (Ip4{.source = user, .destination = vip, .protocol = sctp} / sctp_header(port, to));
}
Bytes bare(std::uint8_t protocol, const std::string& source = user) {
    return link4 / (Ip4{.source = source, .destination = vip, .protocol = protocol} / filled(20));
}

// A service of this key alone.
World1 world_of(ServiceProtocol protocol, std::uint16_t first, std::uint16_t last,
                std::size_t backends = 8) {
    World1 world(backends);
    world.service->key = {*parse_ip(vip), protocol, first, last};
    world.rebuild();
    return world;
}

int backend_of(const Worker1& worker) {
    return worker.sent.at(5);
}

std::vector<FlowRecord> flows_of(const Worker1& worker, Tick now = Tick{1000}) {
    std::vector<FlowRecord> all;
    std::array<FlowRecord, 64> some{};
    for (std::uint32_t cursor = 0; cursor < worker.table.lines();) {
        const std::size_t count = worker.table.copy(cursor, some, now);
        all.insert(all.end(), some.begin(), some.begin() + static_cast<std::ptrdiff_t>(count));
    }
    return all;
}

// Every slot is another backend's; all keep their flows.
void shift_slots(World1& world) {
    for (Seat& slot : world.service->slots)
        slot = static_cast<Seat>((slot + 1U) % world.service->seats.size());
}

}  // namespace

TEST_CASE("protocols: flows are kept when slots change, and spread over the backends",
          "[dataplane][protocols]") {
    const auto stays = [](World1 world, const std::vector<Bytes>& frames) {
        Worker1 worker;
        std::map<std::size_t, int> before;
        std::map<int, int> used;
        for (std::size_t i = 0; i < frames.size(); ++i) {
            REQUIRE(worker.run(world.tables, frames[i]).is_sent());
            ++used[before[i] = backend_of(worker)];
        }
        CHECK(used.size() == 8);
        CHECK(worker.table.size() == frames.size());
        shift_slots(world);
        for (std::size_t i = 0; i < frames.size(); ++i) {
            REQUIRE(worker.run(world.tables, frames[i]).is_sent());
            REQUIRE(backend_of(worker) == before[i]);
        }
        CHECK(worker.traffic->services[3].new_flows.read() == frames.size());
    };
    std::vector<Bytes> pings, packets, bares;
    for (std::uint16_t i = 1; i <= 200; ++i) {
        pings.push_back(ping(i));
        packets.push_back(sctp_frame(i));
        bares.push_back(bare(esp, "198.18.1." + std::to_string(i)));
    }
    stays(world_of(ServiceProtocol::icmp, 0, 0), pings);
    stays(world_of(ServiceProtocol::sctp, 80, 80), packets);
    stays(world_of(ServiceProtocol::any, 80, 81), packets);
    stays(world_of(ServiceProtocol::any, 0, 65'535), bares);
    stays(world_of(ServiceProtocol::any, 0, 65'535), packets);
}

TEST_CASE("protocols: entries of different protocols never meet", "[dataplane][protocols]") {
    World1 world = world_of(ServiceProtocol::any, 0, 65'535);
    world.service->endpoints = {EndpointId{5}, EndpointId{6}, EndpointId{7}};
    world.rebuild();
    Worker1 worker;
    std::vector<Bytes> frames{client_frame(1000), sctp_frame(1000), sctp_frame(1001),
                              sctp_frame(1000, 81)};
    for (const int protocol : {4, 41, 47, 50, 51, 89, 103, 253})
        frames.push_back(bare(static_cast<std::uint8_t>(protocol)));
    for (int round = 0; round < 2; ++round)
        for (const Bytes& frame : frames)
            REQUIRE(worker.run(world.tables, frame).is_sent());
    const std::vector<FlowRecord> flows = flows_of(worker);
    REQUIRE(flows.size() == frames.size());
    std::map<std::uint8_t, int> seen;
    for (const FlowRecord& flow : flows) {
        ++seen[flow.protocol];
        CHECK(flow.endpoint == (flow.protocol == 6 ? 5 : 7));
        const bool has_ports = flow.protocol == 6 || flow.protocol == sctp;
        CHECK((flow.client_port != 0) == has_ports);
        CHECK((flow.destination_port != 0) == has_ports);
    }
    CHECK(seen.size() == 10);
    CHECK(seen[sctp] == 3);
}

TEST_CASE("protocols: an echo flow has its own timeout, from its last ping on",
          "[dataplane][protocols]") {
    World1 world = world_of(ServiceProtocol::icmp, 0, 0);
    for (const auto& [icmp, udp] :
         {std::pair{10'000U, 60'000U}, std::pair{60'500U, 60'000U}, std::pair{90'000U, 60'000U}}) {
        world.tables.timeouts.icmp = icmp;
        world.tables.timeouts.udp = udp;
        Worker1 worker;
        const auto left = [&](Tick now) {
            const std::vector<FlowRecord> flows = flows_of(worker, now);
            REQUIRE(flows.size() == 1);
            return static_cast<std::uint32_t>(elapsed(now, flows[0].expires));
        };
        for (const std::uint32_t at : {1000U, 1001U, 5000U, 9000U}) {
            REQUIRE(worker.run(world.tables, ping(7), Tick{at}).is_sent());
            CHECK(left(Tick{at}) >= icmp);
            CHECK(left(Tick{at}) < icmp + 256);
        }
        CHECK(worker.traffic->services[3].active_flows.read() == 1);
        // A flow that is over begins anew.
        shift_slots(world);
        const int before = backend_of(worker);
        REQUIRE(worker.run(world.tables, ping(7), Tick{9000 + icmp + 256}).is_sent());
        CHECK(backend_of(worker) != before);
        CHECK(worker.traffic->services[3].active_flows.read() == 1);
    }
}

TEST_CASE("protocols: pings that find no backend do not keep an echo flow",
          "[dataplane][protocols]") {
    World1 world = world_of(ServiceProtocol::icmp, 0, 0, 1);
    Worker1 worker;
    REQUIRE(worker.run(world.tables, ping(7), Tick{1000}).is_sent());
    const Tick expires = flows_of(worker).at(0).expires;
    world.service->seats[0].keeps_flows = false;
    world.service->slots.assign(world.service->slots.size(), no_seat);
    CHECK(worker.run(world.tables, ping(7), Tick{5000}).reason == DropReason::no_backend);
    CHECK(flows_of(worker, Tick{5000}).at(0).expires == expires);
}

TEST_CASE("protocols: a full connection table degrades as for other flows",
          "[dataplane][protocols]") {
    World1 world = world_of(ServiceProtocol::icmp, 0, 0);
    Worker1 worker;
    int refused = 0;
    for (std::uint16_t i = 1; i <= 3000; ++i) {
        world.tables.when_full = i % 2 == 0 ? WhenFull::drop_new : WhenFull::stateless;
        const Verdict verdict = worker.run(world.tables, ping(i));
        if (!verdict.is_sent()) {
            REQUIRE(verdict.reason == DropReason::conntrack_full);
            REQUIRE(i % 2 == 0);
            ++refused;
        }
    }
    CHECK(refused > 500);
}

TEST_CASE("protocols: an error about a flow goes to the backend that has it",
          "[dataplane][protocols]") {
    const auto about = [](std::uint8_t protocol, const Bytes& start) {
        return link4 /
               (Ip4{.source = "192.0.2.1", .destination = vip, .protocol = 1} /
                sound_icmp(3, 4, 1400,
                           Ip4{.source = vip, .destination = user, .protocol = protocol} / start));
    };
    const auto holds = [](World1 world, const Bytes& frame, const Bytes& error) {
        Worker1 worker;
        REQUIRE(worker.run(world.tables, frame).is_sent());
        const int before = backend_of(worker);
        shift_slots(world);
        REQUIRE(worker.run(world.tables, error).is_sent());
        CHECK(backend_of(worker) == before);
        CHECK(worker.table.size() == 1);
    };
    holds(world_of(ServiceProtocol::icmp, 0, 0), ping(7),
          about(1, sound_icmp(0, 0, echo_word(7), {})));
    holds(world_of(ServiceProtocol::sctp, 80, 80), sctp_frame(7), about(sctp, sctp_header(80, 7)));
    holds(world_of(ServiceProtocol::any, 0, 65'535), bare(esp), about(esp, filled(8)));
}

TEST_CASE("protocols: all packets of a flow, and errors about it, have one owner",
          "[dataplane][protocols][steer]") {
    const HashSecret secret{{5, 6, 7, 8}};
    Tables tables;
    tables.ports.resize(1);
    const auto owner = [&](Bytes frame, std::uint32_t workers) {
        const auto length = static_cast<std::uint32_t>(frame.size());
        return steer(tables, {.data = frame.data(), .contiguous = length, .length = length},
                     workers, secret);
    };
    const auto error4 = [](std::uint8_t protocol, const Bytes& start) {
        return link4 /
               (Ip4{.source = "192.0.2.1", .destination = vip, .protocol = 1} /
                sound_icmp(11, 0, 0,
                           Ip4{.source = vip, .destination = user, .protocol = protocol} / start));
    };
    const Ip6 router6{.source = "2001:db8:ff::1", .destination = vip6, .next = 58};
    std::map<std::uint32_t, int> echo_owners;
    for (std::uint16_t i = 1; i < 300; ++i) {
        const Bytes reply6 = Ip6{.source = vip6, .destination = user6, .next = 58} /
                             sound_icmp6(router6, 129, 0, echo_word(i), {});
        const Bytes error6 = link6 / (router6 / sound_icmp6(router6, 2, 0, 1400, reply6));
        for (const std::uint32_t workers : {2U, 7U, 65'521U}) {
            const Bytes longer = link4 / (Ip4{.source = user, .destination = vip, .protocol = 1} /
                                          sound_icmp(8, 0, echo_word(i) + 5, filled(100)));
            REQUIRE(owner(longer, workers) == owner(ping(i), workers));
            REQUIRE(owner(error4(1, sound_icmp(0, 0, echo_word(i), {})), workers) ==
                    owner(ping(i), workers));
            REQUIRE(owner(error6, workers) == owner(ping6(i), workers));
            REQUIRE(owner(error4(sctp, sctp_header(80, i)), workers) ==
                    owner(sctp_frame(i), workers));
            REQUIRE(owner(error4(esp, filled(8)), workers) == owner(bare(esp), workers));
        }
        ++echo_owners[owner(ping(i), 7)];
    }
    CHECK(echo_owners.size() == 7);  // identifiers spread
}
