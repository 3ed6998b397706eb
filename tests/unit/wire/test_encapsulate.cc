// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <random>
#include <set>

#include <catch2/catch.hpp>

#include "lib/wire/checksum.hh"
#include "lib/wire/encapsulate.hh"
#include "lib/wire/headers.hh"

namespace weir {

namespace {

using Outer = std::array<std::uint8_t, 40>;

Outer write(const OuterTemplate& outer, std::uint16_t inner_length, std::uint8_t traffic_class,
            std::uint32_t hash) {
    Outer bytes;
    bytes.fill(0xee);
    write_outer(bytes.data(), outer, inner_length, traffic_class, hash);
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

// The same header in the plainest way there is.
Outer plain_header(const IpPrefix& source, const IpAddress& backend, Family inner,
                   std::uint16_t inner_length, std::uint8_t traffic_class, std::uint32_t hash) {
    const std::uint8_t protocol = inner == Family::v4 ? 4 : 41;
    IpAddress from = source.address;
    const unsigned bits = from.bits();
    for (unsigned bit = std::max<unsigned>(source.length, bits - 32); bit < bits; ++bit) {
        const auto mask = static_cast<std::uint8_t>(0x80 >> bit % 8);
        const bool set = (hash >> (bits - 1 - bit) & 1u) != 0;
        from.bytes[bit / 8] = static_cast<std::uint8_t>(set ? from.bytes[bit / 8] | mask
                                                            : from.bytes[bit / 8] & ~mask);
    }
    Outer bytes;
    bytes.fill(0xee);
    if (backend.family == Family::v4) {
        Ipv4Header ip{
            .version_ihl = 0x45,
            .tos = traffic_class,
            .total_length = be16::from_host(static_cast<std::uint16_t>(inner_length + 20)),
            .id = {},
            .fragment = be16::from_host(0x4000),
            .ttl = 64,
            .protocol = protocol,
            .checksum = {},
            .source = {},
            .destination = {}};
        std::copy_n(from.bytes.begin(), 4, ip.source.begin());
        std::copy_n(backend.bytes.begin(), 4, ip.destination.begin());
        std::memcpy(bytes.data(), &ip, sizeof ip);
        ip.checksum = be16::from_host(checksum_finish(checksum_sum({bytes.data(), sizeof ip})));
        std::memcpy(bytes.data(), &ip, sizeof ip);
    } else {
        const Ipv6Header ip{
            .version_class_label = be32::from_host(6u << 28 | std::uint32_t{traffic_class} << 20),
            .payload_length = be16::from_host(inner_length),
            .next_header = protocol,
            .hop_limit = 64,
            .source = from.bytes,
            .destination = backend.bytes};
        std::memcpy(bytes.data(), &ip, sizeof ip);
    }
    return bytes;
}

}  // namespace

TEST_CASE("encapsulate: the outer IPv4 header, field by field", "[wire]") {
    for (const Family inner : {Family::v4, Family::v6}) {
        const auto outer =
            make_outer_template(*parse_prefix("198.18.64.7"), *parse_ip("10.2.0.9"), inner);
        REQUIRE(outer.length == 20);
        CHECK(outer.entropy_bits == 0);
        const Outer bytes = write(outer, 1500, 0xb9, 0xdeadbeef);
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
    for (const Family inner : {Family::v4, Family::v6}) {
        const auto outer = make_outer_template(source, backend, inner);
        REQUIRE(outer.length == 40);
        CHECK(outer.entropy_bits == 0);
        const Outer bytes = write(outer, 1500, 0xb9, 0xdeadbeef);
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
    const auto four =
        make_outer_template(*parse_prefix("10.0.0.1"), *parse_ip("10.0.0.2"), Family::v6);
    const auto six =
        make_outer_template(*parse_prefix("fd00::1"), *parse_ip("fd00::2"), Family::v4);
    for (unsigned value = 0; value < 256; ++value) {
        const auto traffic_class = static_cast<std::uint8_t>(value);
        CHECK(v4(write(four, 100, traffic_class, 0)).tos == value);
        CHECK(v6(write(six, 100, traffic_class, 0)).version_class_label.host() ==
              (6u << 28 | value << 20));
    }
}

TEST_CASE("encapsulate: the outer checksum is right for any input", "[wire][property]") {
    std::mt19937 random(5);
    for (int round = 0; round < 200'000; ++round) {
        const IpPrefix source = random_prefix(random, Family::v4);
        const auto outer = make_outer_template(source, random_prefix(random, Family::v4).address,
                                               round % 2 == 0 ? Family::v4 : Family::v6);
        const auto length = static_cast<std::uint16_t>(
            round % 10 == 0 ? 65515 : static_cast<unsigned>(random()) % 65516);
        const Outer bytes =
            write(outer, length, static_cast<std::uint8_t>(random()),
                  round % 7 == 0 ? 0xffffffff : static_cast<std::uint32_t>(random()));
        REQUIRE(checksum_sum({bytes.data(), 20}) == 0xffff);
        REQUIRE(v4(bytes).total_length.host() == length + 20);
    }
}

TEST_CASE("encapsulate: whole headers are those built field by field", "[wire][property]") {
    std::mt19937 random(8);
    for (int round = 0; round < 200'000; ++round) {
        const Family family = round % 2 == 0 ? Family::v4 : Family::v6;
        const Family inner = round % 4 < 2 ? Family::v4 : Family::v6;
        const IpPrefix source = random_prefix(random, family);
        const IpAddress backend = random_prefix(random, family).address;
        const auto length = static_cast<std::uint16_t>(random() % 65496);
        const auto traffic_class = static_cast<std::uint8_t>(random());
        const auto hash = static_cast<std::uint32_t>(random());
        const Outer bytes =
            write(make_outer_template(source, backend, inner), length, traffic_class, hash);
        const Outer plain = plain_header(source, backend, inner, length, traffic_class, hash);
        REQUIRE(bytes == plain);
    }
}

TEST_CASE("encapsulate: the checksum is right at every value that it can have",
          "[wire][property]") {
    // All 65536 lower halves of the source, under prefixes that carry twice, once and never.
    for (const char* prefix : {"0.0.0.0/0", "255.255.0.0/16", "10.0.0.0/8", "198.18.0.0/16"}) {
        for (const char* to : {"0.0.0.0", "10.2.0.9", "255.255.255.255"}) {
            const IpPrefix source = *parse_prefix(prefix);
            const IpAddress backend = *parse_ip(to);
            const auto outer = make_outer_template(source, backend, Family::v4);
            std::array<bool, 65536> seen{};
            for (std::uint32_t low = 0; low < 65536; ++low) {
                const std::uint32_t hash = low | (low % 3 == 0 ? 0xffff0000u : low << 16);
                const Outer bytes = write(outer, 65515, 0xff, hash);
                const Outer plain = plain_header(source, backend, Family::v4, 65515, 0xff, hash);
                REQUIRE(bytes == plain);
            }
            for (std::uint32_t low = 0; low < 65536; ++low)
                seen[v4(write(outer, 0, 0, low)).checksum.host()] = true;
            // All but 0xffff, which only a header of zeros could have; 0 is reached in two ways.
            CHECK(std::ranges::count(seen, true) == 65535);
            CHECK_FALSE(seen[0xffff]);
        }
    }
}

TEST_CASE("encapsulate: entropy fills the bits after the prefix and no other", "[wire][property]") {
    std::mt19937 random(6);
    for (int round = 0; round < 20'000; ++round) {
        const Family family = round % 2 == 0 ? Family::v4 : Family::v6;
        const IpPrefix source = random_prefix(random, family);
        const unsigned bits = source.address.bits();
        const auto outer =
            make_outer_template(source, random_prefix(random, family).address, Family::v4);
        const unsigned varying = std::min(bits - source.length, 32u);
        REQUIRE(outer.entropy_bits == varying);
        const auto hash = static_cast<std::uint32_t>(random());
        const Outer bytes = write(outer, 60, 0, hash);
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
    CHECK(make_outer_template(*parse_prefix("10.0.0.1"), *parse_ip("fd00::2"), Family::v4).length ==
          0);
    CHECK(make_outer_template(*parse_prefix("fd00::1"), *parse_ip("10.0.0.1"), Family::v6).length ==
          0);
}

}  // namespace weir
