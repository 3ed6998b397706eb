// SPDX-License-Identifier: BSD-3-Clause
#include "perf/loop/swap.hh"

#include <chrono>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <rte_cycles.h>

#include "perf/loop/report.hh"

namespace weir::loop {

namespace {

using namespace std::chrono_literals;

// How much longer the turn is in the middle: others than swaps make single turns long, too.
double bump(const Swaps& swaps) {
    return spread_of(swaps.with).median - spread_of(swaps.without).median;
}

}  // namespace

Result<Swaps> watch_swaps(EngineRunner& runner, unsigned count, const std::atomic<bool>& stop) {
    Swaps swaps;
    if (auto started = runner.start(); !started) return started.error();
    Lane& lane = *runner.lanes().front();
    while (lane.made() < 2 * lane.flows() && !stop.load())
        std::this_thread::sleep_for(1ms);
    for (unsigned i = 0; i < 2 * count && !stop.load(); ++i) {
        const bool swap = i % 2 != 0;
        lane.start_watch();
        if (swap) {
            const std::uint64_t begin = rte_rdtsc();
            runner.swap_tables();
            swaps.publish.push_back(microseconds(rte_rdtsc() - begin));
        }
        std::this_thread::sleep_for(2ms);
        (swap ? swaps.with : swaps.without).push_back(microseconds(lane.longest_turn()));
    }
    if (auto stopped = runner.stop(); !stopped) return stopped.error();
    swaps.made = runner.made();
    swaps.right = runner.right();
    return swaps;
}

std::string swap_table(const Options& options, const Swaps& swaps) {
    const auto line = [](const char* what, const std::vector<double>& values) {
        const Spread spread = spread_of(values);
        return fmt::format("{:<40} {:8.2f} ({:.2f}..{:.2f})\n", what, spread.median, spread.least,
                           spread.most);
    };
    return fmt::format(
        "{}, {} flows, {} swaps; microseconds, median (least..most)\n{}{}{}"
        "{:<40} {:8.2f}\n{} packets, {}\n",
        options.forward, options.flows, swaps.with.size(),
        line("longest turn in 2 ms with a swap", swaps.with),
        line("longest turn in 2 ms without", swaps.without),
        line("compile and publish, on control", swaps.publish),
        "bump: the first less the second (P13)", bump(swaps), swaps.made,
        swaps.made == swaps.right ? "all right" : "NOT all right");
}

std::string json_of_swaps(const Options& options, const Swaps& swaps) {
    return nlohmann::json{{"mode", options.mode},
                          {"forward", options.forward},
                          {"flows", options.flows},
                          {"swaps", swaps.with.size()},
                          {"longest_turn_with_us", json_of(spread_of(swaps.with))},
                          {"longest_turn_without_us", json_of(spread_of(swaps.without))},
                          {"publish_us", json_of(spread_of(swaps.publish))},
                          {"bump_us", bump(swaps)},
                          {"sent", swaps.made},
                          {"right", swaps.right},
                          {"ok", swaps.made == swaps.right && swaps.made != 0}}
               .dump() +
           "\n";
}

}  // namespace weir::loop
