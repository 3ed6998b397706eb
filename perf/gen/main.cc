// SPDX-License-Identifier: BSD-3-Clause
// gen: loads a balancer over a memif link and checks all that it sends back.
#include <atomic>
#include <csignal>
#include <cstdio>

#include <fmt/format.h>

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
            .burst = options.burst,
            .watch = options.watch};
}

int run(const Options& options, const Target& target, Link& link) {
    auto frames = Frames::make({link.mac(), target.weir_mac, target.vip, target.port, target.udp,
                                options.fresh > 0 ? std::uint64_t{1} << 32 : options.flows,
                                options.size, options.latency});
    if (!frames) return failed(frames.error().message);
    auto checker = Checker::make(target.expectation, frames.value(), options.flows);
    if (!checker) return failed(checker.error().message);
    if (auto filled = link.fill(frames.value().blank()); !filled)
        return failed(filled.error().message);
    if (auto started = link.start(options.wait); !started) return failed(started.error().message);

    Traffic traffic(link, frames.value(), checker.value(), traffic_options(options));
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
    fmt::print("{}", tell(traffic, checker.value(), target.expectation));
    return held(traffic.counts(), target.expectation.forwarding) ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    int exit_code = 0;
    const auto options = read_options(argc, argv, exit_code);
    if (!options) return exit_code;
    auto target = find_target(*options);
    if (!target) return failed(target.error().message);
    auto link = Link::open(*options);
    if (!link) return failed(link.error().message);
    std::signal(SIGINT, [](int) { stop.store(true); });
    std::signal(SIGTERM, [](int) { stop.store(true); });
    const int code = run(*options, target.value(), link.value());
    link.value().close();
    return code;
}
