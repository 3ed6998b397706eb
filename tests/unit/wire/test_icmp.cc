// SPDX-License-Identifier: BSD-3-Clause
// Which flow an ICMP error is about, whatever is cut off or wrong.
#include <catch2/catch.hpp>

#include "lib/wire/icmp.hh"
#include "tests/unit/wire/frames.hh"

using namespace weir;
using namespace weir::test;

namespace {

using Kind = IcmpMessage::Kind;
using Status = EmbeddedPacket::Status;

constexpr std::size_t icmp_at_v4 = 14 + 20, icmp_at_v6 = 14 + 40;
const IpAddress vip = ip("192.0.2.10"), vip6 = ip("2001:db8:f::80");

// What the backend sent to the client.
Bytes answer4(std::uint8_t protocol = proto_tcp, const Bytes& payload = tcp(443, 40000),
              std::uint16_t fragment = 0x4000, const Bytes& options = {}) {
    return ipv4({.source = vip,
                 .destination = ip("10.1.2.3"),
                 .protocol = protocol,
                 .fragment = fragment,
                 .options = options},
                payload);
}
Bytes answer6(const Bytes& payload = tcp(443, 40000), std::uint8_t next = proto_tcp) {
    return ipv6({.source = vip6, .destination = ip("2001:db8::1"), .next_header = next}, payload);
}

Bytes message(std::uint8_t type, std::uint8_t code, std::uint32_t rest, const Bytes& embedded) {
    Bytes bytes{type, code, 0, 0};
    append16(bytes, rest >> 16);
    append16(bytes, rest & 0xffff);
    append(bytes, embedded);
    return bytes;
}
// From a router on the way; to the VIP unless `to` says otherwise.
Bytes error4(const Bytes& embedded, std::uint8_t type = 3, std::uint8_t code = 4,
             std::uint32_t rest = 1400, const IpAddress& to = vip) {
    Bytes body = message(type, code, rest, embedded);
    put16(body, 2, checksum_finish(checksum_sum(body)));
    return ethernet(
        ether_type_ipv4,
        ipv4({.source = ip("198.51.100.77"), .destination = to, .protocol = proto_icmp}, body));
}
Bytes error6(const Bytes& embedded, std::uint8_t type = 2, std::uint32_t rest = 1400,
             const IpAddress& to = vip6) {
    const Ipv6Fields fields{
        .source = ip("2001:db8:77::1"), .destination = to, .next_header = proto_icmp6};
    Bytes body = message(type, 0, rest, embedded);
    const auto length = static_cast<std::uint32_t>(body.size());
    put16(body, 2,
          checksum_finish(
              checksum_sum(body, pseudo_header_sum(fields.source.bytes, fields.destination.bytes,
                                                   proto_icmp6, length))));
    return ethernet(ether_type_ipv6, ipv6(fields, body));
}

// Read from a heap buffer of exactly the size.
struct Read {
    Parsed parsed;
    IcmpMessage message;
    bool sum = false;
};
Read read(std::span<const std::uint8_t> frame, std::size_t frame_length = 0) {
    const std::unique_ptr<std::uint8_t[]> copy(new std::uint8_t[frame.size()]);
    std::copy(frame.begin(), frame.end(), copy.get());
    const std::span<const std::uint8_t> exact{copy.get(), frame.size()};
    const auto length = static_cast<std::uint32_t>(frame_length != 0 ? frame_length : frame.size());
    Read result{parse(exact, length, {}), {}, false};
    if (result.parsed.l3 != L3Status::ip || result.parsed.l4 != L4Status::other) return result;
    result.message = read_icmp(exact, result.parsed);
    result.sum = icmp_sum_is_good(exact, result.parsed);
    return result;
}

Status status(const Bytes& frame) {
    return read(frame).message.embedded.status;
}

}  // namespace

TEST_CASE("icmp: an error names the flow of the packet inside", "[wire][icmp]") {
    const Bytes options{1, 1, 1, 1, 1, 1, 1, 1};
    const auto [frame, at, protocol] = GENERATE_COPY(table<Bytes, std::size_t, std::uint8_t>(
        {{error4(answer4()), icmp_at_v4 + 8, proto_tcp},
         {error4(answer4(proto_udp, udp(443, 40000))), icmp_at_v4 + 8, proto_udp},
         {error4(answer4(proto_tcp, tcp(443, 40000), 0x2000)), icmp_at_v4 + 8, proto_tcp},
         {error4(answer4(proto_tcp, tcp(443, 40000), 0, options)), icmp_at_v4 + 8, proto_tcp},
         {error4(answer4(), 11, 0, 0), icmp_at_v4 + 8, proto_tcp},
         {error4(answer4(), 12, 0, 0), icmp_at_v4 + 8, proto_tcp},
         {error4(answer4(), 4, 0, 0), icmp_at_v4 + 8, proto_tcp},
         {error6(answer6()), icmp_at_v6 + 8, proto_tcp},
         {error6(answer6(udp(443, 40000), proto_udp), 1, 0), icmp_at_v6 + 8, proto_udp},
         {error6(answer6(), 3, 0), icmp_at_v6 + 8, proto_tcp},
         {error6(answer6(), 4, 7), icmp_at_v6 + 8, proto_tcp},
         {error6(answer6(extension(60, 2, extension(proto_tcp, 3, tcp(443, 40000))), 0)),
          icmp_at_v6 + 8, proto_tcp}}));
    const Read got = read(frame);
    CHECK(got.message.kind == Kind::error);
    CHECK(got.message.embedded.status == Status::flow);
    CHECK(got.message.embedded_offset == at);
    CHECK(got.message.embedded.protocol == protocol);
    CHECK(got.message.embedded.source_port == 443);
    CHECK(got.message.embedded.destination_port == 40000);
    CHECK(got.message.about_destination);
    CHECK(got.sum);
}

TEST_CASE("icmp: the identifier of an echo request, and of an echo reply that an error is about",
          "[wire][icmp]") {
    const auto request4 = [](const Bytes& body, std::uint8_t protocol = proto_icmp) {
        return ethernet(ether_type_ipv4, ipv4({.protocol = protocol}, body));
    };
    const auto request6 = [](const Bytes& body, std::uint8_t next = proto_icmp6) {
        return ethernet(ether_type_ipv6, ipv6({.next_header = next}, body));
    };
    const auto identifier = [](const Bytes& frame) {
        return echo_identifier(frame, parse_exact(frame));
    };
    const std::uint32_t word = 0xabcd'0001;  // and the sequence number
    CHECK(identifier(request4(message(8, 0, word, {1, 2}))) == 0xabcd);
    CHECK(identifier(request6(message(128, 0, word, {}))) == 0xabcd);
    CHECK(identifier(request6(extension(proto_icmp6, 1, message(128, 0, word, {})), 60)) == 0xabcd);
    // Another type, another family's, cut off, or no ICMP.
    for (const unsigned type : {0U, 3U, 13U, 128U, 129U})
        CHECK_FALSE(identifier(request4(message(static_cast<std::uint8_t>(type), 0, word, {}))));
    for (const unsigned type : {0U, 8U, 129U, 135U})
        CHECK_FALSE(identifier(request6(message(static_cast<std::uint8_t>(type), 0, word, {}))));
    CHECK_FALSE(identifier(request4({8, 0, 0, 0, 0xab, 0xcd, 0})));
    CHECK_FALSE(identifier(request4(message(8, 0, word, {}), 47)));
    CHECK_FALSE(identifier(request6(message(128, 0, word, {}), proto_icmp)));

    for (const Read& got : {read(error4(answer4(proto_icmp, message(0, 0, word, {})))),
                            read(error6(answer6(message(129, 0, word, {}), proto_icmp6)))}) {
        CHECK(got.message.embedded.status == Status::echo_reply);
        CHECK(got.message.embedded.source_port == 0);
        CHECK(got.message.embedded.destination_port == 0xabcd);
    }
}

TEST_CASE("icmp: what an error can be about beside a flow", "[wire][icmp]") {
    CHECK(status(error4(answer4(proto_icmp, message(0, 0, 1, {})))) == Status::echo_reply);
    CHECK(status(error4(answer4(proto_icmp, message(8, 0, 1, {})))) == Status::icmp);
    CHECK(status(error4(answer4(proto_icmp, message(3, 4, 1400, {})))) == Status::icmp_error);
    CHECK(status(error4(answer4(47, Bytes(8)))) == Status::other);
    CHECK(status(error4(answer4(proto_tcp, tcp(443, 40000), 5))) == Status::fragment);
    CHECK(status(error6(answer6(message(129, 0, 1, {}), proto_icmp6))) == Status::echo_reply);
    CHECK(status(error6(answer6(message(128, 0, 1, {}), proto_icmp6))) == Status::icmp);
    CHECK(status(error6(answer6(message(2, 0, 1280, {}), proto_icmp6))) == Status::icmp_error);
    // ICMP of the other family is a protocol like any other.
    CHECK(status(error6(answer6(message(3, 0, 1280, {}), proto_icmp))) == Status::other);
    Bytes first = extension(proto_tcp, 1, tcp(443, 40000)), later = first;
    first[2] = later[2] = 0;
    first[3] = 1;  // more fragments
    later[2] = 8;
    CHECK(status(error6(answer6(first, 44))) == Status::flow);
    CHECK(status(error6(answer6(later, 44))) == Status::fragment);
    Bytes wrong = answer4();
    wrong[0] = 0x55;
    CHECK(status(error4(wrong)) == Status::bad);
    wrong[0] = 0x44;
    CHECK(status(error4(wrong)) == Status::bad);
    CHECK(status(error4(answer6())) == Status::bad);
    CHECK(status(error6(answer4(proto_tcp, tcp(443, 40000, tcp_ack, 40)))) == Status::bad);
    // A chain that is too long in headers, and one in bytes.
    Bytes nine = tcp(443, 40000);
    for (int i = 0; i < 9; ++i)
        nine = extension(i == 0 ? proto_tcp : 60, 1, nine);
    CHECK(status(error6(answer6(nine, 60))) == Status::bad);
    CHECK(status(error6(answer6(extension(proto_tcp, 32, tcp(443, 40000)), 60))) == Status::flow);
    CHECK(status(error6(answer6(extension(proto_tcp, 33, tcp(443, 40000)), 60))) == Status::bad);
}

TEST_CASE("icmp: other messages are no errors", "[wire][icmp]") {
    for (int type = 0; type < 256; ++type) {
        const auto as_type = static_cast<std::uint8_t>(type);
        const bool v4 = type == 3 || type == 4 || type == 11 || type == 12;
        const bool v6 = type >= 1 && type <= 4;
        CHECK((read(error4(answer4(), as_type, 0, 0)).message.kind == Kind::error) == v4);
        CHECK((read(error6(answer6(), as_type, 1280)).message.kind == Kind::error) == v6);
    }
    // ICMP over IPv6, ICMPv6 over IPv4.
    Bytes crossed = error4(answer4(), 1);
    crossed[14 + 9] = proto_icmp6;
    fix_ipv4_checksum(crossed, 14);
    CHECK(read(crossed).message.kind == Kind::not_error);
}

TEST_CASE("icmp: an error about a packet of somebody else", "[wire][icmp]") {
    CHECK_FALSE(read(error4(answer4(), 3, 4, 1400, ip("192.0.2.11"))).message.about_destination);
    CHECK_FALSE(read(error6(answer6(), 2, 1400, ip("2001:db8:f::81"))).message.about_destination);
}

TEST_CASE("icmp: an MTU that no link has", "[wire][icmp]") {
    const auto kind4 = [](std::uint32_t mtu) { return read(error4(answer4(), 3, 4, mtu)); };
    const auto kind6 = [](std::uint32_t mtu) { return read(error6(answer6(), 2, mtu)); };
    CHECK(kind4(67).message.kind == Kind::bad_error);
    CHECK(kind4(1).message.kind == Kind::bad_error);
    CHECK(kind4(0).message.kind == Kind::error);  // RFC 1191 section 5: an old router
    CHECK(kind4(68).message.kind == Kind::error);
    CHECK(kind4(0xffff'0000).message.kind == Kind::error);  // the upper half is not the MTU's
    CHECK(kind6(1279).message.kind == Kind::bad_error);
    CHECK(kind6(0).message.kind == Kind::bad_error);
    CHECK(kind6(1280).message.kind == Kind::error);
    CHECK(read(error4(answer4(), 3, 3, 5)).message.kind == Kind::error);  // a code without MTU
}

TEST_CASE("icmp: cut anywhere, eight bytes behind the header are needed and enough",
          "[wire][icmp][property]") {
    const Bytes chain = extension(60, 2, extension(proto_udp, 3, udp(443, 40000)));
    struct Sample {
        Bytes frame;
        std::size_t needed;  // of the frame
    };
    const std::vector<Sample> samples{
        {error4(answer4()), icmp_at_v4 + 8 + 20 + 8},
        {error4(answer4(proto_udp, udp(443, 40000), 0, {1, 1, 1, 1})), icmp_at_v4 + 8 + 24 + 8},
        {error6(answer6()), icmp_at_v6 + 8 + 40 + 8},
        {error6(answer6(chain, 0)), icmp_at_v6 + 8 + 40 + 40 + 8}};
    for (const auto& [frame, needed] : samples) {
        const bool v4 = frame[12] == 0x08;
        const Read whole = read(frame);
        REQUIRE(whole.message.embedded.status == Status::flow);
        for (std::size_t size = v4 ? icmp_at_v4 : icmp_at_v6; size < frame.size(); ++size) {
            // The rest lies in further segments; or the packet ends there.
            const std::span<const std::uint8_t> front(frame.data(), size);
            Bytes cut(front.begin(), front.end());
            put16(cut, v4 ? 16 : 18, static_cast<unsigned>(size - (v4 ? 14 : 54)));
            if (v4) fix_ipv4_checksum(cut, 14);
            CHECK_FALSE(read(front, frame.size()).sum);
            for (const Read& got : {read(front, frame.size()), read(cut)}) {
                INFO("size " << size);
                REQUIRE(got.parsed.l4 == L4Status::other);
                CHECK((got.message.embedded.status == Status::flow) == (size >= needed));
            }
        }
    }
}

TEST_CASE("icmp: no wrong bit escapes the checksum", "[wire][icmp][property]") {
    for (const Bytes& good : {error4(answer4()), error4(answer4(proto_udp, udp(443, 40000, 5))),
                              error6(answer6()), error6(answer6(udp(443, 40000, 5), proto_udp))}) {
        REQUIRE(read(good).sum);
        const std::size_t first = good[12] == 0x08 ? icmp_at_v4 : icmp_at_v6;
        for (std::size_t bit = 0; bit < (good.size() - first) * 8; ++bit) {
            Bytes bad = good;
            bad[first + bit / 8] = static_cast<std::uint8_t>(bad[first + bit / 8] ^ 1u << bit % 8);
            REQUIRE_FALSE(read(bad).sum);
        }
    }
    // ICMPv6 covers the addresses, too.
    Bytes moved = error6(answer6());
    moved[14 + 8] ^= 1;
    CHECK_FALSE(read(moved).sum);
}

TEST_CASE("icmp: Ethernet padding is not part of the message", "[wire][icmp]") {
    Bytes padded = error4(answer4(proto_udp, udp(443, 40000, 0)));
    append(padded, Bytes(7, 0xee));
    CHECK(read(padded).sum);
}

TEST_CASE("icmp: what is longer than any error may be is not verified", "[wire][icmp]") {
    Bytes long4 = error4(answer4(proto_tcp, tcp(443, 40000, tcp_ack, 1280 - 68)));
    REQUIRE(long4.size() == 14 + 1280);
    CHECK(read(long4).sum);
    long4[icmp_at_v4 + 5] ^= 1;
    CHECK_FALSE(read(long4).sum);
    Bytes longer4 = error4(answer4(proto_tcp, tcp(443, 40000, tcp_ack, 1281 - 68)));
    longer4[icmp_at_v4 + 5] ^= 1;
    CHECK(read(longer4).sum);
}
