// SPDX-License-Identifier: BSD-3-Clause
// The command line of bench.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "perf/bench/balancer.hh"
#include "perf/bench/measure.hh"

namespace weir::bench {

struct Options {
    std::vector<std::string> groups{"micro", "pipeline", "control"};
    std::vector<std::uint64_t> flows{1, 1'000, 131'072, 1'000'000, 10'000'000};
    std::vector<std::uint64_t> micro_flows{1'000, 100'000, 1'000'000, 10'000'000};
    std::uint64_t false_lookups = 100'000'000;
    std::vector<unsigned> families{4, 6};
    std::vector<std::string> forwards{"dsr-l2", "ipip"};
    bool to_other_family = false;
    std::uint32_t entries = 0;  // of the connection table; 0: 4 194 304, or 1.6 a flow when more
    std::uint32_t burst = 32;
    std::uint32_t round = 256;  // packets filled at once
    int cpu = -1;               // -1: wherever
    bool stages = true;
    std::string json;      // file; empty: none
    double best_pace = 0;  // of earlier runs on this machine; 0: not known
    Plan plan;
};

// nullopt: it was answered or refused; leave with `exit_code`.
std::optional<Options> read_options(int argc, char** argv, int& exit_code);

}  // namespace weir::bench
