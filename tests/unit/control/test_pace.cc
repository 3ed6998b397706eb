// SPDX-License-Identifier: BSD-3-Clause
#include <catch2/catch.hpp>

#include "lib/control/pace.hh"

using weir::Pace;

TEST_CASE("pace: no wait while there is work", "[control]") {
    Pace pace;
    for (int turn = 0; turn < 1000; ++turn)
        CHECK(pace.after(true) == Pace::Wait::zero());
}

TEST_CASE("pace: waits are short for a while after work, then grow to the longest and no further",
          "[control][property]") {
    Pace pace;
    for (int round = 0; round < 3; ++round) {
        CHECK(pace.after(true) == Pace::Wait::zero());
        for (unsigned turn = 0; turn < Pace::alert_turns; ++turn)
            CHECK(pace.after(false) == Pace::shortest);
        Pace::Wait before = Pace::shortest;
        for (int turn = 0; turn < 50; ++turn) {
            const Pace::Wait wait = pace.after(false);
            CHECK(wait >= before);
            CHECK(wait <= Pace::longest);
            before = wait;
        }
        CHECK(before == Pace::longest);
    }
}
