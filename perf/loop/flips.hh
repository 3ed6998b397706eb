// SPDX-License-Identifier: BSD-3-Clause
// Ten thousand services under full traffic while a thousand times a second a backend falls or
// returns (P11): what the worker loop loses by it.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "perf/loop/many_flows.hh"
#include "perf/loop/measure.hh"
#include "perf/loop/options.hh"
#include "perf/loop/runner.hh"

namespace weir::loop {

struct Flips {
    struct Pair {  // a window without flips and one with
        Sample without, with;
        [[nodiscard]] bool calm() const noexcept;  // the worker had its CPU in both
    };
    std::vector<Pair> pairs;
    std::vector<double> publish;  // microseconds on the control thread, compile included
    std::uint64_t flips = 0;
    std::uint64_t made = 0, right = 0;  // packets
    std::map<std::string, std::uint64_t> wrong;
};

// Changes health as the controller does: what came within 5 ms is one compile and one publication.
// Control thread, which must not share a CPU with the worker. `worker_thread`: the thread of
// worker_lcore.
Result<Flips> watch_flips(const Options& options, const Stage& stage, int worker_thread,
                          const std::atomic<bool>& stop);

[[nodiscard]] std::string flips_table(const Options& options, const Flips& flips);
[[nodiscard]] std::string json_of_flips(const Options& options, const Flips& flips);

}  // namespace weir::loop
