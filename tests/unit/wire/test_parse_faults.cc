// SPDX-License-Identifier: BSD-3-Clause
// Broken frames: each fault has its status, and no byte outside the frame is read.
#include <random>

#include <catch2/catch.hpp>

#include "tests/unit/wire/frames.hh"

namespace weir {

using namespace test;

namespace {

Bytes good_ipv4() {
    return ethernet(ether_type_ipv4, ipv4({}, tcp(1, 2, tcp_ack, 8)));
}
Bytes good_ipv6() {
    return ethernet(ether_type_ipv6, ipv6({}, tcp(1, 2, tcp_ack, 8)));
}

L3Status l3_of(const Bytes& frame, const ParseOptions& options = {}) {
    return parse_exact(frame, options).l3;
}
L4Status l4_of(const Bytes& frame) {
    const auto parsed = parse_exact(frame);
    CHECK(parsed.l3 == L3Status::ip);
    return parsed.l4;
}

// One sound frame of every kind.
std::vector<Bytes> valid_frames() {
    Bytes fragment{proto_tcp, 0, 0, 1, 0, 0, 0, 9};
    append(fragment, tcp(1, 2));
    Bytes chain = extension(60, 2, extension(43, 1, extension(proto_udp, 3, udp(1, 2))));
    return {good_ipv4(),
            good_ipv6(),
            ethernet(ether_type_ipv4, ipv4({.protocol = proto_udp}, udp(1, 2))),
            ethernet(ether_type_ipv4, ipv4({.options = Bytes(40, 1)}, tcp(1, 2))),
            ethernet(ether_type_ipv4, ipv4({.options = {7, 7, 4, 0, 0, 0, 0}}, tcp(1, 2))),
            ethernet(ether_type_ipv4, ipv4({.fragment = 0x2000}, tcp(1, 2))),
            ethernet(ether_type_ipv4, ipv4({.protocol = proto_icmp}, {8, 0, 0, 0, 0, 0, 0, 0})),
            ethernet(ether_type_ipv4, ipv4({}, tcp(1, 2)), {{ether_type_vlan, 0}}),
            ethernet(ether_type_ipv6, ipv6({.next_header = proto_udp}, udp(1, 2))),
            ethernet(ether_type_ipv6, ipv6({.next_header = 44}, fragment)),
            ethernet(ether_type_ipv6, ipv6({.next_header = 0}, chain)),
            ethernet(ether_type_ipv6, ipv6({}, tcp(1, 2)), {{ether_type_vlan, 0}}),
            ethernet(ether_type_arp, Bytes(28, 0))};
}

}  // namespace

TEST_CASE("parse: every truncation of every frame is refused and never overread", "[wire]") {
    for (const Bytes& frame : valid_frames()) {
        for (std::size_t size = 0; size < frame.size(); ++size) {
            const std::span<const std::uint8_t> cut(frame.data(), size);
            // Cut on the wire: the packet is shorter than it says.
            const auto parsed = parse_exact(cut, {}, std::max<std::size_t>(size, 1));
            if (size < 14) {
                CHECK(parsed.l3 == L3Status::l2_truncated);
            } else {
                CHECK(parsed.l3 != L3Status::ip);
            }
            // Cut by segments: what lies behind is there, but not to be read.
            const auto split = parse_exact(cut, {}, frame.size());
            if (split.l3 == L3Status::ip && split.l4 == L4Status::ok) {
                CHECK(split.l4_offset + 8u <= size);
            }
        }
    }
}

TEST_CASE("parse: a frame longer than its whole length is refused", "[wire]") {
    const Bytes frame = good_ipv4();
    CHECK(parse_exact(frame, {}, frame.size() - 1).l3 == L3Status::l2_truncated);
}

TEST_CASE("parse: a tag without its last bytes is a truncated frame", "[wire]") {
    const Bytes frame = ethernet(ether_type_ipv4, {}, {{ether_type_vlan, 0}});
    for (std::size_t size = 14; size < 18; ++size)
        CHECK(parse_exact({frame.data(), size}).l3 == L3Status::l2_truncated);
}

TEST_CASE("parse: IPv4 version and header length that contradict the frame", "[wire]") {
    for (unsigned version = 0; version < 16; ++version) {
        for (unsigned words = 0; words < 16; ++words) {
            Bytes frame = good_ipv4();  // 48 bytes from the IP header on: 12 words
            frame[14] = static_cast<std::uint8_t>(version << 4 | words);
            const bool sound = version == 4 && words >= 5 && words <= 12;
            const L3Status status = l3_of(frame, {.ip_checksum = NicChecksum::good});
            if (!sound) {
                CHECK(status == L3Status::ip_bad_header);
            } else {
                CHECK(status != L3Status::ip_bad_header);
            }
        }
    }
}

TEST_CASE("parse: IPv4 total length beyond the frame or below the header", "[wire]") {
    for (const unsigned total : {0u, 19u, 20u, 47u, 48u, 49u, 0xffffu}) {
        Bytes frame = good_ipv4();
        put16(frame, 16, total);
        fix_ipv4_checksum(frame, 14);
        CHECK((l3_of(frame) == L3Status::ip) == (total >= 20 && total <= 48));
        if (total < 20 || total > 48) {
            CHECK(l3_of(frame) == L3Status::ip_bad_length);
        }
    }
    Bytes options = ethernet(ether_type_ipv4, ipv4({.options = Bytes(8, 1)}, tcp(1, 2)));
    put16(options, 16, 27);
    fix_ipv4_checksum(options, 14);
    CHECK(l3_of(options) == L3Status::ip_bad_length);
}

TEST_CASE("parse: every single-bit error of the IPv4 header is noticed", "[wire][property]") {
    for (const Bytes& options : {Bytes{}, Bytes(40, 1)}) {
        const Bytes frame = ethernet(ether_type_ipv4, ipv4({.options = options}, tcp(1, 2)));
        for (std::size_t bit = 0; bit < (20 + options.size()) * 8; ++bit) {
            Bytes spoilt = frame;
            spoilt[14 + bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
            const L3Status status = l3_of(spoilt);
            CHECK((status == L3Status::ip_bad_checksum || status == L3Status::ip_bad_header));
            // The NIC's word is taken instead of our own sum.
            if (bit / 8 == 10) {
                CHECK(l3_of(spoilt, {.ip_checksum = NicChecksum::good}) == L3Status::ip);
            }
        }
        CHECK(l3_of(frame, {.ip_checksum = NicChecksum::bad}) == L3Status::ip_bad_checksum);
        CHECK(l3_of(frame, {.ip_checksum = NicChecksum::good}) == L3Status::ip);
    }
}

TEST_CASE("parse: the software checksum agrees with RFC 1071 on random headers",
          "[wire][property]") {
    std::mt19937 random(7);
    for (int round = 0; round < 50'000; ++round) {
        const std::size_t options = random() % 11 * 4;
        Ipv4Fields fields{.options = Bytes(options, 1)};
        for (std::size_t i = 0; i < 4; ++i) {
            fields.source.bytes[i] = static_cast<std::uint8_t>(random());
            fields.destination.bytes[i] =
                static_cast<std::uint8_t>(round % 5 == 0 ? 0xff : random());
        }
        Bytes frame = ethernet(ether_type_ipv4, ipv4(fields, tcp(1, 2)));
        REQUIRE(l3_of(frame) == L3Status::ip);
        const unsigned sum = static_cast<unsigned>(frame[24]) << 8 | frame[25];
        put16(frame, 24, sum + 1 + static_cast<unsigned>(random()) % 0xfffd);
        const bool still = checksum_sum({frame.data() + 14, 20 + options}) == 0xffff;
        REQUIRE((l3_of(frame) == L3Status::ip) == still);
    }
}

TEST_CASE("parse: IPv4 source routes and broken options", "[wire]") {
    const auto with = [](const Bytes& options) {
        return l3_of(ethernet(ether_type_ipv4, ipv4({.options = options}, tcp(1, 2))));
    };
    CHECK(with({131, 7, 4, 10, 0, 0, 1}) == L3Status::ip_source_route);
    CHECK(with({137, 3, 4}) == L3Status::ip_source_route);
    CHECK(with({1, 1, 1, 7, 3, 4, 1, 131, 3, 4}) == L3Status::ip_source_route);
    CHECK(with({0, 137, 3, 4}) == L3Status::ip);  // behind the end of the list
    CHECK(with({7, 0, 0, 0}) == L3Status::ip_bad_option);
    CHECK(with({7, 1, 0, 0}) == L3Status::ip_bad_option);
    CHECK(with({131, 0, 0, 0}) == L3Status::ip_bad_option);
    CHECK(with({7, 5, 0, 0}) == L3Status::ip_bad_option);
    CHECK(with({7, 255, 0, 0}) == L3Status::ip_bad_option);
    CHECK(with({1, 1, 7, 4}) == L3Status::ip_bad_option);
    CHECK(with({1, 1, 1, 7}) == L3Status::ip_bad_option);  // no room for its length
    // The same at the very end of the frame: nothing behind it may be read.
    CHECK(l3_of(ethernet(ether_type_ipv4, ipv4({.options = {1, 1, 1, 7}}, {}))) ==
          L3Status::ip_bad_option);
    Bytes last(40, 1);
    last[38] = 131;
    last[39] = 2;
    CHECK(with(last) == L3Status::ip_source_route);
}

TEST_CASE("parse: IPv6 version, length and jumbograms", "[wire]") {
    Bytes frame = good_ipv6();
    for (unsigned version = 0; version < 16; ++version) {
        frame[14] = static_cast<std::uint8_t>(version << 4);
        CHECK(l3_of(frame) == (version == 6 ? L3Status::ip : L3Status::ip_bad_header));
    }
    frame = good_ipv6();
    put16(frame, 18, 29);
    CHECK(l3_of(frame) == L3Status::ip_bad_length);
    put16(frame, 18, 28);
    CHECK(l3_of(frame) == L3Status::ip);
    put16(frame, 18, 0xffff);  // 65575 bytes in all: more than any field of ours holds
    CHECK(parse_exact(frame, {}, 80'000).l3 == L3Status::ip_bad_length);
    put16(frame, 18, 0xffff - 40);
    CHECK(parse_exact(frame, {}, 80'000).l3 == L3Status::ip);

    Bytes jumbo =
        ethernet(ether_type_ipv6, ipv6({.next_header = 0}, extension(proto_tcp, 1, tcp(1, 2))));
    put16(jumbo, 18, 0);
    CHECK(l3_of(jumbo) == L3Status::ip_bad_length);
}

TEST_CASE("parse: at most 8 extension headers and 256 bytes of them", "[wire]") {
    const auto chain_of = [](unsigned headers, unsigned units) {
        Bytes rest = tcp(1, 2);
        std::uint8_t next = proto_tcp;
        for (unsigned i = 0; i < headers; ++i, next = 60)
            rest = extension(next, units, rest);
        return ethernet(ether_type_ipv6, ipv6({.next_header = next}, rest));
    };
    CHECK(l3_of(chain_of(8, 1)) == L3Status::ip);
    CHECK(l3_of(chain_of(9, 1)) == L3Status::ipv6_ext_chain);
    CHECK(l3_of(chain_of(50, 1)) == L3Status::ipv6_ext_chain);
    CHECK(l3_of(chain_of(8, 4)) == L3Status::ip);
    CHECK(l3_of(chain_of(1, 32)) == L3Status::ip);
    CHECK(l3_of(chain_of(1, 33)) == L3Status::ipv6_ext_chain);
    CHECK(l3_of(chain_of(2, 17)) == L3Status::ipv6_ext_chain);
    CHECK(parse_exact(chain_of(9, 1)).ip_length == 0);  // nothing of a refused packet is told

    Bytes past = chain_of(1, 1);
    past[55] = 255;  // longer than the packet
    CHECK(l3_of(past) == L3Status::ipv6_ext_chain);
    // Past the packet though not past the frame: padding is not a header.
    Bytes padded = chain_of(1, 1);
    put16(padded, 18, 7);
    CHECK(l3_of(padded) == L3Status::ipv6_ext_chain);
    // Past the first segment.
    const Bytes whole = chain_of(2, 4);
    CHECK(parse_exact({whole.data(), 54 + 40}, {}, whole.size()).l3 == L3Status::ipv6_ext_chain);
}

TEST_CASE("parse: IPv6 routing header type 0 is a source route, others are not", "[wire]") {
    Bytes frame =
        ethernet(ether_type_ipv6, ipv6({.next_header = 43}, extension(proto_tcp, 3, tcp(1, 2))));
    frame[56] = 0;
    CHECK(l3_of(frame) == L3Status::ip_source_route);
    for (const std::uint8_t type : std::initializer_list<std::uint8_t>{2, 3, 4}) {
        frame[56] = type;
        CHECK(l3_of(frame) == L3Status::ip);
    }
}

TEST_CASE("parse: TCP data offset below 5 or past the end", "[wire]") {
    for (const bool six : {false, true}) {
        Bytes frame = six ? good_ipv6() : good_ipv4();  // 8 bytes behind the plain header
        const std::size_t at = six ? 54 : 34;
        for (unsigned words = 0; words < 16; ++words) {
            frame[at + 12] = static_cast<std::uint8_t>(words << 4 | 0xf);
            CHECK(l4_of(frame) == (words >= 5 && words <= 7 ? L4Status::ok : L4Status::bad_length));
        }
    }
    // Options that would lie in the padding of the frame
    Bytes padded = ethernet(ether_type_ipv4, ipv4({}, tcp(1, 2)));
    padded[34 + 12] = 0x60;
    padded.resize(80);
    CHECK(l4_of(padded) == L4Status::bad_length);
    Bytes odd = ethernet(ether_type_ipv4, ipv4({}, tcp(1, 2, tcp_ack, 7)));
    odd[34 + 12] = 0x70;  // one byte too long
    CHECK(l4_of(odd) == L4Status::bad_length);
    CHECK(l4_of(ethernet(ether_type_ipv4, ipv4({}, Bytes(19, 0x50)))) == L4Status::bad_length);
    CHECK(l4_of(ethernet(ether_type_ipv4, ipv4({}, {}))) == L4Status::bad_length);
}

TEST_CASE("parse: UDP length below 8 or past the payload", "[wire]") {
    for (const unsigned length : {0u, 7u, 8u, 11u, 12u, 13u, 0xffffu}) {
        Bytes frame = ethernet(ether_type_ipv4, ipv4({.protocol = proto_udp}, udp(1, 2)));
        put16(frame, 38, length);
        frame.resize(80);
        CHECK(l4_of(frame) == (length >= 8 && length <= 12 ? L4Status::ok : L4Status::bad_length));
    }
    CHECK(l4_of(ethernet(ether_type_ipv4, ipv4({.protocol = proto_udp}, Bytes(7, 1)))) ==
          L4Status::bad_length);
}

TEST_CASE("parse: UDP without a checksum is legal on IPv4 alone", "[wire]") {
    const Bytes bare = udp(1, 2, 4, 0);
    CHECK(l4_of(ethernet(ether_type_ipv4, ipv4({.protocol = proto_udp}, bare))) == L4Status::ok);
    CHECK(l4_of(ethernet(ether_type_ipv6, ipv6({.next_header = proto_udp}, bare))) ==
          L4Status::udp_zero_checksum);
}

TEST_CASE("parse: TCP flags that no stack sends", "[wire]") {
    for (unsigned flags = 0; flags < 256; ++flags) {
        const bool syn = (flags & 0x02) != 0, fin = (flags & 0x01) != 0, rst = (flags & 0x04) != 0,
                   ack = (flags & 0x10) != 0, data = (flags & 0x28) != 0;
        const bool contradict = (syn && (fin || rst)) || (fin && !ack) || (data && !ack && !syn) ||
                                (!syn && !fin && !rst && !ack && !data);
        CHECK(tcp_flags_contradict(static_cast<std::uint8_t>(flags)) == contradict);
        const Bytes frame =
            ethernet(ether_type_ipv4, ipv4({}, tcp(1, 2, static_cast<std::uint8_t>(flags))));
        CHECK(l4_of(frame) == (contradict ? L4Status::bad_flags : L4Status::ok));
    }
}

TEST_CASE("parse: random changes to sound frames keep the promises", "[wire][property]") {
    std::mt19937 random(8);
    const auto frames = valid_frames();
    for (int round = 0; round < 200'000; ++round) {
        Bytes frame = frames[random() % frames.size()];
        for (std::size_t changes = random() % 4; changes > 0; --changes)
            frame[12 + random() % (frame.size() - 12)] = static_cast<std::uint8_t>(random());
        frame.resize(frame.size() - random() % 3 + random() % 20);
        const std::size_t behind = random() % 2 * (random() % 2000);
        const auto parsed =
            parse_exact(frame, {.ip_checksum = NicChecksum::good}, frame.size() + behind);
        if (parsed.l3 != L3Status::ip) {
            REQUIRE(parsed.ip_length == 0);
            continue;
        }
        REQUIRE(parsed.l3_offset + parsed.ip_length <= frame.size() + behind);
        REQUIRE(parsed.l4_offset <= frame.size());
        REQUIRE(parsed.l4_offset - parsed.l3_offset <= parsed.ip_length);
        if (parsed.l4 == L4Status::ok) {
            REQUIRE(parsed.l4_offset + (parsed.protocol == proto_tcp ? 20u : 8u) <= frame.size());
        }
    }
}

}  // namespace weir
