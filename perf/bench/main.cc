// SPDX-License-Identifier: BSD-3-Clause
// bench: what Weir's own work costs in memory. docs/performance.md says how to read it.
#include <cstdio>
#include <exception>
#include <fstream>
#include <string>

#include <fmt/format.h>
#include <sched.h>

#include "perf/bench/groups.hh"
#include "perf/bench/memory.hh"

using namespace weir::bench;

namespace {

void run_on(int cpu) {
    if (cpu < 0) return;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<std::size_t>(cpu), &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        fmt::print(stderr, "bench: cannot run on CPU {}\n", cpu);
}

bool write(const Options& options, const Report& report) {
    std::ofstream file(options.json);
    file << json{{"cycles_per_ns", cycles_per_ns()}, {"best_pace", best_pace()},
                 {"memory", Region(1).kind()},       {"burst", options.burst},
                 {"round", options.round},           {"figures", report.figures()}}
                .dump()
         << '\n';
    file.close();
    if (!file) fmt::print(stderr, "bench: cannot write {}\n", options.json);
    return static_cast<bool>(file);
}

}  // namespace

int main(int argc, char** argv) {
    int exit_code = 0;
    const auto options = read_options(argc, argv, exit_code);
    if (!options) return exit_code;
    run_on(options->cpu);
    if (options->best_pace > 0) set_known_pace(options->best_pace);
    Report report;
    try {
        for (const std::string& group : options->groups) {
            if (group == "micro") {
                measure_flow(*options, report);
                measure_maglev(*options, report);
                measure_wire(*options, report);
            } else if (group == "control") {
                measure_control(*options, report);
            } else {
                measure_pipeline(*options, report);
            }
        }
    } catch (const std::exception& error) {
        fmt::print(stderr, "bench: {}\n", error.what());
        return 1;
    }
    fmt::print("best pace {:.2f} cycles of the TSC, which counts {:.3f} a ns\n", best_pace(),
               cycles_per_ns());
    return options->json.empty() || write(*options, report) ? 0 : 1;
}
