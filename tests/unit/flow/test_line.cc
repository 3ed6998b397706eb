// SPDX-License-Identifier: BSD-3-Clause
#include <random>

#include <catch2/catch.hpp>

#include "lib/flow/line.hh"

namespace weir {

TEST_CASE("line: what is put into a slot is read from there, and from nowhere else",
          "[flow][property]") {
    std::mt19937_64 random(3);
    FlowLine line{};
    for (int round = 0; round < 1000; ++round) {
        const FlowLine before = line;
        const auto slot = static_cast<unsigned>(random() % line_slots);
        line.clear(slot);
        const std::uint64_t wanted = random() & key_care;
        const FlowValue value{static_cast<std::uint32_t>(random() >> (64 - backend_bits)),
                              static_cast<FlowState>(random() % 4),
                              Expiry{static_cast<std::uint32_t>(random()) & expiry_mask}};
        line.put(slot, wanted, value);
        REQUIRE((line.used() >> slot & 1) == 1);
        REQUIRE((line.keys[slot] & key_care) == wanted);
        REQUIRE(line.backend(slot) == value.backend);
        REQUIRE(line.state(slot) == value.state);
        REQUIRE(line.expiry(slot) == value.expiry);
        for (unsigned other = 0; other < line_slots; ++other) {
            if (other == slot) continue;
            REQUIRE(line.keys[other] == before.keys[other]);
            REQUIRE(line.values[other] == before.values[other]);
        }
    }
}

TEST_CASE("line: the expired ones of a line are those that expired one by one",
          "[flow][property]") {
    std::mt19937_64 random(4);
    std::uint32_t past = 0, live = 0;
    for (int round = 0; round < 100'000; ++round) {
        FlowLine line{};
        const Tick now{static_cast<std::uint32_t>(random())};
        for (unsigned slot = 0; slot < line_slots; ++slot) {
            // Near the moment, or half of the range away, or anywhere.
            const std::uint32_t far = random() % 2 == 0 ? 0 : 1u << (expiry_bits - 1);
            const auto near = static_cast<std::uint32_t>(expiry_of(now)) + far +
                              static_cast<std::uint32_t>(random() % 80) - 40;
            const auto any = static_cast<std::uint32_t>(random());
            const Expiry expiry{(random() % 4 == 0 ? any : near) & expiry_mask};
            line.put(slot, random() & key_care,
                     {static_cast<std::uint32_t>(random() >> (64 - backend_bits)),
                      static_cast<FlowState>(random() % 4), expiry});
            if (random() % 4 == 0) line.header &= ~(1u << slot);  // free, whatever it holds
            const bool expected = (line.used() >> slot & 1) != 0 && is_past(expiry, now);
            REQUIRE((expired(line, now) >> slot & 1) == expected);
            (expected ? past : live) += 1;
        }
        line.header |= static_cast<std::uint32_t>(random()) << line_slots;
        REQUIRE(expired(line, now) == expired_scalar(line, now));
    }
    CHECK(past > 50'000);
    CHECK(live > 50'000);
}

}  // namespace weir
