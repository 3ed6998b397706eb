// SPDX-License-Identifier: BSD-3-Clause
// What an ICMP error says in the other family, type by type (RFC 7915 4.2 and 5.2).
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "lib/wire/icmp_families.hh"
#include "lib/wire/ip_fields.hh"

namespace weir {
namespace {

constexpr IcmpWords nothing{0xff, 0xff, 0xffffffff};

IcmpWords said(Family from, const IcmpWords& words, std::uint16_t mtu_less = 0) {
    return other_icmp_words(from, words, mtu_less).value_or(nothing);
}
using Codes = std::vector<std::uint8_t>;
using TypeCode = std::pair<std::uint8_t, std::uint8_t>;

// Every type and code of `from` that the map does not have says nothing.
void check_all(Family from, const std::map<TypeCode, IcmpWords>& known) {
    for (unsigned type = 0; type < 256; ++type) {
        for (unsigned code = 0; code < 256; ++code) {
            const TypeCode one{static_cast<std::uint8_t>(type), static_cast<std::uint8_t>(code)};
            const auto at = known.find(one);
            const IcmpWords expected = at != known.end() ? at->second : nothing;
            if (said(from, {one.first, one.second, 1400}) != expected)
                FAIL_CHECK("type " << type << " code " << code);
        }
    }
}

}  // namespace

TEST_CASE("icmp families: types and codes of IPv4", "[wire]") {
    std::map<TypeCode, IcmpWords> known;
    for (const std::uint8_t code : Codes{0, 1, 5, 6, 7, 8, 11, 12})
        known[{std::uint8_t{3}, code}] = IcmpWords{1, 0, 0};
    for (const std::uint8_t code : Codes{9, 10, 13, 15})
        known[{std::uint8_t{3}, code}] = IcmpWords{1, 1, 0};
    known[{3, 2}] = IcmpWords{4, 1, 6};
    known[{3, 3}] = IcmpWords{1, 4, 0};
    known[{3, 4}] = IcmpWords{2, 0, 1420};
    for (unsigned code = 0; code < 256; ++code)
        known[{std::uint8_t{11}, static_cast<std::uint8_t>(code)}] =
            IcmpWords{3, static_cast<std::uint8_t>(code), 0};
    known[{12, 0}] = known[{12, 2}] = IcmpWords{4, 0, 0};  // the version: its pointer is 0
    check_all(Family::v4, known);
}

TEST_CASE("icmp families: types and codes of IPv6", "[wire]") {
    std::map<TypeCode, IcmpWords> known;
    for (const std::uint8_t code : Codes{0, 2, 3})
        known[{std::uint8_t{1}, code}] = IcmpWords{3, 1, 0};
    known[{1, 1}] = IcmpWords{3, 10, 0};
    known[{1, 4}] = IcmpWords{3, 3, 0};
    for (unsigned code = 0; code < 256; ++code) {
        known[{std::uint8_t{2}, static_cast<std::uint8_t>(code)}] = IcmpWords{3, 4, 1380};
        known[{std::uint8_t{3}, static_cast<std::uint8_t>(code)}] =
            IcmpWords{11, static_cast<std::uint8_t>(code), 0};
    }
    known[{4, 1}] = IcmpWords{3, 2, 0};  // and a pointer to byte 1400 says nothing
    check_all(Family::v6, known);
}

TEST_CASE("icmp families: pointers go to what says the same", "[wire]") {
    const std::map<unsigned, unsigned> to_v6{{0, 0},   {1, 1},   {2, 4},   {3, 4},  {8, 7},
                                             {9, 6},   {12, 8},  {13, 8},  {14, 8}, {15, 8},
                                             {16, 24}, {17, 24}, {18, 24}, {19, 24}};
    for (unsigned pointer = 0; pointer < 256; ++pointer) {
        const auto at = to_v6.find(pointer);
        const IcmpWords expected = at != to_v6.end() ? IcmpWords{4, 0, at->second} : nothing;
        CHECK(said(Family::v4, {12, 0, pointer << 24 | 0xffff}) == expected);
    }
    for (unsigned pointer = 0; pointer < 50; ++pointer) {
        const auto there = [&]() -> std::optional<unsigned> {
            if (pointer <= 1) return pointer;
            if (pointer == 4 || pointer == 5) return 2;
            if (pointer == 6) return 9;
            if (pointer == 7) return 8;
            if (pointer >= 8 && pointer <= 23) return 12;
            if (pointer >= 24 && pointer <= 39) return 16;
            return std::nullopt;
        }();
        const IcmpWords expected = there ? IcmpWords{12, 0, *there << 24} : nothing;
        CHECK(said(Family::v6, {4, 0, pointer}) == expected);
    }
}

TEST_CASE("icmp families: MTUs differ by the headers, within what links have", "[wire]") {
    const auto to_v6 = [](std::uint32_t mtu, std::uint16_t less = 0) {
        return said(Family::v4, {3, 4, mtu}, less).rest;
    };
    CHECK(to_v6(1480) == 1500);
    CHECK(to_v6(1260) == 1280);
    CHECK(to_v6(1259) == 1280);
    CHECK(to_v6(68) == 1280);
    CHECK(to_v6(0xffff) == 65'555);
    CHECK(to_v6(0x1234'05dc) == 1520);  // RFC 4884's length stands in front
    CHECK(to_v6(1480, 20) == 1480);
    CHECK(to_v6(1270, 20) == 1280);
    const auto to_v4 = [](std::uint32_t mtu, std::uint16_t less = 0) {
        return said(Family::v6, {2, 0, mtu}, less).rest;
    };
    CHECK(to_v4(1500) == 1480);
    CHECK(to_v4(1280) == 1260);
    CHECK(to_v4(0xffff'ffff) == 0xffff);
    CHECK(to_v4(90, 8) == 68);
    CHECK(to_v4(1500, 8) == 1472);
}

TEST_CASE("ip fields: a header written and read again says the same", "[wire]") {
    const IpAddress a4 = *parse_ip("192.0.2.1"), b4 = *parse_ip("192.0.2.2"),
                    a6 = *parse_ip("2001:db8::1"), b6 = *parse_ip("2001:db8::2");
    for (const Family family : {Family::v4, Family::v6}) {
        for (const bool piece : {false, true}) {
            const IpFields fields{.traffic_class = 0xb9,
                                  .hop_limit = 17,
                                  .protocol = 17,
                                  .dont_fragment = family == Family::v6 && !piece,
                                  .is_fragment = piece,
                                  .more = piece,
                                  .offset = static_cast<std::uint16_t>(piece ? 0x1ff8 : 0),
                                  .identification = piece || family == Family::v4 ? 0x4711U : 0U,
                                  .payload = 1234};
            std::array<std::uint8_t, 48> bytes{};
            const bool v4 = family == Family::v4;
            write_ip_header(bytes.data(), family, fields, v4 ? a4 : a6, v4 ? b4 : b6);
            const std::size_t length = ip_header_length(family, fields);
            CHECK(length == (v4 ? 20 : piece ? 48 : 40));
            const IpFields read = read_ip_fields(bytes.data(), length, family, 17);
            CHECK(read.traffic_class == fields.traffic_class);
            CHECK(read.hop_limit == fields.hop_limit);
            CHECK(read.protocol == fields.protocol);
            CHECK(read.dont_fragment == fields.dont_fragment);
            CHECK(read.is_fragment == fields.is_fragment);
            CHECK(read.more == fields.more);
            CHECK(read.offset == fields.offset);
            CHECK(read.identification == fields.identification);
            CHECK(read.payload == fields.payload);
        }
    }
}

}  // namespace weir
