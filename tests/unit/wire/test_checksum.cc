// SPDX-License-Identifier: BSD-3-Clause
#include <array>
#include <cstdint>
#include <random>
#include <vector>

#include <catch2/catch.hpp>

#include "lib/wire/checksum.hh"

namespace weir {

namespace {

// RFC 1071 4.1, word by word: the slow twin.
std::uint16_t plain_sum(std::span<const std::uint8_t> bytes) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i)
        sum += std::uint64_t{bytes[i]} << (i % 2 == 0 ? 8 : 0);
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(sum);
}

}  // namespace

TEST_CASE("checksum: the example of RFC 1071", "[wire]") {
    const std::array<std::uint8_t, 8> bytes{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    CHECK(checksum_sum(bytes) == 0xddf2);
    CHECK(checksum_finish(checksum_sum(bytes)) == 0x220d);
    CHECK(checksum_sum({}) == 0);
}

TEST_CASE("checksum: equals the plain sum at any length and alignment", "[wire][property]") {
    std::mt19937 random(2);
    std::vector<std::uint8_t> bytes(2100);
    for (int round = 0; round < 20'000; ++round) {
        const std::size_t at = random() % 8, length = random() % (round % 16 == 0 ? 2000 : 64);
        for (std::size_t i = 0; i < length; ++i)
            bytes[at + i] = static_cast<std::uint8_t>(round % 3 == 0 ? 0xff : random());
        REQUIRE(checksum_sum({bytes.data() + at, length}) ==
                plain_sum({bytes.data() + at, length}));
    }
    const std::vector<std::uint8_t> largest(1 << 20, 0xff);
    CHECK(checksum_sum(largest) == 0xffff);
}

TEST_CASE("checksum: a sum may be continued after an even length", "[wire][property]") {
    std::mt19937 random(3);
    std::vector<std::uint8_t> bytes(301);
    for (int round = 0; round < 5'000; ++round) {
        for (auto& byte : bytes)
            byte = static_cast<std::uint8_t>(random());
        const std::size_t cut = random() % 150 * 2;
        const std::span<const std::uint8_t> all(bytes);
        REQUIRE(checksum_sum(all.subspan(cut), checksum_sum(all.first(cut))) == checksum_sum(all));
    }
    CHECK(checksum_sum({}, 0x00010002) == 3);
}

TEST_CASE("checksum: the pseudo header sums what the RFCs list", "[wire]") {
    // A UDP datagram as dig sent it; the sum over pseudo header and datagram is all ones.
    const std::array<std::uint8_t, 4> source{192, 0, 2, 1}, destination{198, 51, 100, 2};
    std::vector<std::uint8_t> datagram{0x30, 0x39, 0x00, 0x35, 0x00, 0x0b, 0, 0, 'a', 'b', 'c'};
    std::vector<std::uint8_t> whole{192, 0, 2, 1, 198, 51, 100, 2, 0, 17, 0, 11};
    whole.insert(whole.end(), datagram.begin(), datagram.end());
    const std::uint32_t pseudo = pseudo_header_sum(source, destination, 17, 11);
    CHECK(checksum_sum(datagram, pseudo) == plain_sum(whole));
    CHECK(checksum_fold(pseudo_header_sum(source, destination, 0, 0x12345)) ==
          checksum_fold(pseudo_header_sum(source, destination, 0, 0x2346)));
}

TEST_CASE("checksum: an incremental update equals the sum of the whole", "[wire][property]") {
    std::mt19937 random(4);
    std::array<std::uint8_t, 20> bytes{};
    for (int round = 0; round < 1'000'000; ++round) {
        for (std::size_t i = 0; i < bytes.size(); i += 4) {
            const std::uint32_t word = static_cast<std::uint32_t>(random());
            for (std::size_t b = 0; b < 4; ++b)
                bytes[i + b] = static_cast<std::uint8_t>(word >> (8 * b));
        }
        bytes[0] = 0x45;  // a header is never all zeros, the one sum that has two forms
        const std::size_t at = 2 + random() % 9 * 2;
        // Corner values of ones' complement (RFC 1624 section 4) come up one time in eight.
        const std::uint32_t choice = static_cast<std::uint32_t>(random());
        const auto corner = [&](std::uint32_t bits, std::uint32_t value) {
            return static_cast<std::uint16_t>(bits % 8 == 0 ? 0 : bits % 8 == 1 ? 0xffff : value);
        };
        const std::uint16_t from = corner(choice, choice >> 8);
        const std::uint16_t to = corner(choice >> 3, static_cast<std::uint32_t>(random()));
        bytes[at] = static_cast<std::uint8_t>(from >> 8);
        bytes[at + 1] = static_cast<std::uint8_t>(from);
        const std::uint16_t before = checksum_finish(checksum_sum(bytes));
        bytes[at] = static_cast<std::uint8_t>(to >> 8);
        bytes[at + 1] = static_cast<std::uint8_t>(to);
        REQUIRE(checksum_update(before, from, to) == checksum_finish(checksum_sum(bytes)));
    }
    CHECK(checksum_update(0xdd2f, 0x5555, 0x3285) == 0x0000);  // the example of RFC 1624
}

}  // namespace weir
