// SPDX-License-Identifier: BSD-3-Clause
// ICMP errors about flows between families: each side is told in its own family, about the packet
// as it knows it.
#include <cstdint>
#include <string>

#include <catch2/catch.hpp>

#include "tests/unit/dataplane/families_world.hh"

using namespace weir;
using namespace weir::test;

namespace {

Bytes error_packet(const std::string& source, const std::string& destination, std::uint8_t type,
                   std::uint8_t code, std::uint32_t word, const Bytes& inside,
                   std::uint8_t ttl = 64, std::uint8_t traffic_class = 0) {
    if (!is_v6(source))
        return Ip4{.source = source,
                   .destination = destination,
                   .protocol = 1,
                   .ttl = ttl,
                   .tos = traffic_class,
                   .id = 0,
                   .fragment = 0} /
               sound_icmp(type, code, word, inside);
    const Ip6 ip{.source = source,
                 .destination = destination,
                 .next = 58,
                 .hop_limit = ttl,
                 .traffic_class = traffic_class};
    return ip / sound_icmp6(ip, type, code, word, inside);
}

std::string router_of(const std::string& like) {
    return is_v6(like) ? "2001:db8:99::1" : "192.0.2.1";
}

}  // namespace

TEST_CASE("families: an error from the client's side reaches the backend",
          "[dataplane][families]") {
    for (const Family clients : {Family::v4, Family::v6}) {
        FamiliesTalk talk(clients);
        talk.open();
        const bool v6 = clients == Family::v6;
        // About a reply, as the client knows it and as the backend sent it.
        const Bytes known = ip_packet({.ttl = 5, .id = 9, .field = 0x4000}, talk.world.vip,
                                      talk.world.client, talk.tcp_at_client(ack, filled(20)));
        const Bytes was = ip_packet({.ttl = 5, .field = 0x4000}, talk.world.backend,
                                    talk.world.pool, talk.tcp_reply(ack, filled(20)));
        const Bytes in = error_packet(router_of(talk.world.vip), talk.world.vip, v6 ? 2 : 3,
                                      v6 ? 0 : 4, 1400, known, 64, 0xc0);
        REQUIRE(talk.run(from("02:00:00:00:00:01", in)).is_sent());
        CHECK(talk.sent_without_id() == error_packet(talk.world.pool, talk.world.backend,
                                                     v6 ? 3 : 2, v6 ? 4 : 0, v6 ? 1380 : 1420, was,
                                                     63, 0xc0));
    }
}

TEST_CASE("families: an error from the backend's side reaches the client",
          "[dataplane][families]") {
    for (const Family clients : {Family::v4, Family::v6}) {
        FamiliesTalk talk(clients);
        talk.open();
        const bool v6 = clients == Family::v6;
        const Bytes known = ip_packet({.ttl = 5, .id = 9, .field = 0x4000}, talk.world.pool,
                                      talk.world.backend, talk.tcp_at_backend(ack, filled(20)));
        const Bytes was = ip_packet({.ttl = 5, .field = 0x4000}, talk.world.client, talk.world.vip,
                                    talk.tcp_asked(ack, filled(20)));
        // The port is closed, says the backend; a router says that it is far.
        for (const std::string& teller : {talk.world.backend, router_of(talk.world.pool)}) {
            const bool closed = teller == talk.world.backend;
            const Bytes in = v6 ? error_packet(teller, talk.world.pool, closed ? 3 : 11,
                                               closed ? 3 : 1, 0, known)
                                : error_packet(teller, talk.world.pool, closed ? 1 : 3,
                                               closed ? 4 : 1, 0, known);
            REQUIRE(talk.run(from(backend_mac, in)).is_sent());
            const Bytes out = v6 ? error_packet(talk.world.vip, talk.world.client, closed ? 1 : 3,
                                                closed ? 4 : 1, 0, was, 63)
                                 : error_packet(talk.world.vip, talk.world.client, closed ? 3 : 11,
                                                closed ? 3 : 1, 0, was, 63);
            CHECK(talk.sent_without_id() == out);
        }
    }
}

TEST_CASE("families: an error about a fragment", "[dataplane][families]") {
    FamiliesTalk talk(Family::v6);
    talk.open(17);
    const Bytes segment = talk.udp_at_client(filled(40)), reply = talk.udp_reply(filled(40));
    const Bytes known = ip_packet(
        {.protocol = 17, .next = 44, .extensions = fragment_header(17, 0, true, 0xffff0007)},
        talk.world.vip, talk.world.client, cut(segment, 0, 24));
    Bytes was = ip_packet({.protocol = 17, .id = 7, .field = 0x2000}, talk.world.backend,
                          talk.world.pool, cut(reply, 0, 24));
    REQUIRE(talk.run(from("02:00:00:00:00:01",
                          error_packet("2001:db8:99::1", talk.world.vip, 3, 1, 0, known)))
                .is_sent());
    CHECK(talk.sent_without_id() ==
          error_packet(talk.world.pool, talk.world.backend, 11, 1, 0, was, 63));
}

TEST_CASE("families: eight bytes are enough, and too much is cut", "[dataplane][families]") {
    FamiliesTalk talk(Family::v6);
    talk.open();
    const auto ask = [&](std::size_t quoted) {
        const Bytes known =
            ip_packet({}, talk.world.vip, talk.world.client, talk.tcp_at_client(ack, filled(1180)));
        return talk.run(from("02:00:00:00:00:01", error_packet("2001:db8:99::1", talk.world.vip, 1,
                                                               0, 0, cut(known, 0, 40 + quoted))));
    };
    REQUIRE(ask(8).is_sent());
    CHECK(talk.sent().size() == 20 + 8 + 20 + 8);
    REQUIRE(ask(1192).is_sent());
    CHECK(talk.sent().size() == 576);
    CHECK(internet_checksum(cut(talk.sent(), 20, 576)) == 0);
}

TEST_CASE("families: extensions of an error stay behind", "[dataplane][families]") {
    FamiliesTalk talk(Family::v6);
    talk.open();
    const Bytes known = ip_packet({.field = 0x4000}, talk.world.pool, talk.world.backend,
                                  talk.tcp_at_backend(ack, filled(88)));  // 128 bytes
    const Bytes was =
        ip_packet({}, talk.world.client, talk.world.vip, talk.tcp_asked(ack, filled(88)));
    const Bytes labels{0x20, 0, 0, 0, 0, 8, 1, 1, 0, 0, 1, 0x40};
    const std::uint32_t words = 128 / 4;
    REQUIRE(talk.run(from(backend_mac, error_packet("192.0.2.1", talk.world.pool, 11, 0,
                                                    words << 16, known + labels)))
                .is_sent());
    CHECK(talk.sent() == error_packet(talk.world.vip, talk.world.client, 3, 0, 0, was, 63));
}

TEST_CASE("families: what the other family cannot say is dropped, as it was",
          "[dataplane][families]") {
    FamiliesTalk talk(Family::v6);
    talk.open();
    const Bytes known = ip_packet({.field = 0x4000}, talk.world.pool, talk.world.backend,
                                  talk.tcp_at_backend(ack, filled(20)));
    for (const auto& [type, code] : {std::pair{4, 0}, {3, 14}, {12, 1}}) {
        const Bytes frame = from(
            backend_mac, error_packet("192.0.2.1", talk.world.pool, static_cast<std::uint8_t>(type),
                                      static_cast<std::uint8_t>(code), 0, known));
        const Verdict verdict = talk.run(frame);
        CHECK(verdict.reason == DropReason::icmp_bad);
        CHECK(talk.worker.sent == frame);
    }
    const Bytes good =
        from(backend_mac, error_packet("192.0.2.1", talk.world.pool, 3, 1, 0, known));
    talk.headroom = 30;
    CHECK(talk.run(good).reason == DropReason::no_headroom);
    CHECK(talk.worker.sent == good);
    talk.headroom = 40;
    CHECK(talk.run(good).is_sent());
}

TEST_CASE("families: an error that is longer than its checksum is verified is dropped",
          "[dataplane][families]") {
    FamiliesTalk talk(Family::v6);
    talk.open();
    const Bytes known = ip_packet({.field = 0x4000}, talk.world.pool, talk.world.backend,
                                  talk.tcp_at_backend(ack, filled(1300)));
    const auto error = [&](std::size_t length) {
        return from(backend_mac, error_packet("192.0.2.1", talk.world.pool, 3, 1, 0,
                                              cut(known, 0, length - 28)));
    };
    CHECK(talk.run(error(1280)).is_sent());
    CHECK(talk.run(error(1281)).reason == DropReason::icmp_bad);
}

TEST_CASE("families: an error that told the address counts that, too", "[dataplane][families]") {
    FamiliesTalk talk(Family::v6, ClientAddress::toa);
    talk.open();
    const Bytes known = ip_packet({.field = 0x4000}, talk.world.pool, talk.world.backend,
                                  talk.tcp_at_backend(ack, filled(20)));
    REQUIRE(
        talk.run(from(backend_mac, error_packet("192.0.2.1", talk.world.pool, 3, 4, 1400, known)))
            .is_sent());
    CHECK(cut(talk.sent(), 40, 48) ==
          Bytes{2, 0} + cut(talk.sent(), 42, 44) + Bytes{0, 0, 1400 >> 8, 1400 & 0xff});
}
