// SPDX-License-Identifier: BSD-3-Clause
// read_plain() against its slow twins parse() and classify(), over frames with a few bytes
// changed: it may leave a packet to them, but never see another packet than they do.
#include <cstdint>
#include <memory>
#include <random>

#include <catch2/catch.hpp>

#include "lib/dataplane/classify.hh"
#include "lib/dataplane/plain.hh"
#include "tests/unit/dataplane/fixture.hh"
#include "tests/unit/dataplane/mutants.hh"

using namespace weir;
using namespace weir::test;

namespace {

// Neither options nor extension headers, bytes for a TCP header, an untagged frame or one with the
// port's own tag, and no source of the kinds that only classify() looks into: such a packet for a
// service must be plain.
bool is_common(const Packet& packet, const Parsed& parsed, std::uint16_t vlan) {
    const std::uint8_t* ip = packet.data + parsed.l3_offset;
    const bool common =
        (parsed.family == Family::v4 ? ip[0] == 0x45 : (ip[6] == 6 || ip[6] == 17) && ip[8] != 0) &&
        packet.contiguous >= parsed.l4_offset + sizeof(TcpHeader);
    if (vlan == 0) return common && parsed.l3_offset == 14;
    return common && parsed.l3_offset == 18 && packet.data[15] == vlan &&
           (packet.data[14] & 15) == 0;
}

}  // namespace

TEST_CASE("plain: agrees with parse and classify on frames with a few bytes changed",
          "[dataplane][property]") {
    std::mt19937 random(20261120);
    for (const int vlan : {0, 7}) {
        World1 worlds[2] = {World1(2), World1(2)};
        worlds[1].service->key.vip = *parse_ip("2001:db8:443::10");
        unsigned plain = 0, odd = 0, disagreed = 0, missed = 0;
        for (World1& world : worlds) {
            world.tables.ports[0].vlan = static_cast<std::uint16_t>(vlan);
            world.rebuild();
        }
        for (const Bytes& frame : frames(static_cast<std::uint16_t>(vlan))) {
            const bool six = frame[vlan == 0 ? 12 : 16] == 0x86;
            const Tables& tables = worlds[six ? 1 : 0].tables;
            for (unsigned round = 0; round < 50'000; ++round) {
                const Mutant one = mutant(frame, round % 4, random);
                PacketMeta meta;
                const bool is_plain = read_plain(one.packet, tables.ports[0], meta);
                const Classified slow = classify(tables, one.packet);
                ++(is_plain ? plain : odd);
                if (is_plain) {
                    const bool sound = slow.service != nullptr ||
                                       slow.verdict.action == Action::punt ||
                                       slow.verdict.reason == DropReason::unknown_port;
                    const bool same = slow.parsed.l3 == L3Status::ip &&
                                      slow.parsed.l4 == L4Status::ok &&
                                      meta == meta_of(slow.parsed);
                    if (!same || !sound) ++disagreed;
                } else if (slow.service != nullptr &&
                           is_common(one.packet, slow.parsed, tables.ports[0].vlan)) {
                    ++missed;
                }
            }
        }
        CHECK(disagreed == 0);
        CHECK(missed == 0);
        CHECK(plain > 40'000);
        CHECK(odd > 40'000);
    }
}

TEST_CASE("plain: a bad header sum is never plain, unless the NIC vouched for it", "[dataplane]") {
    World1 world(2);
    for (Bytes frame : frames(0)) {
        if (frame[14] != 0x45 || frame.size() < 14 + 20 + sizeof(TcpHeader)) continue;
        Packet packet{.data = frame.data(),
                      .contiguous = static_cast<std::uint32_t>(frame.size()),
                      .length = static_cast<std::uint32_t>(frame.size())};
        PacketMeta meta;
        REQUIRE(read_plain(packet, world.tables.ports[0], meta));
        packet.ip_checksum = NicChecksum::bad;
        CHECK_FALSE(read_plain(packet, world.tables.ports[0], meta));
        packet.ip_checksum = NicChecksum::unknown;
        unsigned wrong = 0;
        for (unsigned bit = 0; bit < 160; ++bit) {  // every single bit of the IP header
            frame[14 + bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
            if (read_plain(packet, world.tables.ports[0], meta)) ++wrong;
            frame[14 + bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
        }
        CHECK(wrong == 0);
        frame[14 + 8] -= 1;  // TTL
        packet.ip_checksum = NicChecksum::good;
        CHECK(read_plain(packet, world.tables.ports[0], meta));
    }
}
