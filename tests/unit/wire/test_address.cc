// SPDX-License-Identifier: BSD-3-Clause
#include <random>
#include <set>
#include <string>
#include <unordered_set>

#include <catch2/catch.hpp>

#include "lib/wire/address.hh"

namespace weir {

TEST_CASE("address: text to value and back, in the canonical form", "[wire]") {
    for (const char* text : {"0.0.0.0", "10.0.0.1", "255.255.255.255", "::", "::1", "2001:db8::1",
                             "::ffff:10.0.0.1", "ff02::1:ff00:1"})
        CHECK(to_string(parse_ip(text).value()) == text);
    CHECK(to_string(parse_ip("2001:DB8:0:0:0:0:0:1").value()) == "2001:db8::1");
    CHECK(parse_ip("10.0.0.1")->family == Family::v4);
    CHECK(parse_ip("::ffff:10.0.0.1")->family == Family::v6);
}

TEST_CASE("address: what is not exactly an address is refused", "[wire]") {
    using namespace std::string_view_literals;
    for (const auto text :
         {""sv, " 10.0.0.1"sv, "10.0.0.1 "sv, "10.0.0"sv, "10.0.0.256"sv, "10.0.0.1.2"sv,
          "10.0.0.1\0"sv, "10.0.0.1\0x"sv, "0x0a.0.0.1"sv, "10.0.0.01"sv, "localhost"sv,
          "fe80::1%eth0"sv, "1::2::3"sv, ":::"sv, "12345::"sv, "[::1]"sv, "10.0.0.1/24"sv,
          "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"sv})
        CHECK_FALSE(parse_ip(text));
    CHECK_FALSE(parse_ip(std::string(10'000, '1')));
}

TEST_CASE("address: a prefix keeps its host bits, a bare address is a host", "[wire]") {
    CHECK(to_string(parse_prefix("10.0.0.5/24").value()) == "10.0.0.5/24");
    CHECK(parse_prefix("10.0.0.5")->length == 32);
    CHECK(parse_prefix("2001:db8::1")->length == 128);
    CHECK(parse_prefix("0.0.0.0/0")->length == 0);
    for (const char* text : {"10.0.0.5/33", "10.0.0.5/", "10.0.0.5/-1", "10.0.0.5/+1", "::/129",
                             "10.0.0.5/024", "10.0.0.5/2 ", "/24", "10.0.0.5/24/24", "::/1000"})
        CHECK_FALSE(parse_prefix(text));
}

TEST_CASE("address: a prefix contains exactly what shares its first bits", "[wire][property]") {
    std::mt19937 random(1);
    for (int i = 0; i < 20'000; ++i) {
        const Family family = random() % 2 == 0 ? Family::v4 : Family::v6;
        IpAddress base{{}, family};
        for (unsigned b = 0; b < base.size(); ++b)
            base.bytes[b] = static_cast<std::uint8_t>(random());
        const auto length = static_cast<std::uint8_t>(random() % (base.bits() + 1));
        const unsigned flipped = static_cast<unsigned>(random()) % base.bits();
        IpAddress other = base;
        other.bytes[flipped / 8] ^= static_cast<std::uint8_t>(0x80 >> flipped % 8);
        REQUIRE(IpPrefix{base, length}.contains(base));
        REQUIRE(IpPrefix{base, length}.contains(other) == (flipped >= length));
    }
    CHECK_FALSE(parse_prefix("0.0.0.0/0")->contains(*parse_ip("::")));
    CHECK_FALSE(parse_prefix("::/0")->contains(*parse_ip("0.0.0.0")));
}

TEST_CASE("address: MAC addresses", "[wire]") {
    CHECK(to_string(parse_mac("02:aB:00:00:0f:F1").value()) == "02:ab:00:00:0f:f1");
    for (const char* text :
         {"", "02:00:00:00:00", "02:00:00:00:00:0", "02:00:00:00:00:0g", "02-00-00-00-00-01",
          "02:00:00:00:00:01:", "02:00:00:00:00-01", " 2:00:00:00:00:01", "0200.0000.0001xxx"})
        CHECK_FALSE(parse_mac(text));
}

TEST_CASE("address: multicast, loopback and unspecified", "[wire]") {
    const auto of = [](const char* text) { return *parse_ip(text); };
    for (const char* text : {"224.0.0.1", "239.255.255.255", "ff02::1"})
        CHECK(is_multicast(of(text)));
    for (const char* text : {"223.255.255.255", "240.0.0.1", "fe80::1", "e000::1"})
        CHECK_FALSE(is_multicast(of(text)));
    for (const char* text : {"127.0.0.1", "127.255.0.3", "::1"})
        CHECK(is_loopback(of(text)));
    for (const char* text : {"128.0.0.1", "126.0.0.1", "::2", "7f00::1"})
        CHECK_FALSE(is_loopback(of(text)));
    CHECK(is_unspecified(of("0.0.0.0")));
    CHECK(is_unspecified(of("::")));
    CHECK_FALSE(is_unspecified(of("0.0.0.1")));
}

TEST_CASE("address: hashes of neighbours differ", "[wire]") {
    std::unordered_set<std::size_t> hashes;
    for (unsigned i = 0; i < 65536; ++i) {
        IpAddress address{{10, 0, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)},
                          Family::v4};
        hashes.insert(std::hash<IpAddress>{}(address));
        address.family = Family::v6;
        hashes.insert(std::hash<IpAddress>{}(address));
    }
    CHECK(hashes.size() == 2 * 65536);
}

}  // namespace weir
