// SPDX-License-Identifier: BSD-3-Clause
#include <catch2/catch.hpp>

#include "lib/control/flood_watch.hh"
#include "tests/unit/control/controller_fixture.hh"

using namespace std::chrono_literals;

namespace weir::test {

TEST_CASE("flood watch: begins with flows without room, ends when there are no more",
          "[control][fault-22]") {
    FloodWatch watch;
    FloodWatch::Clock::time_point now{};
    const auto look = [&](std::uint64_t count) { return watch.look(count, now += 1s); };
    // What came before the first look is nobody's flood.
    CHECK_FALSE(look(1'000'000));
    CHECK_FALSE(look(1'000'099));
    CHECK_FALSE(watch.active());
    const auto begin = look(1'000'199);
    REQUIRE(begin);
    CHECK(begin->begins);
    CHECK(begin->flows == 100);
    CHECK(watch.active());
    CHECK_FALSE(look(3'000'000));
    CHECK_FALSE(look(3'000'000));
    CHECK_FALSE(look(4'000'000));  // again, so the calm begins anew
    for (int i = 0; i < 4; ++i)
        CHECK_FALSE(look(4'000'050));  // single ones are no flood
    CHECK(watch.active());
    const auto end = look(4'000'050);
    REQUIRE(end);
    CHECK_FALSE(end->begins);
    CHECK(end->flows == 4'000'050 - 1'000'099);
    CHECK(end->lasted == 3s);
    CHECK_FALSE(watch.active());
    CHECK_FALSE(look(4'000'060));
    CHECK(look(4'000'160));
}

TEST_CASE("controller: a flood of new flows is a warning while it lasts", "[control][fault-22]") {
    ControllerFixture f;
    const auto warned = [&] {
        const auto warnings = f.controller->view()->warnings;
        return std::ranges::any_of(warnings, [](const std::string& one) {
            return one.find("connection tables are full") != std::string::npos;
        });
    };
    REQUIRE(f.loop.until([&] { return !f.views.empty(); }));
    CHECK_FALSE(warned());
    f.data_plane.flow_insert_failed = 5000;
    REQUIRE(f.loop.until(warned));
}

}  // namespace weir::test
