// SPDX-License-Identifier: BSD-3-Clause
// Who owns a packet: one for all packets of a flow, the same one whichever way the key was read.
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

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

}  // namespace

TEST_CASE("every packet of a flow has one owner, and owners share the flows evenly",
          "[dataplane][steer]") {
    const HashSecret secret{{5, 6, 7, 8}};
    for (const std::uint32_t workers : {1U, 2U, 3U, 7U}) {
        std::vector<std::uint32_t> owned(workers);
        for (int i = 0; i < 7000; ++i) {
            const auto port = static_cast<std::uint16_t>(i + 1);
            std::vector<Bytes> frames{client_frame(port, 0x02), client_frame(port, 0x10),
                                      client_frame(port, 0x11)};
            std::vector<std::uint32_t> owners;
            for (Bytes& frame : frames)
                owners.push_back(steer(whole(frame), workers, 0, secret));
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
    for (int i = 0; i < 100; ++i) {
        const std::string source = "198.18.1." + std::to_string(i);
        Bytes first = Ethernet{.destination = "02:00:00:00:00:05", .source = "02:00:00:00:00:c1"} /
                      (Ip4{.source = source, .destination = "203.0.113.10", .fragment = 0x2000} /
                       (Tcp{} / filled(12)));
        Bytes later =
            Ethernet{.destination = "02:00:00:00:00:05", .source = "02:00:00:00:00:c1"} /
            (Ip4{.source = source, .destination = "203.0.113.10", .fragment = 4} / filled(40));
        REQUIRE(steer(whole(first), 5, 0, secret) == steer(whole(later), 5, 0, secret));
    }
}

TEST_CASE("steer: the owner is that of the parsed packet", "[dataplane][steer][property]") {
    const HashSecret secret{{5, 6, 7, 8}};
    const std::vector<std::uint16_t> vlans{0, 7};
    std::mt19937 random(4711);
    for (const std::uint16_t vlan : vlans) {
        int quick = 0, rounds = 0;
        for (const std::uint16_t tag : vlans) {
            for (const Bytes& frame : frames(tag)) {
                for (int i = 0; i < 30'000; ++i, ++rounds) {
                    const Mutant m = mutant(frame, static_cast<unsigned>(random() % 4), random);
                    FlowWords words;
                    quick += steering::read_key(m.packet, vlan, words) ? 1 : 0;
                    REQUIRE(steer(m.packet, 65'521, vlan, secret) ==
                            steer_parsed(m.packet, 65'521, vlan, secret));
                }
            }
        }
        // Half of them have the port's tag, and most of those are whole.
        CHECK(quick > rounds / 8);
    }
}
