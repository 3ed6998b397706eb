// SPDX-License-Identifier: BSD-3-Clause
// read_plain() against its slow twins parse() and classify(), over frames with a few bytes
// changed: it may leave a packet to them, but never see another packet than they do.
#include <cstdint>
#include <memory>
#include <random>

#include <catch2/catch.hpp>

#include "lib/dataplane/classify.hh"
#include "lib/dataplane/fragments.hh"
#include "lib/dataplane/plain.hh"
#include "lib/wire/checksum.hh"
#include "lib/wire/headers.hh"
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

namespace {

void put_checksum(Bytes& frame, std::size_t ip) {
    frame[ip + 10] = frame[ip + 11] = 0;
    const std::uint16_t sum = checksum_finish(checksum_sum({&frame[ip], sizeof(Ipv4Header)}));
    frame[ip + 10] = static_cast<std::uint8_t>(sum >> 8);
    frame[ip + 11] = static_cast<std::uint8_t>(sum);
}

// What fragment_of() makes of what parse() reads.
bool same_fragment(const Fragment& a, const Fragment& b) {
    return a.datagram.source == b.datagram.source &&
           a.datagram.destination == b.datagram.destination && a.datagram.rest == b.datagram.rest &&
           a.begin == b.begin && a.end == b.end && a.last == b.last && a.limit == b.limit &&
           *a.ports == *b.ports;
}

}  // namespace

TEST_CASE("plain: a first fragment agrees with parse and classify, a few bytes changed",
          "[dataplane][property]") {
    std::mt19937 random(20261122);
    for (const int vlan : {0, 7}) {
        World1 world(2);
        world.tables.ports[0].vlan = static_cast<std::uint16_t>(vlan);
        world.rebuild();
        const std::size_t ip = vlan == 0 ? 14 : 18;
        unsigned first = 0, other = 0, disagreed = 0, missed = 0;
        for (Bytes frame : frames(static_cast<std::uint16_t>(vlan))) {
            const auto length = static_cast<std::uint32_t>(frame.size());
            const Packet whole{.data = frame.data(), .contiguous = length, .length = length};
            PacketMeta any;
            CHECK_FALSE(read_plain_first(whole, world.tables.ports[0], any));
            if (frame[ip - 2] != 0x08) continue;
            frame[ip + 6] |= 0x20;  // more fragments
            put_checksum(frame, ip);
            for (unsigned round = 0; round < 50'000; ++round) {
                const Mutant one = mutant(frame, round % 4, random);
                PacketMeta meta;
                const bool is_first = read_plain_first(one.packet, world.tables.ports[0], meta);
                const Classified slow = classify(world.tables, one.packet);
                ++(is_first ? first : other);
                const Parsed& parsed = slow.parsed;
                const bool starts = slow.is_fragment && parsed.fragment.offset == 0;
                const auto ports = starts ? ports_of(parsed) : std::nullopt;
                if (is_first) {
                    const bool known =
                        ports && meta == meta_of(parsed) &&
                        same_fragment(first_fragment_of(one.packet.data, meta, *ports),
                                      fragment_of(one.packet.data, parsed, &*ports)) &&
                        *ports ==
                            FragmentPorts{meta.source_port, meta.destination_port, meta.protocol};
                    // Only a packet that is for no service is judged otherwise before its ports.
                    const bool foreign = !slow.is_for_vip && slow.verdict.action == Action::punt;
                    if (!known && !foreign) ++disagreed;
                } else if (ports && parsed.fragment.first == L4Status::ok &&
                           parsed.protocol != proto_sctp &&
                           is_common(one.packet, parsed, world.tables.ports[0].vlan)) {
                    ++missed;
                }
            }
        }
        CHECK(disagreed == 0);
        CHECK(missed == 0);
        CHECK(first > 40'000);
        CHECK(other > 20'000);
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
