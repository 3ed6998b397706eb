// SPDX-License-Identifier: BSD-3-Clause
#include <catch2/catch.hpp>

#include "lib/control/health_book.hh"
#include "lib/control/metrics.hh"
#include "lib/control/traffic_baseline.hh"

using namespace weir;
using namespace std::chrono_literals;

namespace {

const HealthBook::Time start = HealthBook::Time() + 1000s;

ProbeTask task(const std::string& backend, const std::string& address = "10.0.1.11") {
    ProbeTask result;
    result.service = "web";
    result.backend = backend;
    result.check.name = "tcp";
    result.check.rise = 2;
    result.check.fall = 3;
    result.address = *parse_ip(address);
    result.port = 80;
    return result;
}

ProbeResult result(const std::string& backend, bool success, double seconds = 0.002) {
    return {"web", backend, success, success ? "connected" : "connection refused", seconds};
}

}  // namespace

TEST_CASE("health: the first result decides, then rise and fall", "[control][health]") {
    HealthBook book;
    book.set_tasks({task("a")}, start);
    CHECK(book.liveness().at({"web", "a"}) == Liveness::unknown);
    const auto first = book.record(result("a", true), start + 1s);
    REQUIRE(first);
    CHECK(first->from == Liveness::unknown);
    CHECK(first->to == Liveness::up);
    CHECK_FALSE(book.record(result("a", false), start + 2s));
    CHECK_FALSE(book.record(result("a", false), start + 3s));
    CHECK_FALSE(book.record(result("a", true), start + 4s));  // the streak begins anew
    CHECK_FALSE(book.record(result("a", false), start + 5s));
    CHECK_FALSE(book.record(result("a", false), start + 6s));
    const auto fell = book.record(result("a", false), start + 7s);
    REQUIRE(fell);
    CHECK(fell->to == Liveness::down);
    CHECK(fell->seconds == 6);
    CHECK_FALSE(book.record(result("a", true), start + 8s));
    const auto rose = book.record(result("a", true), start + 9s);
    REQUIRE(rose);
    CHECK(rose->from == Liveness::down);
    CHECK(rose->to == Liveness::up);
    CHECK(rose->seconds == 2);

    const HealthView view = book.views(start + 19s).at(0);
    CHECK(view.transitions == 2);
    CHECK(view.successes == 4);
    CHECK(view.failures == 5);
    CHECK(view.since_seconds == 10);
    CHECK(view.state == "up");
    CHECK(view.streak == 2);
    CHECK(book.detail({"web", "a"}) == "connected");
}

TEST_CASE("health: a backend found down at once is a transition, found up is none",
          "[control][health]") {
    HealthBook book;
    book.set_tasks({task("a"), task("b")}, start);
    CHECK(book.record(result("a", false), start));
    CHECK(book.record(result("b", true), start));
    CHECK(book.views(start)[0].transitions == 1);
    CHECK(book.views(start)[1].transitions == 0);
}

TEST_CASE("health: durations fall into cumulative buckets", "[control][health]") {
    HealthBook book;
    book.set_tasks({task("a")}, start);
    for (const double seconds : {0.0005, 0.0006, 0.003, 7.0}) {
        book.record(result("a", true, seconds), start);
    }
    const HealthView view = book.views(start).at(0);
    REQUIRE(view.duration_buckets.size() == probe_duration_bounds.size() + 1);
    CHECK(view.duration_buckets ==
          std::vector<std::uint64_t>{1, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4});
    CHECK(view.duration_sum == Approx(7.0041));
    CHECK(view.last_seconds == 7.0);
}

TEST_CASE("health: new tasks keep what did not change and forget the rest", "[control][health]") {
    HealthBook book;
    book.set_tasks({task("same"), task("moved"), task("checked"), task("gone")}, start);
    for (const char* name : {"same", "moved", "checked", "gone"}) {
        book.record(result(name, false), start);
    }
    auto checked = task("checked");
    checked.check.path = "/other";
    // The source address of probes is not the backend's affair.
    auto same = task("same");
    same.interface = "lan0x";
    book.set_tasks({task("new"), checked, task("moved", "10.0.1.99"), same}, start + 5s);
    const auto liveness = book.liveness();
    CHECK(liveness.size() == 4);
    CHECK(liveness.at({"web", "same"}) == Liveness::down);
    for (const char* name : {"moved", "checked", "new"}) {
        CHECK(liveness.at({"web", name}) == Liveness::unknown);
    }
    CHECK_FALSE(book.record(result("gone", true), start + 6s));
    CHECK(book.detail({"web", "gone"}).empty());
    CHECK(book.views(start + 6s).size() == 4);
}

TEST_CASE("traffic: an id given to another name counts from zero", "[control][traffic]") {
    TrafficBaseline baseline;
    CHECK(baseline.since(7, {5, 6, 7, 8}).packets == 5);  // nobody owns it
    baseline.own(7, "web/a", [] { return TrafficView{}; });
    CHECK(baseline.since(7, {100, 200, 30, 4}).packets == 100);
    baseline.own(7, "web/a", []() -> TrafficView { throw 1; });  // the same owner: not read
    baseline.own(7, "web/b", [] { return TrafficView{100, 200, 30, 0}; });
    const TrafficView since = baseline.since(7, {101, 260, 33, 2});
    CHECK(since.packets == 1);
    CHECK(since.bytes == 60);
    CHECK(since.new_flows == 3);
    CHECK(since.active_flows == 2);
}
