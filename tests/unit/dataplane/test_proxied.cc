// SPDX-License-Identifier: BSD-3-Clause
// Connections of a full-nat service whose backend is told the client's address
// by a PROXY header in front of the stream. To the backend the stream begins 28
// bytes earlier.
#include <string>

#include <catch2/catch.hpp>

#include "tests/unit/dataplane/telling_talk.hh"

using namespace weir;
using namespace weir::test;

namespace {

constexpr std::uint32_t length = 28,
                        first = isn + 1;  // of the header; of the client's stream
constexpr std::uint8_t fin = 0x11, urg_ack = 0x30;
const Bytes header =
    Bytes{0x0d, 0x0a, 0x0d, 0x0a, 0, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, 0x21, 0x11, 0, 12} +
    address("198.18.0.7") + address("203.0.113.10") + Bytes{0x12, 0x67, 0, 80};
const Bytes usual{2, 4, 0x05, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7};

// As it gets to the backend with the header in front.
Segment headed(Segment segment) {
    segment.sequence -= length;
    segment.data = header + segment.data;
    return segment;
}
Segment at(std::uint32_t sequence, const Bytes& data = {}, std::uint8_t flags = ack) {
    return {.flags = flags, .sequence = sequence, .acknowledgment = 7001, .data = data};
}
Segment moved(Segment segment, std::uint32_t sequence) {
    segment.sequence = sequence;
    return segment;
}
Segment acknowledging(std::uint32_t what, std::uint8_t flags = ack) {
    return {.flags = flags, .sequence = 7001, .acknowledgment = what};
}
Segment raised(Segment segment, std::uint32_t acknowledgment) {
    segment.acknowledgment = acknowledgment;
    return segment;
}

struct Proxied : Talk {
    Proxied() : Talk(ClientAddress::proxy_v2) { shift = length; }
};

}  // namespace

TEST_CASE("proxy v2: a connection from its SYN to data both ways", "[dataplane][proxy_v2]") {
    Proxied talk;
    Segment hello{.flags = syn, .sequence = isn, .options = usual};
    CHECK(talk.passes(hello, moved(hello, isn - length)));
    CHECK(talk.passes(hello, moved(hello, isn - length)));  // sent again
    Segment greeted = acknowledging(first - length, syn_ack), lower = raised(greeted, first);
    greeted.options = lower.options = usual;
    lower.options[3] = 0xb4 - length;
    CHECK(talk.returns(greeted, lower));
    CHECK(talk.returns(greeted, lower));
    CHECK(talk.passes(at(first), headed(at(first))));
    CHECK(talk.passes(at(first, filled(101)), headed(at(first, filled(101)))));
    CHECK(talk.passes(at(first + 101, filled(7)), at(first + 101, filled(7))));
    // The backend has the header: from here on nothing differs.
    CHECK(talk.returns(acknowledging(first), acknowledging(first)));
    CHECK(talk.passes(at(first, filled(101)), at(first, filled(101))));
    CHECK(talk.passes(at(first), at(first)));
    CHECK(talk.returns(acknowledging(first + 101), acknowledging(first + 101)));
    CHECK(talk.passes(at(first + 108, {}, fin), at(first + 108, {}, fin)));
}

TEST_CASE("proxy v2: the header is repeated until the backend has it all",
          "[dataplane][proxy_v2]") {
    Proxied talk;
    talk.handshake();
    for (const std::uint32_t got : {first - length, first - 1, first - 5}) {
        CHECK(talk.passes(at(first), headed(at(first))));
        CHECK(talk.passes(at(first, filled(3)), headed(at(first, filled(3)))));
        CHECK(talk.returns(acknowledging(got), acknowledging(first)));
    }
    // Data before it has the header: of a server that speaks first and reads
    // later.
    Segment banner = acknowledging(first - length);
    banner.data = filled(9);
    CHECK(talk.returns(banner, raised(banner, first)));
    CHECK(talk.passes(at(first), headed(at(first))));
    // The SYN-ACK again, for the handshake's last segment was lost.
    CHECK(talk.returns(acknowledging(first - length, syn_ack), acknowledging(first, syn_ack)));
    CHECK(talk.passes(at(first), headed(at(first))));
    CHECK(talk.returns(acknowledging(first + 3), acknowledging(first + 3)));
    CHECK(talk.passes(at(first), at(first)));
}

TEST_CASE("proxy v2: FIN in the first segment, urgent data", "[dataplane][proxy_v2]") {
    Proxied talk;
    talk.handshake();
    CHECK(talk.passes(at(first, {}, fin), headed(at(first, {}, fin))));
    Proxied other;
    other.handshake();
    CHECK(other.passes(at(first, filled(2), fin), headed(at(first, filled(2), fin))));
    Proxied urgent;
    urgent.handshake();
    Segment one = at(first, filled(5), urg_ack);
    one.urgent = 3;
    Segment there = headed(one);
    there.urgent = 3 + length;
    CHECK(urgent.passes(one, there));
}

TEST_CASE("proxy v2: a reset gets through before the header", "[dataplane][proxy_v2]") {
    Proxied talk;
    talk.handshake();
    CHECK(talk.passes(at(first, {}, rst), at(first, {}, rst)));
    Proxied answered;
    answered.handshake();
    CHECK(answered.returns(acknowledging(first - length, rst | ack),
                           acknowledging(first, rst | ack)));
}

TEST_CASE("proxy v2: a refused connection is refused to the client", "[dataplane][proxy_v2]") {
    Proxied talk;
    talk.to_backend({.flags = syn, .sequence = isn});
    Segment refused{.flags = rst | ack, .sequence = 0, .acknowledgment = first - length};
    CHECK(talk.returns(refused, raised(refused, first)));
}

TEST_CASE("proxy v2: no client writes where the header stands", "[dataplane][proxy_v2]") {
    Proxied talk;
    const Segment up = at(first);
    // Neither by data in the SYN,
    Segment hello{.flags = syn, .sequence = isn, .options = usual, .data = header};
    Segment bare = moved(hello, isn - length);
    bare.data = {};
    CHECK(talk.passes(hello, bare));
    talk.to_client(acknowledging(first - length, syn_ack));
    // nor by what comes before the stream: it ends where the backend expects
    // nothing any more.
    for (const std::uint32_t back : {1U, 2U, 27U, 28U, 29U, 500U}) {
        for (const std::size_t size : {0U, 1U, 28U, 29U, 60U, 1000U}) {
            const Segment early = at(first - back, filled(size, 0x41));
            const std::uint32_t end = size > back ? static_cast<std::uint32_t>(size) - back : 0;
            INFO(size << " bytes from " << back << " before");
            CHECK(talk.passes(early, moved(early, first - back - length - end)));
        }
    }
    const Segment bye = at(first - 1, filled(1), fin);
    CHECK(talk.passes(bye, moved(bye, first - 2 - length)));
    // A second SYN, in the hope that Weir takes its numbers for the connection's,
    const Segment other{.flags = syn, .sequence = first - 2 * length};
    CHECK(talk.passes(other, moved(other, first - 3 * length)));
    const Segment lie = at(first - length, header);
    CHECK(talk.passes(lie, moved(lie, first - 2 * length)));
    // after a reset that the backend will not take, too;
    talk.to_backend(at(first + 70'000, {}, rst));
    CHECK(talk.passes(other, moved(other, first - 3 * length)));
    CHECK(talk.passes(lie, moved(lie, first - 2 * length)));
    // what the backend answers to all this ends nothing.
    CHECK(talk.returns(acknowledging(first - length), acknowledging(first)));
    CHECK(talk.passes(lie, moved(lie, first - 2 * length)));
    CHECK(talk.passes(up, headed(up)));
}

TEST_CASE("proxy v2: data in a SYN goes, though a part of it lies in another buffer",
          "[dataplane][proxy_v2]") {
    Proxied talk;
    const Segment hello{.flags = syn, .sequence = isn, .options = usual, .data = filled(300, 0x42)};
    Segment bare = moved(hello, isn - length);
    bare.data = {};
    talk.worker.contiguous = 14 + 40 + 20 + 101;
    CHECK(talk.passes(hello, bare));
}

TEST_CASE("proxy v2: odd data of a SYN leaves the checksum as wrong as it was",
          "[dataplane][proxy_v2]") {
    Proxied talk;
    const Segment hello{.flags = syn, .sequence = isn, .data = filled(7, 0x43)};
    Bytes frame = talk.from_client(hello);
    frame[frame.size() - 2] ^= 0x10;
    REQUIRE(talk.run(frame).is_sent());
    const Bytes sent = talk.sent();
    REQUIRE(sent.size() == 40);
    CHECK(internet_checksum(cut(sent, 0, 20)) == 0);
    CHECK(summed("10.0.0.32", ends_of(talk.worker.sent).destination, 6, cut(sent, 20, 40)) !=
          cut(sent, 20, 40));
}

TEST_CASE("proxy v2: what does not fit with the header is answered", "[dataplane][proxy_v2]") {
    Proxied talk;
    talk.handshake();
    const Segment fits = at(first, filled(1460 - length));
    CHECK(talk.passes(fits, headed(fits)));
    const Segment big = at(first, filled(1460 - length + 1));
    REQUIRE(talk.run(talk.from_client(big)).action == Action::answer);
    CHECK(talk.sent().at(20) == 3);  // fragmentation needed, for what is left beside the header
    CHECK(Bytes{talk.sent().at(26), talk.sent().at(27)} == Bytes{1472 >> 8, 1472 & 0xff});
    CHECK(talk.run(talk.from_client(at(first)), length - 1).reason == DropReason::no_headroom);
    CHECK(talk.to_backend(at(first), length) == talk.at_backend(headed(at(first))));
}

TEST_CASE("proxy v2: fragments carry no header, and may not be SYNs", "[dataplane][proxy_v2]") {
    Proxied talk;
    talk.handshake();
    std::uint16_t datagram = 1;
    const auto piece = [&](const Segment& segment, std::uint16_t fragment, std::size_t end) {
        Ip4 ip = talk.ip_from_client();
        ip.id = datagram++;
        ip.fragment = fragment;
        const Bytes whole = talk.from_client(segment);
        return Ethernet{.destination = our_mac, .source = "02:00:00:00:00:c1"} /
               (ip / cut(whole, 34, 34 + end));
    };
    // The backend waits for what stands before.
    REQUIRE(talk.run(piece(at(first, filled(44)), 0x2000, 40)).is_sent());
    CHECK(cut(talk.sent(), 24, 28) == cut(talk.at_backend(at(first)), 24, 28));
    REQUIRE(talk.run(piece(at(first - 1, filled(44)), 0x2000, 40)).is_sent());
    const std::uint32_t old = first - length - 65'536;
    CHECK(cut(talk.sent(), 24, 28) == cut(talk.at_backend(at(old)), 24, 28));
    CHECK(talk.run(piece({.flags = syn, .sequence = isn, .data = filled(44)}, 0x2000, 40)).reason ==
          DropReason::frag_bad);
}

TEST_CASE("proxy v2: a connection from before a restart goes on without", "[dataplane][proxy_v2]") {
    Proxied talk;
    CHECK(talk.passes(at(5, filled(9)), at(5, filled(9))));
    CHECK(talk.returns(acknowledging(14), acknowledging(14)));
    CHECK(talk.passes(at(5, filled(9)), at(5, filled(9))));
}

TEST_CASE("proxy v2: a tuple used again gets a header of its own", "[dataplane][proxy_v2]") {
    for (const bool closed : {true, false}) {
        Proxied talk;
        talk.handshake();
        talk.to_backend(at(first));
        talk.to_client(acknowledging(first));
        if (closed) talk.to_client(acknowledging(first, fin));
        const std::uint32_t start = 900'000;
        const Segment hello{.flags = syn, .sequence = start - 1};
        CHECK(talk.passes(hello, moved(hello, start - 1 - length)));
        CHECK(talk.returns(acknowledging(start - length, syn_ack), acknowledging(start, syn_ack)));
        CHECK(talk.passes(at(start), headed(at(start))));
    }
}

TEST_CASE("proxy v2: numbers that come round again are left alone", "[dataplane][proxy_v2]") {
    Proxied talk;
    talk.handshake();
    talk.to_backend(at(first));
    talk.to_client(acknowledging(first));
    for (const std::uint32_t back : {1U, 5U, length, length + 1}) {
        CHECK(talk.returns(acknowledging(first - back), acknowledging(first - back)));
        CHECK(talk.passes(at(first - back, filled(60)), at(first - back, filled(60))));
    }
}

TEST_CASE("proxy v2: a connection goes on when a reload changes its service",
          "[dataplane][proxy_v2]") {
    Proxied talk;
    talk.handshake();
    const FullNatWorld plain;
    talk.world.tables.nat = plain.tables.nat;
    CHECK(talk.passes(at(first), headed(at(first))));
    CHECK(talk.returns(acknowledging(first - length), acknowledging(first)));
    const Segment hello{.flags = syn, .sequence = isn};
    CHECK(talk.passes(hello, hello));
}

TEST_CASE(
    "proxy v2: an ICMP error tells the client its own numbers, and the "
    "MTU that is left",
    "[dataplane][proxy_v2]") {
    Proxied talk;
    talk.handshake();
    talk.to_backend(at(first));
    const Ends ends = ends_of(talk.worker.sent);
    const auto told = [&](std::uint32_t sequence, std::uint32_t word, std::size_t size) {
        const Bytes inside =
            Ip4{.source = ends.source, .destination = ends.destination, .ttl = 62} /
            cut(summed(ends.source, ends.destination, 6,
                       Tcp{.source = ends.from, .destination = ends.to, .sequence = sequence} /
                           filled(4)),
                0, size);
        REQUIRE(talk.run(Ethernet{.destination = our_mac, .source = backend_mac} /
                         (Ip4{.source = "10.0.0.77", .destination = ends.source, .protocol = 1} /
                          sound_icmp(3, 4, word, inside)))
                    .is_sent());
        const Bytes sent = talk.sent();
        CHECK(internet_checksum(cut(sent, 20, sent.size())) == 0);
        const auto number = [&](std::size_t at, std::size_t size_of) {
            std::uint32_t value = 0;
            for (std::size_t i = 0; i < size_of; ++i)
                value = value << 8 | sent.at(at + i);
            return value;
        };
        return std::pair(number(52, 4), number(26, 2));
    };
    for (const std::size_t size : {8U, 24U}) {
        CHECK(told(first - length, 1400, size) == std::pair(first, 1400U - 28));
        CHECK(told(isn - length, 1400, size).first == isn);
        CHECK(told(first, 1400, size).first == first);
        CHECK(told(first + 77, 80, size) == std::pair(first + 77, 68U));
    }
}
