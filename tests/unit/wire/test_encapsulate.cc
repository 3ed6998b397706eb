// SPDX-License-Identifier: BSD-3-Clause
#include <array>
#include <cstdint>
#include <random>
#include <set>

#include <catch2/catch.hpp>

#include "lib/wire/checksum.hh"
#include "lib/wire/encapsulate.hh"
#include "lib/wire/headers.hh"

namespace weir {

namespace {

using Outer = std::array<std::uint8_t, 40>;

Outer write(const OuterTemplate& outer, std::uint16_t inner_length, Family inner,
            std::uint8_t traffic_class, std::uint32_t hash) {
    Outer bytes;
    bytes.fill(0xee);
    write_outer(bytes.data(), outer, inner_length, inner, traffic_class, hash);
    return bytes;
}

const Ipv4Header& v4(const Outer& outer) {
    return *reinterpret_cast<const Ipv4Header*>(outer.data());
}
const Ipv6Header& v6(const Outer& outer) {
    return *reinterpret_cast<const Ipv6Header*>(outer.data());
}

IpPrefix random_prefix(std::mt19937& random, Family family) {
    IpPrefix prefix{{{}, family}, 0};
    for (unsigned b = 0; b < prefix.address.size(); ++b)
        prefix.address.bytes[b] = static_cast<std::uint8_t>(random());
    prefix.length = static_cast<std::uint8_t>(random() % (prefix.address.bits() + 1));
    return prefix;
}

}  // namespace

TEST_CASE("encapsulate: the outer IPv4 header, field by field", "[wire]") {
    const auto outer = make_outer_template(*parse_prefix("198.18.64.7"), *parse_ip("10.2.0.9"));
    REQUIRE(outer.length == 20);
    CHECK(outer.entropy_bits == 0);
    for (const Family inner : {Family::v4, Family::v6}) {
        const Outer bytes = write(outer, 1500, inner, 0xb9, 0xdeadbeef);
        const Ipv4Header& ip = v4(bytes);
        CHECK(ip.version_ihl == 0x45);
        CHECK(ip.tos == 0xb9);
        CHECK(ip.total_length.host() == 1520);
        CHECK(ip.id.host() == 0);
        CHECK(ip.fragment.host() == 0x4000);
        CHECK(ip.ttl == 64);
        CHECK(ip.protocol == (inner == Family::v4 ? 4 : 41));
        CHECK(ip.source == std::array<std::uint8_t, 4>{198, 18, 64, 7});
        CHECK(ip.destination == std::array<std::uint8_t, 4>{10, 2, 0, 9});
        CHECK(bytes[20] == 0xee);  // nothing behind the header is touched
    }
}

TEST_CASE("encapsulate: the outer IPv6 header, field by field", "[wire]") {
    const auto source = *parse_prefix("2001:db8::7");
    const auto backend = *parse_ip("2001:db8:2::9");
    const auto outer = make_outer_template(source, backend);
    REQUIRE(outer.length == 40);
    CHECK(outer.entropy_bits == 0);
    for (const Family inner : {Family::v4, Family::v6}) {
        const Outer bytes = write(outer, 1500, inner, 0xb9, 0xdeadbeef);
        const Ipv6Header& ip = v6(bytes);
        CHECK(ip.version_class_label.host() == 0x6b900000);
        CHECK(ip.payload_length.host() == 1500);
        CHECK(ip.next_header == (inner == Family::v4 ? 4 : 41));
        CHECK(ip.hop_limit == 64);
        CHECK(ip.source == source.address.bytes);
        CHECK(ip.destination == backend.bytes);
    }
}

TEST_CASE("encapsulate: DSCP and ECN are copied whatever they are", "[wire][property]") {
    const auto four = make_outer_template(*parse_prefix("10.0.0.1"), *parse_ip("10.0.0.2"));
    const auto six = make_outer_template(*parse_prefix("fd00::1"), *parse_ip("fd00::2"));
    for (unsigned value = 0; value < 256; ++value) {
        const auto traffic_class = static_cast<std::uint8_t>(value);
        CHECK(v4(write(four, 100, Family::v6, traffic_class, 0)).tos == value);
        CHECK(v6(write(six, 100, Family::v4, traffic_class, 0)).version_class_label.host() ==
              (6u << 28 | value << 20));
    }
}

TEST_CASE("encapsulate: the outer checksum is right for any input", "[wire][property]") {
    std::mt19937 random(5);
    for (int round = 0; round < 200'000; ++round) {
        const IpPrefix source = random_prefix(random, Family::v4);
        const auto outer = make_outer_template(source, random_prefix(random, Family::v4).address);
        const auto length = static_cast<std::uint16_t>(
            round % 10 == 0 ? 65515 : static_cast<unsigned>(random()) % 65516);
        const Outer bytes =
            write(outer, length, round % 2 == 0 ? Family::v4 : Family::v6,
                  static_cast<std::uint8_t>(random()),
                  round % 7 == 0 ? 0xffffffff : static_cast<std::uint32_t>(random()));
        REQUIRE(checksum_sum({bytes.data(), 20}) == 0xffff);
        REQUIRE(v4(bytes).total_length.host() == length + 20);
    }
}

TEST_CASE("encapsulate: entropy fills the bits after the prefix and no other", "[wire][property]") {
    std::mt19937 random(6);
    for (int round = 0; round < 20'000; ++round) {
        const Family family = round % 2 == 0 ? Family::v4 : Family::v6;
        const IpPrefix source = random_prefix(random, family);
        const unsigned bits = source.address.bits();
        const auto outer = make_outer_template(source, random_prefix(random, family).address);
        const unsigned varying = std::min(bits - source.length, 32u);
        REQUIRE(outer.entropy_bits == varying);
        const auto hash = static_cast<std::uint32_t>(random());
        const Outer bytes = write(outer, 60, Family::v4, 0, hash);
        const std::uint8_t* written =
            family == Family::v4 ? v4(bytes).source.data() : v6(bytes).source.data();
        for (unsigned bit = 0; bit < bits; ++bit) {
            const unsigned from_end = bits - 1 - bit;
            const unsigned got = written[bit / 8] >> (7 - bit % 8) & 1u;
            const unsigned own = source.address.bytes[bit / 8] >> (7 - bit % 8) & 1u;
            const unsigned want = from_end < varying ? (hash >> from_end & 1u) : own;
            REQUIRE(got == want);
        }
    }
}

TEST_CASE("encapsulate: families of tunnel source and backend must agree", "[wire]") {
    CHECK(make_outer_template(*parse_prefix("10.0.0.1"), *parse_ip("fd00::2")).length == 0);
    CHECK(make_outer_template(*parse_prefix("fd00::1"), *parse_ip("10.0.0.1")).length == 0);
}

}  // namespace weir
