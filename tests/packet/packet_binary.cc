// SPDX-License-Identifier: BSD-3-Clause
// The packet cases through the real `weir` on net_pcap ports, in three arrangements of lcores:
// workers that poll, an RX lcore that feeds a worker over the ring, and two workers that share one
// RX queue. Ports have no TAP here, so what is for the kernel drops as no_exception_path.
#include <algorithm>
#include <map>

#include <catch2/catch.hpp>

#include "tests/packet/binary_run.hh"
#include "tests/packet/main.hh"

using namespace weir;
using namespace weir::test;

namespace {

struct Arrangement {
    std::string name;
    Fill fill;
};
const std::vector<Arrangement> arrangements{
    {"polling worker", {.rx_lcores = "[]", .worker_lcores = "[1]"}},
    {"RX lcore and worker", {.rx_lcores = "[1]", .worker_lcores = "[1]"}},
    {"two workers, one RX queue", {.rx_lcores = "[]", .worker_lcores = "[0, 1]"}},
};

std::string reason_of(const Expect& expect) {
    if (expect.action == Action::punt) return "no_exception_path";
    return std::string(drop_reasons[static_cast<std::size_t>(expect.reason)].name);
}

// The run of one arrangement, made when its first case is asked for.
class Run {
public:
    Run(const Cases& cases, const Fill& fill) : result_(run_binary(cases, fill)) {
        for (const Case& one : cases)
            if (counts_as_dropped(one.expect)) ++expected_drops_[reason_of(one.expect)];
    }

    void check(const Case& one) {
        if (counts_as_dropped(one.expect)) {
            const std::string reason = reason_of(one.expect);
            INFO(reason << ": all cases of this reason are counted together");
            CHECK(result_.dropped[reason] == expected_drops_[reason]);
        }
        if (!leaves(one.expect)) return;
        const Bytes first = take(of_fragment(one.expect, 0), {});
        for (std::size_t i = 1; i <= one.expect.later.size(); ++i)
            take(of_fragment(one.expect, i), fragment_id(one.expect, first));
    }
    // After all cases: nothing else left, and the counters add up.
    void check_rest(std::size_t cases) {
        for (const auto& left : result_.left)
            CHECK(left.empty());
        std::uint64_t dropped = 0, expected = 0;
        for (const auto& [reason, count] : result_.dropped)
            dropped += count;
        for (const auto& [reason, count] : expected_drops_)
            expected += count;
        CHECK(dropped == expected);
        CHECK(result_.received == cases);
        CHECK(result_.sent + dropped == cases);
        CHECK(result_.punted == 0);
    }

private:
    // The frame that left as expected; `id`: and with this id, unless empty.
    Bytes take(const Expect& expect, const Bytes& id) {
        auto& left = result_.left[static_cast<std::size_t>(expect.port)];
        const auto found = std::find_if(left.begin(), left.end(), [&](const Bytes& frame) {
            return difference(expect, frame).empty() &&
                   (id.empty() || fragment_id(expect, frame) == id);
        });
        INFO("expected:\n" << hex(expect.frame));
        REQUIRE(found != left.end());
        Bytes frame = *found;
        left.erase(found);
        return frame;
    }

    BinaryResult result_;
    std::map<std::string, std::uint64_t> expected_drops_;
};

}  // namespace

int main(int argc, char** argv) {
    const Cases cases = all_cases();
    std::map<std::string, std::unique_ptr<Run>> runs;
    const auto run_of = [&](const Arrangement& arrangement) -> Run& {
        auto& run = runs[arrangement.name];
        if (run == nullptr) run = std::make_unique<Run>(cases, arrangement.fill);
        return *run;
    };
    Cases named;
    std::map<std::string, std::function<void()>> tests;
    const auto add = [&](const std::string& name, int fault, std::function<void()> test) {
        Case one;
        one.name = name;
        one.fault = fault;
        named.push_back(one);
        tests[name] = std::move(test);
    };
    for (const Arrangement& arrangement : arrangements) {
        for (const Case& one : cases)
            add(arrangement.name + ": " + one.name, one.fault,
                [&] { run_of(arrangement).check(one); });
        add(arrangement.name + ": nothing else left, and the counters add up", 0,
            [&] { run_of(arrangement).check_rest(cases.size()); });
    }
    return run_cases(argc, argv, named, [&](const Case& one) { tests.at(one.name)(); });
}
