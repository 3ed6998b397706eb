// SPDX-License-Identifier: BSD-3-Clause
#include "perf/loop/options.hh"

#include <CLI/CLI.hpp>
#include <sched.h>

namespace weir::loop {

namespace {

constexpr const char* about =
    "What the real worker loop costs a packet, in TSC cycles, without a device: packets are made "
    "and "
    "checked in the process, and the cycles of that are taken off.\n"
    "  direct   the loop beside a bare forwarder, and its parts\n"
    "  ring     an RX lcore hands over to the worker by a ring, beside direct polling\n"
    "  swap     the longest turn of the loop when new tables come, beside those without\n"
    "  flips    10 000 services, a thousand times a second a backend falls or returns, beside "
    "none\n"
    "  scaling  two workers beside one, each with a generator of its own\n"
    "Exit 0: every packet came back with the right bytes.";

// The last two CPUs that we may use, the last one first.
std::vector<unsigned> usual_cpus() {
    cpu_set_t set;
    CPU_ZERO(&set);
    sched_getaffinity(0, sizeof set, &set);
    std::vector<unsigned> cpus;
    for (unsigned cpu = CPU_SETSIZE; cpu-- > 0 && cpus.size() < 2;)
        if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
    if (cpus.size() == 1) cpus.push_back(cpus.front());
    return cpus;
}

}  // namespace

std::optional<Options> read_options(int argc, char** argv, int& exit_code) {
    Options options;
    options.cpus = usual_cpus();
    CLI::App app(about, "loop");
    app.option_defaults()->always_capture_default();
    app.add_option("--mode", options.mode, "what to compare")
        ->check(CLI::IsMember({"direct", "ring", "scaling", "swap", "flips"}));
    app.add_option("--forward", options.forward, "dsr-l2 or ipip")
        ->check(CLI::IsMember({"dsr-l2", "ipip"}));
    app.add_option("--flows", options.flows, "flows of each worker")
        ->check(CLI::Range(1u, 100'000'000u));
    app.add_option("--entries", options.entries, "of each worker's connection table")
        ->check(CLI::Range(1u, 1u << 28));
    app.add_option("--backends", options.backends, "of the service")->check(CLI::Range(1u, 200u));
    app.add_option("--windows", options.windows, "of each")->check(CLI::Range(1u, 10'000u));
    app.add_option("--tries", options.tries,
                   "so many times as many windows at most, until --windows are good")
        ->check(CLI::Range(1u, 100u));
    app.add_option("--seconds", options.seconds, "of a window")->check(CLI::Range(0.01, 60.0));
    app.add_option("--mbufs", options.mbufs, "packets that may be on their way")
        ->check(CLI::Range(64u, 65'535u));
    app.add_option("--memory", options.memory, "auto: huge pages when some are free")
        ->check(CLI::IsMember({"auto", "in-memory", "no-huge"}));
    app.add_option("--cpus", options.cpus, "of the worker, and of the other lcore")
        ->delimiter(',')
        ->expected(2);
    app.add_flag("--json", options.json, "one JSON object instead of a table");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        exit_code = app.exit(error) == 0 ? 0 : 2;
        return std::nullopt;
    }
    return options;
}

}  // namespace weir::loop
