// SPDX-License-Identifier: BSD-3-Clause
#include "perf/bench/options.hh"

#include <CLI/CLI.hpp>

namespace weir::bench {

namespace {

constexpr const char* about =
    "Weir's own work in memory, without DPDK: TSC cycles a packet of the pipeline and of its "
    "parts.\nExit 1 when a packet was not rewritten as it should be.";

}  // namespace

std::optional<Options> read_options(int argc, char** argv, int& exit_code) {
    Options options;
    CLI::App app(about, "bench");
    app.add_option("--group", options.groups, "micro, pipeline, control or several")
        ->check(CLI::IsMember({"micro", "pipeline", "control"}))
        ->capture_default_str();
    app.add_option("--flows", options.flows, "numbers of flows of the pipeline group")
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{100'000'000}))
        ->capture_default_str();
    app.add_option("--micro-flows", options.micro_flows, "numbers of flows of the micro group")
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{100'000'000}))
        ->capture_default_str();
    app.add_option("--false-lookups", options.false_lookups,
                   "lookups of flows that are not there, at the last of these numbers")
        ->capture_default_str();
    app.add_option("--family", options.families, "4, 6 or both")
        ->check(CLI::IsMember({4, 6}))
        ->capture_default_str();
    app.add_option("--forward", options.forwards,
                   "dsr-l2, ipip, gre, gue, l3dsr, nat, full-nat or several")
        ->check(CLI::IsMember({"dsr-l2", "ipip", "gre", "gue", "l3dsr", "nat", "full-nat"}))
        ->capture_default_str();
    app.add_flag("--to-other-family", options.to_other_family,
                 "backends of the other family; tunnels and full-nat only");
    app.add_option("--entries", options.entries,
                   "of the connection table (0: 4194304, or 1.6 a flow when that is more)");
    app.add_option("--burst", options.burst, "packets that process() gets at once")
        ->check(CLI::Range(1u, max_burst))
        ->capture_default_str();
    app.add_option("--round", options.round,
                   "packets written before a timed stretch: 256 stay in the cache, 16384 do not")
        ->check(CLI::Range(1u, 16'384u))
        ->capture_default_str();
    app.add_flag("!--no-stages", options.stages, "process() alone, without its parts");
    app.add_option("--windows", options.plan.windows, "windows of each figure")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    app.add_option("--window-ms", options.plan.window_ms, "timed milliseconds in a window")
        ->check(CLI::Range(0.01, 10'000.0))
        ->capture_default_str();
    app.add_option("--best-pace", options.best_pace,
                   "as the last line of an earlier run told it: windows off it are not quiet")
        ->check(CLI::PositiveNumber);
    app.add_option("--cpu", options.cpu, "CPU to run on");
    app.add_option("--json", options.json, "write the figures to this file, too");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        exit_code = app.exit(error) == 0 ? 0 : 2;
        return std::nullopt;
    }
    return options;
}

}  // namespace weir::bench
