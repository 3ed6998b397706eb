// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <random>

#include <catch2/catch.hpp>

#include "lib/dpdk/rest.hh"

using namespace weir;

TEST_CASE("rest: polls on for a while, then naps from short to the bound", "[dpdk]") {
    Rest rest;
    for (int round = 0; round < 3; ++round) {
        CHECK(rest.after(true) == 0);
        unsigned polled = 0;
        while (polled < Rest::empty_turns && rest.after(false) == 0)
            ++polled;
        CHECK(polled == Rest::empty_turns);
        std::uint32_t last = rest.after(false);
        CHECK(last == Rest::shortest);
        for (int i = 0; i < 20; ++i) {
            const std::uint32_t nap = rest.after(false);
            CHECK(nap >= last);
            CHECK(nap <= Rest::longest);
            last = nap;
        }
        CHECK(last == Rest::longest);
    }
}

TEST_CASE("rest: no nap is near packets, and none above the bound", "[dpdk][property]") {
    std::mt19937 random(5);
    Rest rest;
    unsigned quiet = Rest::empty_turns;  // turns since the last packet
    std::uint32_t longest = 0;
    for (int turn = 0; turn < 200'000; ++turn) {
        const bool busy = random() % (turn / 50'000 * 400 + 2) == 0;
        quiet = busy ? 0 : quiet + 1;
        const std::uint32_t nap = rest.after(busy);
        longest = std::max(longest, nap);
        if (quiet <= Rest::empty_turns && turn > 1000) REQUIRE(nap == 0);
        if (quiet > Rest::empty_turns && turn > 1000) REQUIRE(nap >= Rest::shortest);
    }
    CHECK(longest == Rest::longest);
}
