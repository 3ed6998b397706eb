// SPDX-License-Identifier: BSD-3-Clause
// The hash behind the owner of a flow: every bit counts, and neighbouring flows are shared evenly
// whatever the secret is. That lanes find the same owners is in test_steer.cc.
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "lib/flow/owner.hh"
#include "tests/unit/flow/keys.hh"

namespace weir {

using namespace test;

namespace {

FlowWords words_of(const FlowKey& key) {
    const MixWords words = key_words(key);
    return {words[0], words[1], words[2], words[3], words[4]};
}

HashSecret secret_of(std::mt19937_64& random) {
    return {{random(), random(), random(), random()}};
}

// The nth flow of some that differ but little.
FlowWords neighbour(const std::string& what, Family family, std::uint32_t n) {
    FlowKey key = nth_key(0, family);
    const std::size_t last = family == Family::v4 ? 3 : 15;
    const auto count_up = [&](std::array<std::uint8_t, 16>& address) {
        for (std::size_t i = 0; i < 4; ++i)
            address[last - i] = static_cast<std::uint8_t>(n >> (8 * i));
    };
    if (what == "source ports") key.source_port = static_cast<std::uint16_t>(n);
    if (what == "every other source port") key.source_port = static_cast<std::uint16_t>(2 * n);
    if (what == "destination ports") key.destination_port = static_cast<std::uint16_t>(n);
    if (what == "sources") count_up(key.source);
    if (what == "destinations") count_up(key.destination);
    if (what == "first bytes") {
        key.source[0] = static_cast<std::uint8_t>(n);
        key.source[1] = static_cast<std::uint8_t>(n >> 8);
    }
    if (what == "sources and ports") {
        count_up(key.source);
        key.source_port = static_cast<std::uint16_t>(n);
    }
    return words_of(key);
}

}  // namespace

TEST_CASE("owner: any bit of a flow's key may change it", "[flow][owner][property]") {
    std::mt19937_64 random(3);
    for (const Family family : {Family::v4, Family::v6}) {
        const unsigned address = family == Family::v4 ? 32 : 64;
        for (unsigned word = 0; word < 5; ++word) {
            if (family == Family::v4 && (word == 1 || word == 3)) continue;
            for (unsigned bit = 0; bit < (word == 4 ? 40 : address); ++bit) {
                int same = 0, same_of_two = 0;
                constexpr int samples = 2000;
                for (int i = 0; i < samples; ++i) {
                    const HashSecret secret = secret_of(random);
                    const FlowWords one = words_of(random_key(random, family));
                    FlowWords other = one;
                    std::uint64_t* const all[] = {&other.source, &other.source_rest,
                                                  &other.destination, &other.destination_rest,
                                                  &other.rest};
                    *all[word] ^= std::uint64_t{1} << bit;
                    same += owner_of(one, 65'521, secret) == owner_of(other, 65'521, secret);
                    same_of_two += owner_of(one, 2, secret) == owner_of(other, 2, secret);
                }
                REQUIRE(same <= 3);
                // Six times the standard deviation.
                REQUIRE(std::abs(same_of_two - samples / 2) < 6 * std::sqrt(samples) / 2);
            }
        }
    }
}

TEST_CASE("owner: workers share neighbouring flows evenly, whatever the secret is",
          "[flow][owner][property]") {
    std::mt19937_64 random(4);
    for (const char* what : {"source ports", "every other source port", "destination ports",
                             "sources", "destinations", "first bytes", "sources and ports"}) {
        for (const Family family : {Family::v4, Family::v6}) {
            CAPTURE(what, static_cast<int>(family));
            double sum = 0;
            constexpr int secrets = 200;
            for (int i = 0; i < secrets; ++i) {
                const HashSecret secret = secret_of(random);
                std::vector<std::uint32_t> of_many(64), of_two(2);
                constexpr std::uint32_t flows = 6400;
                for (std::uint32_t n = 0; n < flows; ++n) {
                    const FlowWords words = neighbour(what, family, n);
                    ++of_many[owner_of(words, 64, secret)];
                    ++of_two[owner_of(words, 2, secret)];
                }
                const double deviation = chi_square_deviation(of_many);
                REQUIRE(std::abs(deviation) < 7);
                REQUIRE(std::abs(of_two[0] - flows / 2.0) < 6 * std::sqrt(flows) / 2);
                sum += deviation;
            }
            // Of a fair draw it is 0 +- 0.07.
            CHECK(std::abs(sum / secrets) < 0.5);
        }
    }
}

}  // namespace weir
