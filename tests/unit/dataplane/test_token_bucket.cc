// SPDX-License-Identifier: BSD-3-Clause
// What a token bucket lets pass, in time that is an argument.
#include <catch2/catch.hpp>

#include "lib/dataplane/token_bucket.hh"

using namespace weir;

TEST_CASE("token bucket: passes its burst at once and its rate for ever", "[dataplane][rate]") {
    // 2000 and 50000: of punts. 1 and 3: slower than the packets of a millisecond.
    for (const RateLimit limit : {RateLimit{2'000, 100}, RateLimit{50'000, 2'500},
                                  RateLimit{1'000, 500}, RateLimit{1, 1}, RateLimit{3, 10}}) {
        TokenBucket bucket(limit);
        std::uint32_t passed = 0;
        while (bucket.pass(Tick{500}))
            ++passed;
        CHECK(passed == limit.burst);
        // Ten seconds at four times the rate and more.
        std::uint64_t taken = 0;
        for (std::uint32_t ms = 1; ms <= 10'000; ++ms)
            for (std::uint32_t i = 0; i <= 4 * limit.per_second / 1000; ++i)
                if (bucket.pass(Tick{500 + ms})) ++taken;
        CHECK(taken == std::uint64_t{10} * limit.per_second);
    }
}

TEST_CASE("token bucket: a long silence earns one burst, also across the wrap of Tick",
          "[dataplane][rate]") {
    TokenBucket bucket({2'000, 100});
    while (bucket.pass(Tick{0xffffff00})) {
    }
    std::uint32_t passed = 0;
    while (bucket.pass(Tick{0x00100000}))
        ++passed;
    CHECK(passed == 100);
}
