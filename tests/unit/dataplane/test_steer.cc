// SPDX-License-Identifier: BSD-3-Clause
// Who owns a packet: one for all packets of a flow, the same one whichever way the key was read,
// one by one or sixteen at once.
#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "lib/dataplane/lanes.hh"
#include "lib/dataplane/steer.hh"
#include "tests/unit/dataplane/fixture.hh"
#include "tests/unit/dataplane/mutants.hh"

using namespace weir;
using namespace weir::test;

namespace {

Packet whole(Bytes& frame) {
    const auto length = static_cast<std::uint32_t>(frame.size());
    return {.data = frame.data(), .contiguous = length, .length = length};
}

// One port with this VLAN, no service.
Tables port_with(std::uint16_t vlan) {
    Tables tables;
    tables.ports.resize(1);
    tables.ports[0].vlan = vlan;
    return tables;
}

}  // namespace

TEST_CASE("every packet of a flow has one owner, and owners share the flows evenly",
          "[dataplane][steer]") {
    const HashSecret secret{{5, 6, 7, 8}};
    const Tables tables = port_with(0);
    for (const std::uint32_t workers : {1U, 2U, 3U, 7U}) {
        std::vector<std::uint32_t> owned(workers);
        for (int i = 0; i < 7000; ++i) {
            const auto port = static_cast<std::uint16_t>(i + 1);
            std::vector<Bytes> frames{client_frame(port, 0x02), client_frame(port, 0x10),
                                      client_frame(port, 0x11)};
            std::vector<std::uint32_t> owners;
            for (Bytes& frame : frames)
                owners.push_back(steer(tables, whole(frame), workers, secret));
            REQUIRE(owners[0] < workers);
            REQUIRE(owners[1] == owners[0]);
            REQUIRE(owners[2] == owners[0]);
            ++owned[owners[0]];
        }
        for (const std::uint32_t flows : owned) {
            CHECK(flows * workers > 7000 * 0.85);
            CHECK(flows * workers < 7000 * 1.15);
        }
    }
}

TEST_CASE("first and later fragments of a datagram have one owner", "[dataplane][steer]") {
    const HashSecret secret{{5, 6, 7, 8}};
    const Tables tables = port_with(0);
    for (int i = 0; i < 100; ++i) {
        const std::string source = "198.18.1." + std::to_string(i);
        Bytes first = Ethernet{.destination = "02:00:00:00:00:05", .source = "02:00:00:00:00:c1"} /
                      (Ip4{.source = source, .destination = "203.0.113.10", .fragment = 0x2000} /
                       (Tcp{} / filled(12)));
        Bytes later =
            Ethernet{.destination = "02:00:00:00:00:05", .source = "02:00:00:00:00:c1"} /
            (Ip4{.source = source, .destination = "203.0.113.10", .fragment = 4} / filled(40));
        REQUIRE(steer(tables, whole(first), 5, secret) == steer(tables, whole(later), 5, secret));
    }
}

TEST_CASE("steer: the owner is that of the parsed packet", "[dataplane][steer][property]") {
    const HashSecret secret{{5, 6, 7, 8}};
    const std::vector<std::uint16_t> vlans{0, 7};
    std::mt19937 random(4711);
    for (const std::uint16_t vlan : vlans) {
        const Tables tables = port_with(vlan);
        int quick = 0, rounds = 0;
        for (const std::uint16_t tag : vlans) {
            for (const Bytes& frame : frames(tag)) {
                for (int i = 0; i < 30'000; ++i, ++rounds) {
                    const Mutant m = mutant(frame, static_cast<unsigned>(random() % 4), random);
                    FlowWords words;
                    quick += steering::read_key(m.packet, vlan, words) ? 1 : 0;
                    REQUIRE(steer(tables, m.packet, 65'521, secret) ==
                            steer_parsed(tables, m.packet, 65'521, secret));
                }
            }
        }
        // Half of them have the port's tag, and most of those are whole.
        CHECK(quick > rounds / 8);
    }
}

TEST_CASE("steer: owners of a burst are those of its packets", "[dataplane][steer][property]") {
    const HashSecret secret{{5, 6, 7, 8}};
    constexpr std::uint32_t workers = 65'521;
    const BurstSteering steering(workers, secret);
    std::mt19937 random(815);
    std::size_t quick = 0, quick_v6 = 0, rounds = 0;
    const std::vector<std::uint16_t> vlans{0, 7};
    for (const std::uint16_t vlan : vlans) {
        const Tables tables = port_with(vlan);
        std::vector<Bytes> all = frames(0);
        for (const Bytes& frame : frames(7))
            all.push_back(frame);
        for (int round = 0; round < 20'000; ++round) {
            const Bytes& usual = all[round % 3 == 0 ? 0 : 3];  // most packets of a burst are alike
            const std::uint32_t least = round % 4 == 0 ? 38 : round % 4 == 1 ? 58 : 0;
            std::vector<Mutant> mutants;
            std::vector<const std::uint8_t*> bytes;
            std::uint32_t shortest = 10'000;
            for (std::size_t count = 1 + random() % max_burst; bytes.size() < count;) {
                const Bytes& frame = random() % 4 != 0 ? usual : all[random() % all.size()];
                Mutant m = mutant(frame, static_cast<unsigned>(random() % 3), random);
                // One short frame, and all would be looked at one by one.
                if (m.packet.contiguous < least) continue;
                shortest = std::min(shortest, m.packet.contiguous);
                bytes.push_back(m.packet.data);
                mutants.push_back(std::move(m));
            }
            std::array<std::uint32_t, max_burst> owners{};
            const BurstMask known = steering.quick(tables, bytes, shortest, PortId{0}, owners);
            REQUIRE((known & ~first_bits(bytes.size())) == 0);
            quick += static_cast<std::size_t>(std::popcount(known));
            rounds += bytes.size();
            for (std::size_t i = 0; i < bytes.size(); ++i) {
                const Packet& packet = mutants[i].packet;
                const std::uint32_t expected = steer_parsed(tables, packet, workers, secret);
                REQUIRE(steering.one(tables, packet) == expected);
                quick_v6 += (known & bit(i)) != 0 && packet.data[12] == 0x86 ? 1 : 0;
                if ((known & bit(i)) == 0 || owners[i] == expected) continue;
                // Broken: nobody forwards it, whoever owns it.
                const Parsed parsed = parse({packet.data, packet.contiguous}, packet.length,
                                            {.vlan = vlan, .ip_checksum = NicChecksum::good});
                REQUIRE(owners[i] < workers);
                REQUIRE((parsed.l3 != L3Status::ip || parsed.l4 == L4Status::bad_length ||
                         parsed.l4 == L4Status::bad_flags));
            }
        }
    }
    // Half of them are of the untagged port, and half of the bursts have no short frame.
    if (lanes::available()) {
        CHECK(quick > rounds / 8);
        CHECK(quick_v6 > rounds / 32);
    }
}

TEST_CASE("steer: lanes know every whole packet of a burst of both families",
          "[dataplane][steer]") {
    if (!lanes::available()) return;
    const HashSecret secret{{5, 6, 7, 8}};
    constexpr std::uint32_t workers = 65'521;
    const BurstSteering steering(workers, secret);
    const Tables tables = port_with(0);
    std::vector<Bytes> all = frames(0);
    for (Bytes& frame : all)
        frame.resize(80);
    for (std::size_t count = 8; count <= max_burst; count += 7) {
        std::vector<const std::uint8_t*> burst;
        for (std::size_t i = 0; i < count; ++i)
            burst.push_back(all[i % all.size()].data());
        std::array<std::uint32_t, max_burst> owners{};
        const std::size_t rest = count % 16;
        const std::size_t served = rest < 8 ? count - rest : count;
        REQUIRE(steering.quick(tables, burst, 80, PortId{0}, owners) == first_bits(served));
        for (std::size_t i = 0; i < served; ++i)
            REQUIRE(owners[i] == steer_parsed(tables, whole(all[i % all.size()]), workers, secret));
    }
}
