// SPDX-License-Identifier: BSD-3-Clause
// full-nat between families (RFC 7915): both directions, fragments, sizes, and what cannot leave.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "tests/unit/dataplane/families_world.hh"

using namespace weir;
using namespace weir::test;

namespace {

constexpr std::uint16_t df = 0x4000, mf = 0x2000;

// What would leave in pieces, each IP packet by itself.
std::vector<Bytes> cut_up(const FamiliesTalk& talk) {
    Bytes frame = talk.worker.sent;
    const Packet packet{.data = frame.data(),
                        .contiguous = static_cast<std::uint32_t>(frame.size()),
                        .length = static_cast<std::uint32_t>(frame.size())};
    std::vector<Bytes> pieces;
    for (const Bytes& piece : pieces_of(packet, talk.world.tables.ports[0], 0x99))
        pieces.push_back(cut(piece, 14, piece.size()));
    return pieces;
}

}  // namespace

TEST_CASE("families: an IPv6 client talks to an IPv4 backend", "[dataplane][families]") {
    FamiliesTalk talk(Family::v6);
    talk.open();
    REQUIRE(talk.ask({.traffic_class = 0x2e}, talk.tcp_asked(ack, filled(9))).is_sent());
    CHECK(talk.sent_without_id() == ip_packet({.traffic_class = 0x2e, .ttl = 63}, talk.world.pool,
                                              talk.world.backend,
                                              talk.tcp_at_backend(ack, filled(9))));
    CHECK(talk.id != 0);
    CHECK(cut(talk.worker.sent, 12, 14) == Bytes{0x08, 0x00});
    REQUIRE(
        talk.reply(
                {.traffic_class = 0xb8, .ttl = 9, .id = 77, .field = df, .options = filled(4, 1)},
                talk.tcp_reply(ack, filled(11)))
            .is_sent());
    CHECK(talk.sent() == ip_packet({.traffic_class = 0xb8, .ttl = 8}, talk.world.vip,
                                   talk.world.client, talk.tcp_at_client(ack, filled(11))));
    CHECK(cut(talk.worker.sent, 12, 14) == Bytes{0x86, 0xdd});
}

TEST_CASE("families: an IPv4 client talks to an IPv6 backend", "[dataplane][families]") {
    FamiliesTalk talk(Family::v4);
    talk.open();
    REQUIRE(talk.ask({.traffic_class = 3, .field = df}, talk.tcp_asked(ack, filled(9))).is_sent());
    CHECK(talk.sent() == ip_packet({.traffic_class = 3, .ttl = 63}, talk.world.pool,
                                   talk.world.backend, talk.tcp_at_backend(ack, filled(9))));
    REQUIRE(talk.reply({.next = 60, .extensions = extension(6)}, talk.tcp_reply(ack, filled(11)))
                .is_sent());
    CHECK(talk.sent_without_id() == ip_packet({.ttl = 63}, talk.world.vip, talk.world.client,
                                              talk.tcp_at_client(ack, filled(11))));
    CHECK(talk.id != 0);
}

TEST_CASE("families: identifications of IPv4 follow each other and are never 0",
          "[dataplane][families]") {
    PacketIds ids(0xfffe, 1);
    CHECK(ids.next() == 0xffff);
    CHECK(ids.next() == 1);
    FamiliesTalk talk(Family::v6);
    talk.open();
    std::uint16_t last = 0;
    for (int i = 0; i < 3; ++i) {
        REQUIRE(talk.ask({}, talk.tcp_asked(ack)).is_sent());
        (void)talk.sent_without_id();
        CHECK(talk.id != last);
        last = talk.id;
    }
}

TEST_CASE("families: a wrong checksum stays wrong", "[dataplane][families]") {
    for (const Family clients : {Family::v4, Family::v6}) {
        FamiliesTalk talk(clients);
        talk.open();
        Bytes segment = talk.tcp_asked(ack, filled(9)), there = talk.tcp_at_backend(ack, filled(9));
        segment.back() ^= 1;
        there.back() ^= 1;
        REQUIRE(talk.ask({.field = df}, segment).is_sent());
        CHECK(talk.sent_without_id() ==
              ip_packet({.ttl = 63}, talk.world.pool, talk.world.backend, there));
    }
}

TEST_CASE("families: fragments of IPv6 become fragments of IPv4", "[dataplane][families]") {
    FamiliesTalk talk(Family::v6);
    talk.open(17);
    const Bytes whole = talk.udp_asked(filled(56));
    const Bytes there =
        summed(talk.world.pool, talk.world.backend, 17,
               Udp{.source = talk.port, .destination = backend_port, .checksum = 0} / filled(56));
    const auto piece = [](std::uint16_t offset, bool more) {
        return Datagram{.protocol = 17,
                        .next = 44,
                        .extensions = fragment_header(17, offset, more, 0xabcd1234)};
    };
    REQUIRE(talk.ask(piece(0, true), cut(whole, 0, 24)).is_sent());
    CHECK(talk.sent() == ip_packet({.protocol = 17, .ttl = 63, .id = 0x1234, .field = mf},
                                   talk.world.pool, talk.world.backend, cut(there, 0, 24)));
    REQUIRE(talk.ask(piece(3, true), cut(whole, 24, 48)).is_sent());
    CHECK(talk.sent() == ip_packet({.protocol = 17, .ttl = 63, .id = 0x1234, .field = mf | 3},
                                   talk.world.pool, talk.world.backend, cut(there, 24, 48)));
    REQUIRE(talk.ask(piece(6, false), cut(whole, 48, 64)).is_sent());
    CHECK(talk.sent() == ip_packet({.protocol = 17, .ttl = 63, .id = 0x1234, .field = 6},
                                   talk.world.pool, talk.world.backend, cut(there, 48, 64)));
}

TEST_CASE("families: fragments of IPv4 become fragments of IPv6, a full one is cut",
          "[dataplane][families]") {
    FamiliesTalk talk(Family::v6);
    talk.open(17);
    const Bytes whole = talk.udp_reply(filled(2000)), there = talk.udp_at_client(filled(2000));
    REQUIRE(talk.reply({.protocol = 17, .id = 0x4321, .field = mf}, cut(whole, 0, 1480)).action ==
            Action::send_in_pieces);
    const auto expected = [&](std::size_t begin, std::size_t end, bool more) {
        return ip_packet({.protocol = 17,
                          .ttl = 63,
                          .next = 44,
                          .extensions = fragment_header(17, static_cast<std::uint16_t>(begin / 8),
                                                        more, 0x4321)},
                         talk.world.vip, talk.world.client, cut(there, begin, end));
    };
    CHECK(cut_up(talk) == std::vector{expected(0, 1448, true), expected(1448, 1480, true)});
    REQUIRE(talk.reply({.protocol = 17, .id = 0x4321, .field = 1480 / 8}, cut(whole, 1480, 2008))
                .action == Action::send);
    CHECK(talk.sent() == expected(1480, 2008, false));
}

TEST_CASE("families: a packet without DF that grows too long leaves in fragments",
          "[dataplane][families]") {
    FamiliesTalk talk(Family::v4);
    talk.open(17);
    const Bytes whole = talk.udp_asked(filled(1453));  // 1461 bytes, 1501 as IPv6
    const Bytes there =
        summed(talk.world.pool, talk.world.backend, 17,
               Udp{.source = talk.port, .destination = backend_port, .checksum = 0} / filled(1453));
    REQUIRE(talk.ask({.protocol = 17, .id = 0x5555}, whole).action == Action::send_in_pieces);
    const auto expected = [&](std::size_t begin, std::size_t end, bool more) {
        return ip_packet({.protocol = 17,
                          .ttl = 63,
                          .next = 44,
                          .extensions = fragment_header(17, static_cast<std::uint16_t>(begin / 8),
                                                        more, 0x5555)},
                         talk.world.pool, talk.world.backend, cut(there, begin, end));
    };
    CHECK(cut_up(talk) == std::vector{expected(0, 1448, true), expected(1448, 1461, false)});
    // One byte less fits, with no fragment header.
    REQUIRE(talk.ask({.protocol = 17, .id = 0x5555}, talk.udp_asked(filled(1452))).action ==
            Action::send);
    CHECK(talk.sent().size() == 1500);
    CHECK(talk.sent().at(6) == 17);
}

TEST_CASE("families: what does not fit tells its sender what does", "[dataplane][families]") {
    FamiliesTalk talk(Family::v6);
    talk.open();
    // A reply of the IPv4 backend.
    REQUIRE(talk.reply({.field = df}, talk.tcp_reply(ack, filled(1441))).action == Action::answer);
    CHECK(cut(talk.sent(), 20, 22) == Bytes{3, 4});
    CHECK(cut(talk.sent(), 24, 28) == Bytes{0, 0, 1480 >> 8, 1480 & 0xff});
    CHECK(cut(talk.sent(), 12, 16) == address("10.0.0.5"));
    REQUIRE(talk.reply({.field = df}, talk.tcp_reply(ack, filled(1440))).action == Action::send);
    // A request of the IPv6 client, where the way to the backend is narrower.
    talk.world.set_mtu(1400);
    REQUIRE(talk.ask({}, talk.tcp_asked(ack, filled(1361))).action == Action::answer);
    CHECK(cut(talk.sent(), 40, 42) == Bytes{2, 0});
    CHECK(cut(talk.sent(), 44, 48) == Bytes{0, 0, 1420 >> 8, 1420 & 0xff});
    REQUIRE(talk.ask({}, talk.tcp_asked(ack, filled(1360))).action == Action::send);
    CHECK(talk.sent().size() == 1400);
    // What IPv6 need not make smaller is cut.
    talk.world.set_mtu(1000);
    REQUIRE(talk.ask({}, talk.tcp_asked(ack, filled(1220))).action == Action::send_in_pieces);
    const std::vector<Bytes> pieces = cut_up(talk);
    REQUIRE(pieces.size() == 2);
    CHECK((cut(pieces[0], 4, 6) == cut(pieces[1], 4, 6) && cut(pieces[0], 4, 6) != Bytes{0, 0}));
    // No IPv4 host but its own could make this one smaller.
    REQUIRE(talk.ask({}, talk.tcp_asked(ack, filled(1221))).action == Action::answer);
}

TEST_CASE("families: what cannot leave stays as it was", "[dataplane][families]") {
    for (const Family clients : {Family::v4, Family::v6}) {
        for (const ClientAddress how :
             {ClientAddress::none, ClientAddress::toa, ClientAddress::proxy_v2}) {
            FamiliesTalk talk(clients, how);
            talk.open();
            const auto unchanged = [&](const Bytes& ip, DropReason reason) {
                const Bytes frame = from(backend_mac, ip);
                const Verdict verdict = talk.run(frame);
                return verdict.action == Action::drop && verdict.reason == reason &&
                       talk.worker.sent == frame;
            };
            const Bytes asked = ip_packet({.field = df}, talk.world.client, talk.world.vip,
                                          talk.tcp_asked(syn)),
                        replied = ip_packet({.field = df}, talk.world.backend, talk.world.pool,
                                            talk.tcp_reply(ack, filled(5)));
            if (clients == Family::v4) {
                talk.headroom = 19;
                CHECK(unchanged(asked, DropReason::no_headroom));
                talk.headroom = 128;
            }
            for (NextHop& hop : talk.world.tables.next_hops)
                hop = make_next_hop(PortId{0}, talk.world.tables.ports[0], nullptr);
            CHECK(unchanged(asked, DropReason::no_neighbor));
            CHECK(unchanged(replied, DropReason::no_neighbor));
        }
    }
}

TEST_CASE("families: UDP without a checksum gets one, where all of it is there",
          "[dataplane][families]") {
    FamiliesTalk talk(Family::v4);
    talk.open(17);
    Bytes bare = talk.udp_asked(filled(33, 0x3c));
    bare[6] = bare[7] = 0;
    const Bytes there = summed(
        talk.world.pool, talk.world.backend, 17,
        Udp{.source = talk.port, .destination = backend_port, .checksum = 0} / filled(33, 0x3c));
    REQUIRE(talk.ask({.protocol = 17, .field = df}, bare).is_sent());
    CHECK(talk.sent() ==
          ip_packet({.protocol = 17, .ttl = 63}, talk.world.pool, talk.world.backend, there));
    // Such that the sum is 0, which says "none": it is written as 0xffff.
    Bytes data = filled(33, 0x3c), full;
    for (unsigned word = 0; word < 0x10000; ++word) {
        data[0] = static_cast<std::uint8_t>(word >> 8);
        data[1] = static_cast<std::uint8_t>(word);
        full = summed(talk.world.pool, talk.world.backend, 17,
                      Udp{.source = talk.port, .destination = backend_port, .checksum = 0} / data);
        if (full[6] == 0xff && full[7] == 0xff) break;
    }
    REQUIRE((full[6] == 0xff && full[7] == 0xff));
    Bytes zero = talk.udp_asked(data);
    zero[6] = zero[7] = 0;
    REQUIRE(talk.ask({.protocol = 17, .field = df}, zero).is_sent());
    CHECK(talk.sent() ==
          ip_packet({.protocol = 17, .ttl = 63}, talk.world.pool, talk.world.backend, full));
    talk.worker.contiguous = 14 + 20 + 8 + 32;  // its last byte lies elsewhere
    CHECK(talk.ask({.protocol = 17, .field = df}, bare).reason == DropReason::udp_zero_checksum);
    talk.worker.contiguous = 0;
    CHECK(talk.ask({.protocol = 17, .id = 3, .field = mf}, cut(bare, 0, 24)).reason ==
          DropReason::udp_zero_checksum);
}

TEST_CASE("families: the PROXY header tells the client's own family", "[dataplane][families]") {
    FamiliesTalk talk(Family::v6, ClientAddress::proxy_v2);
    talk.open();
    const auto numbered = [&](std::uint8_t flags, std::uint32_t sequence, std::uint32_t to,
                              const Bytes& data, bool reply) {
        const std::string& a = reply ? talk.world.backend : talk.world.client;
        const std::string& b = reply ? talk.world.pool : talk.world.vip;
        const Tcp tcp{.source = reply ? backend_port : std::uint16_t{4711},
                      .destination = reply ? talk.port : std::uint16_t{80},
                      .flags = flags,
                      .sequence = sequence,
                      .acknowledgment = to};
        return summed(a, b, 6, tcp / data);
    };
    constexpr std::uint32_t isn = 0x11111111, shift = 52;
    REQUIRE(talk.reply({.field = df}, numbered(0x12, 7000, isn + 1 - shift, {}, true)).is_sent());
    CHECK(cut(talk.sent(), 48, 52) == Bytes{0x11, 0x11, 0x11, 0x12});  // acknowledges the SYN
    REQUIRE(talk.ask({}, numbered(ack, isn + 1, 7001, bytes_of("GET /"), false)).is_sent());
    const Bytes ip = talk.sent();
    REQUIRE(ip.size() == 20 + 20 + shift + 5);
    CHECK(cut(ip, 40, 52) == bytes_of("\r\n\r\n") + Bytes{0} + bytes_of("\r\nQUIT\n"));
    CHECK(cut(ip, 52, 56) == Bytes{0x21, 0x21, 0, 36});
    CHECK(cut(ip, 56, 88) == address(talk.world.client) + address(talk.world.vip));
    CHECK(cut(ip, 92, 97) == bytes_of("GET /"));
    CHECK(internet_checksum(cut(ip, 12, 20) + Bytes{0, 6, 0, 20 + shift + 5} +
                            cut(ip, 20, ip.size())) == 0);
}

TEST_CASE("families: a flow goes on when a reload gives its service the other family",
          "[dataplane][families]") {
    FamiliesTalk talk(Family::v6);
    talk.open();
    talk.world.pool = "fd00:5::32";
    talk.world.backend = "fd00:5::11";
    talk.world.set_nat(ClientAddress::none);
    REQUIRE(talk.ask({}, talk.tcp_asked(ack, filled(9))).is_sent());
    const Bytes ip = talk.sent();
    CHECK(ip.at(0) >> 4 == 6);
    CHECK(cut(ip, 8, 40) == address("fd00:5::32") + address("fd00:5::11"));
    CHECK(talk.worker.nat.size() == 1);
}

TEST_CASE("families: a client on the port's own network is looked up by its own address",
          "[dataplane][families][stations]") {
    for (const Family clients : {Family::v4, Family::v6}) {
        FamiliesTalk talk(clients);
        talk.open();
        const IpPrefix network = *parse_prefix(talk.world.client + (talk.world.v6 ? "/64" : "/24"));
        talk.world.tables.nat = std::make_shared<const NatTables>(talk.world.tables.nat->with(
            Routes({{network, PortId{0}}}, {}, invalid_next_hop, invalid_next_hop)));
        const Bytes reply = from(backend_mac, ip_packet({.field = df}, talk.world.backend,
                                                        talk.world.pool, talk.tcp_reply(ack)));
        CHECK(talk.run(reply).reason == DropReason::no_neighbor);
        CHECK(talk.worker.sent == reply);
        CHECK(talk.worker.pipeline.unknown_stations().take() ==
              UnknownStation{PortId{0}, *parse_ip(talk.world.client)});
        CHECK_FALSE(talk.worker.pipeline.unknown_stations().take());
    }
}
