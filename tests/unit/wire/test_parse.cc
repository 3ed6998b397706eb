// SPDX-License-Identifier: BSD-3-Clause
// Sound frames: what parse() says of them.
#include <catch2/catch.hpp>

#include "tests/unit/wire/frames.hh"

namespace weir {

using namespace test;

TEST_CASE("parse: a TCP/IPv4 frame", "[wire]") {
    const auto parsed = parse_exact(
        ethernet(ether_type_ipv4, ipv4({.tos = 0xb9, .ttl = 7}, tcp(1234, 443, tcp_syn, 3))));
    CHECK(parsed.l3 == L3Status::ip);
    CHECK(parsed.l4 == L4Status::ok);
    CHECK(parsed.family == Family::v4);
    CHECK(parsed.protocol == proto_tcp);
    CHECK(parsed.ttl == 7);
    CHECK(parsed.traffic_class == 0xb9);
    CHECK(parsed.tcp_flags == tcp_syn);
    CHECK(parsed.dont_fragment);
    CHECK(parsed.ether_type == ether_type_ipv4);
    CHECK(parsed.l3_offset == 14);
    CHECK(parsed.l4_offset == 34);
    CHECK(parsed.ip_length == 43);
    CHECK(parsed.source_port == 1234);
    CHECK(parsed.destination_port == 443);
}

TEST_CASE("parse: a UDP/IPv6 frame", "[wire]") {
    const auto parsed = parse_exact(ethernet(
        ether_type_ipv6,
        ipv6({.traffic_class = 0xb9, .hop_limit = 7, .next_header = proto_udp}, udp(53, 5353))));
    CHECK(parsed.l3 == L3Status::ip);
    CHECK(parsed.l4 == L4Status::ok);
    CHECK(parsed.family == Family::v6);
    CHECK(parsed.protocol == proto_udp);
    CHECK(parsed.ttl == 7);
    CHECK(parsed.traffic_class == 0xb9);
    CHECK(parsed.dont_fragment);
    CHECK(parsed.l3_offset == 14);
    CHECK(parsed.l4_offset == 54);
    CHECK(parsed.ip_length == 52);
    CHECK(parsed.source_port == 53);
    CHECK(parsed.destination_port == 5353);
}

TEST_CASE("parse: padding of the frame is not part of the packet", "[wire]") {
    Bytes frame = ethernet(ether_type_ipv4, ipv4({}, tcp(1, 2)));
    frame.resize(60);
    CHECK(parse_exact(frame).l4 == L4Status::ok);
    CHECK(parse_exact(frame).ip_length == 40);
    frame = ethernet(ether_type_ipv6, ipv6({}, tcp(1, 2)));
    frame.resize(100);
    CHECK(parse_exact(frame).ip_length == 60);
}

TEST_CASE("parse: the payload may lie in further segments, headers may not", "[wire]") {
    for (const bool six : {false, true}) {
        const Bytes frame = six ? ethernet(ether_type_ipv6, ipv6({}, tcp(1, 2, tcp_ack, 1000)))
                                : ethernet(ether_type_ipv4, ipv4({}, tcp(1, 2, tcp_ack, 1000)));
        const std::size_t headers = frame.size() - 1000;
        const std::span<const std::uint8_t> first(frame.data(), headers);
        const auto whole = parse_exact(frame);
        const auto split = parse_exact(first, {}, frame.size());
        CHECK(split.l4 == L4Status::ok);
        CHECK(split.ip_length == whole.ip_length);
        CHECK(parse_exact(first.first(headers - 1), {}, frame.size()).l4 == L4Status::bad_length);
        // The length of the whole frame counts, not that of the first segment.
        CHECK(parse_exact(first, {}, headers).l3 == L3Status::ip_bad_length);
    }
}

TEST_CASE("parse: protocols without ports are told apart from broken ones", "[wire]") {
    for (const std::uint8_t protocol : {proto_icmp, std::uint8_t{47}, std::uint8_t{50}}) {
        const auto parsed =
            parse_exact(ethernet(ether_type_ipv4, ipv4({.protocol = protocol}, {8, 0, 1})));
        CHECK(parsed.l3 == L3Status::ip);
        CHECK(parsed.l4 == L4Status::other);
        CHECK(parsed.l4_offset == 34);
        CHECK(parsed.protocol == protocol);
        CHECK(parsed.source_port == 0);
    }
    // 59: no next header; nothing may follow, and nothing need
    const auto none = parse_exact(ethernet(ether_type_ipv6, ipv6({.next_header = 59}, {})));
    CHECK(none.l3 == L3Status::ip);
    CHECK(none.l4 == L4Status::other);
}

TEST_CASE("parse: SCTP has ports when its common header is whole", "[wire][property]") {
    Bytes packet;
    append16(packet, 36'412);
    append16(packet, 38'412);
    packet.resize(12 + 16, 0x55);
    for (std::size_t size = 0; size <= packet.size(); ++size) {
        const Bytes payload(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(size));
        for (const bool six : {false, true}) {
            const Bytes frame =
                six ? ethernet(ether_type_ipv6, ipv6({.next_header = proto_sctp}, payload))
                    : ethernet(ether_type_ipv4, ipv4({.protocol = proto_sctp}, payload));
            const Parsed parsed = parse_exact(frame);
            REQUIRE(parsed.l3 == L3Status::ip);
            REQUIRE(parsed.protocol == proto_sctp);
            REQUIRE(parsed.l4 == (size < 12 ? L4Status::bad_length : L4Status::ok));
            REQUIRE(parsed.source_port == (size < 12 ? 0 : 36'412));
            REQUIRE(parsed.destination_port == (size < 12 ? 0 : 38'412));
            REQUIRE(parsed.tcp_flags == 0);
        }
    }
}

TEST_CASE("parse: IPv4 fragments are told, first and later ones", "[wire]") {
    const auto l4_of = [](std::uint16_t field) {
        const auto parsed =
            parse_exact(ethernet(ether_type_ipv4, ipv4({.fragment = field}, tcp(1, 2))));
        CHECK(parsed.l3 == L3Status::ip);
        if (parsed.l4 == L4Status::fragment) {
            CHECK(parsed.fragment.identification == 0x7777);
            CHECK(parsed.fragment.offset == (field & 0x1fff) * 8);
            CHECK(parsed.fragment.more == ((field & 0x2000) != 0));
            CHECK(parsed.fragment.payload_offset == 14 + 20);
            CHECK(parsed.fragment.first ==
                  (parsed.fragment.offset == 0 ? L4Status::ok : L4Status::bad_length));
            CHECK(parsed.source_port == (parsed.fragment.offset == 0 ? 1 : 0));
        }
        return parsed.l4;
    };
    CHECK(l4_of(0x0000) == L4Status::ok);
    CHECK(l4_of(0x4000) == L4Status::ok);
    CHECK(l4_of(0x8000) == L4Status::ok);  // the reserved bit means nothing
    CHECK(l4_of(0x2000) == L4Status::fragment);
    CHECK(l4_of(0x2001) == L4Status::fragment);
    CHECK(l4_of(0x0001) == L4Status::fragment);
    CHECK(l4_of(0x1fff) == L4Status::fragment);
    CHECK_FALSE(
        parse_exact(ethernet(ether_type_ipv4, ipv4({.fragment = 0x2000}, {}))).dont_fragment);
}

TEST_CASE("parse: IPv6 fragments, and atomic ones that are none (RFC 6946)", "[wire]") {
    const auto with_field = [](std::uint16_t field) {
        Bytes header{proto_tcp, 0};
        append16(header, field);
        append(header, {0, 0, 0, 9});
        append(header, tcp(1, 2));
        return parse_exact(ethernet(ether_type_ipv6, ipv6({.next_header = 44}, header)));
    };
    CHECK(with_field(0).l4 == L4Status::ok);
    CHECK(with_field(0).destination_port == 2);
    CHECK(with_field(6).l4 == L4Status::ok);  // reserved bits
    for (const std::uint16_t field :
         std::initializer_list<std::uint16_t>{0x0001, 0x0008, 0xfff8, 0x0009}) {
        const auto parsed = with_field(field);
        CHECK(parsed.l3 == L3Status::ip);
        CHECK(parsed.l4 == L4Status::fragment);
        CHECK(parsed.protocol == proto_tcp);
        CHECK(parsed.l4_offset == 14 + 40 + 8);
        CHECK(parsed.fragment.identification == 9);
        CHECK(parsed.fragment.offset == (field & 0xfff8));
        CHECK(parsed.fragment.more == ((field & 1) != 0));
        CHECK(parsed.fragment.payload_offset == 14 + 40 + 8);
        CHECK(parsed.destination_port == (parsed.fragment.offset == 0 ? 2 : 0));
    }
    // A later fragment that claims a chain of headers: its bytes are data and are not walked.
    Bytes later{60, 0, 0x00, 0x08, 0, 0, 0, 9};
    append(later, {44, 255, 255, 255});
    CHECK(parse_exact(ethernet(ether_type_ipv6, ipv6({.next_header = 44}, later))).l4 ==
          L4Status::fragment);
}

TEST_CASE("parse: what a first fragment says of its transport header", "[wire]") {
    const auto first = [](const Bytes& payload, std::uint8_t protocol) {
        return parse_exact(ethernet(ether_type_ipv4,
                                    ipv4({.protocol = protocol, .fragment = 0x2000}, payload)))
            .fragment.first;
    };
    Bytes segment = tcp(1, 2), datagram = udp(1, 2);
    CHECK(first(segment, proto_tcp) == L4Status::ok);
    CHECK(first(datagram, proto_udp) == L4Status::ok);
    // The datagram's length is that of all its fragments together.
    Bytes longer = datagram;
    longer[4] = 0x20;
    CHECK(first(longer, proto_udp) == L4Status::ok);
    longer[4] = 0, longer[5] = 7;
    CHECK(first(longer, proto_udp) == L4Status::bad_length);
    for (std::size_t length = 0; length < 20; ++length) {
        const auto end = static_cast<std::ptrdiff_t>(length);
        CHECK(first({segment.begin(), segment.begin() + end}, proto_tcp) == L4Status::bad_length);
        if (length < 8)
            CHECK(first({datagram.begin(), datagram.begin() + end}, proto_udp) ==
                  L4Status::bad_length);
    }
    CHECK(first(segment, 47) == L4Status::other);
}

TEST_CASE("parse: IPv6 extension headers are walked to the transport header", "[wire]") {
    // Hop-by-hop, destination options, routing (type 4), mobility, HIP and shim6: 8 bytes a unit.
    for (const std::uint8_t type : std::initializer_list<std::uint8_t>{0, 60, 43, 135, 139, 140}) {
        for (const unsigned units : {1u, 2u, 32u}) {
            const Bytes chain = extension(proto_tcp, units, tcp(7, 8));
            const auto parsed =
                parse_exact(ethernet(ether_type_ipv6, ipv6({.next_header = type}, chain)));
            CHECK(parsed.l3 == L3Status::ip);
            CHECK(parsed.l4 == L4Status::ok);
            CHECK(parsed.l4_offset == 54 + units * 8);
            CHECK(parsed.destination_port == 8);
        }
    }
    // Authentication header: four bytes a unit and two more (RFC 4302 2.2).
    Bytes auth{proto_tcp, 4};
    auth.resize(24);
    append(auth, tcp(7, 8));
    const auto parsed = parse_exact(ethernet(ether_type_ipv6, ipv6({.next_header = 51}, auth)));
    CHECK(parsed.l4 == L4Status::ok);
    CHECK(parsed.l4_offset == 54 + 24);
}

TEST_CASE("parse: IPv4 options are stepped over", "[wire]") {
    const Bytes full(40, 1);
    for (const Bytes& options : {Bytes{1, 1, 1, 1}, full, Bytes{7, 7, 4, 0, 0, 0, 0},
                                 Bytes{0, 131, 0, 0}, Bytes{148, 4, 0, 0}, Bytes{1, 68, 2, 1}}) {
        const auto parsed = parse_exact(
            ethernet(ether_type_ipv4, ipv4({.options = options}, tcp(5, 6, tcp_ack, 1))));
        CHECK(parsed.l3 == L3Status::ip);
        CHECK(parsed.l4 == L4Status::ok);
        CHECK(parsed.destination_port == 6);
        CHECK(parsed.l4_offset == 14 + 20 + (options.size() + 3) / 4 * 4);
    }
}

TEST_CASE("parse: VLAN tags by the port's configuration", "[wire]") {
    const Bytes packet = ipv4({}, tcp(5, 6));
    const auto l3_of = [&](std::uint16_t vlan, const std::vector<Tag>& tags,
                           std::uint16_t ether_type = ether_type_ipv4) {
        return parse_exact(ethernet(ether_type, packet, tags), {.vlan = vlan}).l3;
    };
    const Tag priority{ether_type_vlan, 0xe000};
    const auto tag = [](std::uint16_t control) { return Tag{ether_type_vlan, control}; };
    CHECK(l3_of(0, {}) == L3Status::ip);
    CHECK(l3_of(0, {priority}) == L3Status::ip);
    CHECK(l3_of(0, {tag(1)}) == L3Status::vlan_unexpected);
    CHECK(l3_of(7, {tag(7)}) == L3Status::ip);
    CHECK(l3_of(7, {tag(0xf007)}) == L3Status::ip);  // priority and DEI are not part of the id
    CHECK(l3_of(7, {priority}) == L3Status::ip);
    CHECK(l3_of(7, {tag(8)}) == L3Status::vlan_unexpected);
    CHECK(l3_of(7, {}) == L3Status::vlan_unexpected);
    CHECK(l3_of(7, {}, ether_type_arp) == L3Status::vlan_unexpected);
    for (const std::uint16_t vlan : std::initializer_list<std::uint16_t>{0, 7}) {
        CHECK(l3_of(vlan, {tag(vlan), tag(vlan)}) == L3Status::vlan_unexpected);
        CHECK(l3_of(vlan, {tag(vlan), tag(0), tag(0)}) == L3Status::vlan_unexpected);
        CHECK(l3_of(vlan, {{ether_type_qinq, vlan}}) == L3Status::vlan_unexpected);
        CHECK(l3_of(vlan, {{0x9100, vlan}}) == L3Status::vlan_unexpected);
        CHECK(l3_of(vlan, {{ether_type_qinq, vlan}, tag(vlan)}) == L3Status::vlan_unexpected);
        CHECK(l3_of(vlan, {tag(vlan), {ether_type_qinq, vlan}}) == L3Status::vlan_unexpected);
    }
    const auto parsed = parse_exact(ethernet(ether_type_ipv4, packet, {tag(7)}), {.vlan = 7});
    CHECK(parsed.l3_offset == 18);
    CHECK(parsed.l4_offset == 38);
    CHECK(parsed.ether_type == ether_type_ipv4);
    CHECK(parsed.destination_port == 6);
}

TEST_CASE("parse: ARP and other EtherTypes", "[wire]") {
    const Bytes arp(28, 0);
    CHECK(parse_exact(ethernet(ether_type_arp, arp)).l3 == L3Status::arp);
    CHECK(parse_exact(ethernet(ether_type_arp, arp, {{ether_type_vlan, 9}}), {.vlan = 9}).l3 ==
          L3Status::arp);
    for (const std::uint16_t type :
         std::initializer_list<std::uint16_t>{0x88cc, 0x0026, 0x8847, 0x0000, 0xffff}) {
        const auto parsed = parse_exact(ethernet(type, arp));
        CHECK(parsed.l3 == L3Status::not_ip);
        CHECK(parsed.ether_type == type);
        CHECK(parsed.ip_length == 0);
    }
}

}  // namespace weir
