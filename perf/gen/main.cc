// SPDX-License-Identifier: BSD-3-Clause
// gen: loads a balancer over a memif link and checks all that it sends back.
#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "lib/dpdk/eal.hh"
#include "perf/gen/options.hh"
#include "perf/gen/report.hh"
#include "perf/gen/target.hh"
#include "perf/gen/traffic.hh"

namespace {

using namespace weir;
using namespace weir::gen;

std::atomic<bool> stop{false};
static_assert(std::atomic<bool>::is_always_lock_free);  // set by a signal handler

int failed(const std::string& sentence) {
    fmt::print(stderr, "gen: {}\n", sentence);
    return 1;
}

TrafficOptions traffic_options(const Options& options) {
    return {.flows = options.flows,
            .syn = options.syn.value_or(-1),
            .fresh = options.fresh,
            .latency = options.latency,
            .rate = options.rate,
            .seconds = options.seconds,
            .warmup = options.warmup,
            .window = options.window,
            .passes = options.passes,
            .burst = options.burst,
            .most_away = options.most_away,
            .watch = options.watch};
}

// One run as asked for on the command line.
int run_once(const Options& options, const Target& target, Traffic& traffic,
             const Checker& checker) {
    const bool lines = !options.json && !options.quiet;
    if (lines)
        fmt::print("Mpps, {} flows to {}:{}\n{}", options.flows, to_string(target.vip), target.port,
                   heading());
    std::fflush(stdout);
    traffic.run(
        [lines](const Window& window) {
            if (lines) fmt::print("{}", line_of(window));
            std::fflush(stdout);
        },
        stop);
    const auto tell = options.json ? json_summary : summary;
    fmt::print("{}", tell(traffic, checker, target.expectation));
    return held(traffic.counts(), target.expectation.forwarding) ? 0 : 1;
}

// The options of one run: those of the command line but for what `line` says.
std::optional<TrafficOptions> read_turn(const TrafficOptions& usual, const std::string& line) {
    TrafficOptions options = usual;
    const std::pair<std::string_view, double*> keys[] = {{"seconds", &options.seconds},
                                                         {"warmup", &options.warmup},
                                                         {"window", &options.window},
                                                         {"rate", &options.rate},
                                                         {"new", &options.fresh}};
    std::istringstream words(line);
    for (std::string word; words >> word;) {
        const std::size_t equals = word.find('=');
        const char* const value = word.c_str() + (equals == std::string::npos ? 0 : equals + 1);
        if (word.starts_with("watch=")) {
            options.watch.push_back(static_cast<unsigned>(std::strtoul(value, nullptr, 10)));
            continue;
        }
        if (word.starts_with("passes=")) {
            options.passes = static_cast<unsigned>(std::strtoul(value, nullptr, 10));
            continue;
        }
        if (word.starts_with("burst=")) {
            const unsigned long burst = std::strtoul(value, nullptr, 10);
            if (burst < 1 || burst > Link::most_burst) return std::nullopt;
            options.burst = static_cast<unsigned>(burst);
            continue;
        }
        const auto* const key = std::ranges::find(keys, std::string_view(word).substr(0, equals),
                                                  &std::pair<std::string_view, double*>::first);
        if (equals == std::string::npos || key == std::end(keys)) return std::nullopt;
        *key->second = std::strtod(value, nullptr);
    }
    return options;
}

// A run for each line that comes, until the lines end.
int run_turns(const Options& options, const Target& target, Traffic& traffic,
              const Checker& checker) {
    TrafficOptions usual = traffic_options(options);
    usual.quiet = 0.02;  // the other end stays
    bool good = true;
    for (std::string line; !stop.load() && std::getline(std::cin, line);) {
        const auto turn = read_turn(usual, line);
        if (!turn) return failed(fmt::format("what is '{}'?", line));
        traffic.set_options(*turn);
        traffic.run([](const Window&) {}, stop);
        good = held(traffic.counts(), target.expectation.forwarding) && good;
        fmt::print("{}", json_summary(traffic, checker, target.expectation));
        std::fflush(stdout);
    }
    return good ? 0 : 1;
}

int run(const Options& options, const Target& target, Link& link) {
    const bool fresh = options.fresh > 0 || options.turns;
    auto frames = Frames::make({link.mac(), target.weir_mac, target.vip, target.port, target.udp,
                                fresh ? std::uint64_t{1} << 32 : options.flows, options.size,
                                options.latency});
    if (!frames) return failed(frames.error().message);
    auto checker = Checker::make(target.expectation, frames.value(), options.flows);
    if (!checker) return failed(checker.error().message);
    if (auto filled = link.fill(frames.value().blank()); !filled)
        return failed(filled.error().message);
    if (auto started = link.start(options.wait); !started) return failed(started.error().message);
    Traffic traffic(link, frames.value(), checker.value(), traffic_options(options));
    return (options.turns ? run_turns : run_once)(options, target, traffic, checker.value());
}

}  // namespace

int main(int argc, char** argv) {
    int exit_code = 0;
    const auto options = read_options(argc, argv, exit_code);
    if (!options) return exit_code;
    auto target = find_target(*options);
    if (!target) return failed(target.error().message);
    auto link = open_link(*options);
    if (!link) return failed(link.error().message);
    std::signal(SIGINT, [](int) { stop.store(true); });
    std::signal(SIGTERM, [](int) { stop.store(true); });
    const int code = run(*options, target.value(), *link.value());
    link.value().reset();
    eal_cleanup();
    return code;
}
