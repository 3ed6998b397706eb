// SPDX-License-Identifier: BSD-3-Clause
// What stands behind the outer IP header: every byte, and whole tunnels of all combinations.
#include <algorithm>
#include <array>
#include <cstdint>
#include <random>
#include <vector>

#include <catch2/catch.hpp>

#include "lib/wire/checksum.hh"
#include "lib/wire/encapsulate.hh"
#include "lib/wire/shim.hh"

namespace weir {

namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes shim_bytes(Shim shim, Family inner, std::uint16_t length, std::uint16_t port,
                 std::uint32_t hash) {
    Bytes bytes(longest_shim + 1, 0xee);
    write_shim(bytes.data(), shim, inner, length, port, hash);
    return bytes;
}

// The bytes, and that none behind them were touched.
void check_shim(Shim shim, Family inner, const Bytes& expected) {
    Bytes all = expected;
    all.resize(longest_shim + 1, 0xee);
    CHECK(shim_length(shim) == expected.size());
    CHECK(shim_bytes(shim, inner, 1000, 6080, 0xabcd1234) == all);
}

constexpr Shim shims[] = {Shim::none, Shim::gre, Shim::gue_direct, Shim::gue_header};

}  // namespace

TEST_CASE("shim: every byte of GRE and GUE", "[wire]") {
    check_shim(Shim::none, Family::v4, {});
    check_shim(Shim::gre, Family::v4, {0, 0, 0x08, 0x00});
    check_shim(Shim::gre, Family::v6, {0, 0, 0x86, 0xdd});
    // 0xabcd1234 >> 18 = 0x2af3; 6080 = 0x17c0; 1000 + 8 = 0x3f0, + 12 = 0x3f4; no checksum.
    const Bytes direct{0xea, 0xf3, 0x17, 0xc0, 0x03, 0xf0, 0, 0};
    check_shim(Shim::gue_direct, Family::v4, direct);
    check_shim(Shim::gue_direct, Family::v6, direct);
    check_shim(Shim::gue_header, Family::v4,
               {0xea, 0xf3, 0x17, 0xc0, 0x03, 0xf4, 0, 0, 0, 4, 0, 0});
    check_shim(Shim::gue_header, Family::v6,
               {0xea, 0xf3, 0x17, 0xc0, 0x03, 0xf4, 0, 0, 0, 41, 0, 0});
}

TEST_CASE("shim: the outer header names what follows it", "[wire]") {
    for (const Family inner : {Family::v4, Family::v6}) {
        CHECK(outer_protocol(Shim::none, inner) == (inner == Family::v4 ? 4 : 41));
        CHECK(outer_protocol(Shim::gre, inner) == 47);
        CHECK(outer_protocol(Shim::gue_direct, inner) == 17);
        CHECK(outer_protocol(Shim::gue_header, inner) == 17);
    }
}

TEST_CASE("shim: GUE's source port is an ephemeral one of the flow's own", "[wire][property]") {
    CHECK(gue_source_port(0) == 49152);
    CHECK(gue_source_port(0xffffffff) == 65535);
    CHECK(gue_source_port(0x0003ffff) == 49152);
    CHECK(gue_source_port(0x00040000) == 49153);
    std::mt19937 random(21);
    std::array<unsigned, 16384> seen{};
    constexpr unsigned flows = 16384 * 16;
    for (unsigned flow = 0; flow < flows; ++flow)
        ++seen.at(gue_source_port(static_cast<std::uint32_t>(random())) - 49152u);
    CHECK(std::ranges::count(seen, 0u) < 8);  // e^-16 of each
    CHECK(*std::ranges::max_element(seen) < 60u);
}

TEST_CASE("shim: outer headers of all combinations have the right lengths and checksum",
          "[wire][property]") {
    std::mt19937 random(22);
    for (int round = 0; round < 50'000; ++round) {
        const Shim shim = shims[random() % 4];
        const bool four = random() % 2 == 0;
        const Family inner = random() % 2 == 0 ? Family::v4 : Family::v6;
        const auto outer =
            make_outer_template(*parse_prefix(four ? "198.18.64.0/24" : "fd00:64::/96"),
                                *parse_ip(four ? "10.0.1.12" : "fd00:5::12"), inner, shim);
        const auto length = static_cast<std::uint16_t>(random() % 65'000);
        const auto payload = static_cast<std::uint16_t>(length + shim_length(shim));
        const auto hash = static_cast<std::uint32_t>(random());
        const auto traffic_class = static_cast<std::uint8_t>(random());
        Bytes bytes(outer.length + longest_shim);
        write_outer(bytes.data(), outer, payload, traffic_class, hash);
        const std::uint8_t protocol = outer_protocol(shim, inner);
        if (four) {
            REQUIRE(bytes[9] == protocol);
            REQUIRE((bytes[2] << 8 | bytes[3]) == payload + 20);
            REQUIRE(bytes[1] == traffic_class);
            REQUIRE(checksum_sum({bytes.data(), 20}) == 0xffff);
            REQUIRE(bytes[15] == (hash & 0xff));
        } else {
            REQUIRE(bytes[6] == protocol);
            REQUIRE((bytes[4] << 8 | bytes[5]) == payload);
            REQUIRE((bytes[0] << 4 | bytes[1] >> 4) == (0x600 | traffic_class));
        }
    }
}

}  // namespace weir
