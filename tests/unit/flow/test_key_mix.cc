// SPDX-License-Identifier: BSD-3-Clause
#include <bit>
#include <cmath>

#include <catch2/catch.hpp>

#include "lib/flow/expiry.hh"
#include "lib/flow/key_mix.hh"
#include "lib/flow/line.hh"
#include "tests/unit/flow/keys.hh"

namespace weir {

using namespace test;

TEST_CASE("key mix: a permutation that undoes itself", "[flow][property]") {
    std::mt19937_64 random(1);
    for (int round = 0; round < 100; ++round) {
        const KeyMix mix({{random(), random(), random(), random()}}, random());
        for (int i = 0; i < 10'000; ++i) {
            const std::uint64_t word = i < 64 ? std::uint64_t{1} << i : random();
            REQUIRE(mix.unmix(mix.mix(word)) == word);
            REQUIRE(mix.mix(mix.unmix(word)) == word);
        }
    }
}

TEST_CASE("key mix: orderly keys spread evenly over the lines", "[flow][property]") {
    constexpr std::uint32_t lines = 1024;
    std::mt19937_64 random(2);
    for (int round = 0; round < 20; ++round) {
        const KeyMix mix({{random(), random(), random(), random()}}, 1);
        for (const unsigned shift : {0u, 16u, 20u, 32u, 44u}) {
            std::vector<std::uint32_t> counts(lines);
            for (std::uint64_t n = 0; n < 200'000; ++n)
                ++counts[mix.mix(n << shift) >> 54];
            // A single multiplication lays progressions too evenly: hundreds below zero.
            CHECK(std::abs(chi_square_deviation(counts)) < 6);
        }
    }
}

TEST_CASE("key mix: each bit of the key moves half of the bits that name the line",
          "[flow][property]") {
    std::mt19937_64 random(3);
    const KeyMix mix(fixed_secret, 1);
    for (unsigned bit = 0; bit < 64; ++bit) {
        std::uint64_t moved = 0;
        for (int i = 0; i < 4096; ++i) {
            const std::uint64_t word = random();
            const std::uint64_t change = mix.mix(word) ^ mix.mix(word ^ std::uint64_t{1} << bit);
            moved += static_cast<std::uint64_t>(std::popcount(change >> 40));
        }
        CHECK(std::abs(static_cast<double>(moved) / 4096 - 12) < 0.6);
    }
}

TEST_CASE("key mix: purposes and secrets give unrelated permutations", "[flow]") {
    const KeyMix one(fixed_secret, 1), two(fixed_secret, 2);
    HashSecret other = fixed_secret;
    other.words[3] ^= 1;
    const KeyMix three(other, 1);
    int same = 0;
    for (std::uint64_t n = 0; n < 10'000; ++n)
        same += (one.mix(n) >> 54 == two.mix(n) >> 54) + (one.mix(n) >> 54 == three.mix(n) >> 54);
    CHECK(same < 60);  // 20 000 / 1024 by chance
}

TEST_CASE("expiry: never before its time, at most 255 ms after, across every wrap", "[flow]") {
    for (const std::uint32_t begin : {0u, 0x0fffff00u, 0x0ffffff0u, 0x7fffff80u, 0xfffffff0u}) {
        for (const std::uint32_t life : {0u, 1u, 255u, 256u, 30'000u, longest_timeout}) {
            const Tick now{begin}, last = now + life;
            const Expiry expiry = expiry_of(last);
            CHECK_FALSE(is_past(expiry, now));
            CHECK_FALSE(is_past(expiry, last));
            CHECK(is_past(expiry, last + 256));
            CHECK(is_past(expiry, last + 3'600'000));
            const std::int32_t late = elapsed(last, last_tick(expiry, now));
            CHECK(late >= 0);
            CHECK(late < 256);
            CHECK_FALSE(is_past(expiry, last_tick(expiry, now)));
            CHECK(is_past(expiry, last_tick(expiry, now) + 1));
            CHECK(last_tick(expiry, last + 1000) == last_tick(expiry, now));
        }
    }
}

TEST_CASE("line: fields do not disturb each other", "[flow][property]") {
    std::mt19937_64 random(4);
    FlowLine line{};
    struct {
        std::uint64_t wanted = 0;
        FlowValue value;
    } expected[line_slots];
    for (int i = 0; i < 100'000; ++i) {
        const auto slot = static_cast<unsigned>(random() % line_slots);
        const FlowValue value{static_cast<std::uint32_t>(random() >> 47),
                              static_cast<FlowState>(random() % 4),
                              Expiry{static_cast<std::uint32_t>(random()) & expiry_mask}};
        auto& slot_expected = expected[slot];
        if (i < 100 || random() % 3 == 0) {
            slot_expected = {random() & key_care, value};
            line.put(slot, slot_expected.wanted, value);
        } else if (random() % 2 == 0) {
            line.set(slot, value);
            slot_expected.value = value;
        } else {
            line.set_time(slot, value.state, value.expiry);
            slot_expected.value.state = value.state;
            slot_expected.value.expiry = value.expiry;
        }
        line.count_displaced(true);
        if (i % 2 == 0) line.count_displaced(false);
        if (i < 100) continue;
        REQUIRE(line.used() == 0x1f);
        for (unsigned s = 0; s < line_slots; ++s) {
            REQUIRE(line.remnant(s) == expected[s].wanted >> 8);
            REQUIRE(line.is_displaced(s) == ((expected[s].wanted & displaced_bit) != 0));
            REQUIRE(line.backend(s) == expected[s].value.backend);
            REQUIRE(line.state(s) == expected[s].value.state);
            REQUIRE(line.expiry(s) == expected[s].value.expiry);
        }
    }
    CHECK(line.displaced() == 50'000);
}

TEST_CASE("line: the fast comparison equals the scalar one", "[flow][property]") {
    std::mt19937_64 random(5);
    for (int i = 0; i < 300'000; ++i) {
        FlowLine line{};
        // Few different words, so that they meet, also those of values and in unused slots.
        const auto word = [&] { return random() % 3 << 6 | random() % 2 << 63; };
        for (unsigned s = 0; s < line_slots; ++s) {
            line.keys[s] = word();
            line.values[s] = static_cast<std::uint32_t>(word());
        }
        line.header = static_cast<std::uint32_t>(random());
        const std::uint64_t wanted = word() & key_care;
        REQUIRE(match(line, wanted) == match_scalar(line, wanted));
    }
}

}  // namespace weir
