// SPDX-License-Identifier: BSD-3-Clause
// What new tables cost the packets that are there at that moment: the longest turn of the loop
// around a publication, beside the longest in as long a time without one.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "perf/loop/measure.hh"
#include "perf/loop/options.hh"
#include "perf/loop/runner.hh"

namespace weir::loop {

struct Swaps {
    std::vector<double> with, without;  // microseconds: the longest turn of each watched time
    std::vector<double> publish;        // microseconds on the control thread, compile included
    std::uint64_t made = 0, right = 0;  // packets
};

// `count` publications while the loop is busy, 2 ms watched from each, and as many times without.
// Control thread, which must not share a CPU with the worker.
Result<Swaps> watch_swaps(EngineRunner& runner, unsigned count, const std::atomic<bool>& stop);

[[nodiscard]] std::string swap_table(const Options& options, const Swaps& swaps);
[[nodiscard]] std::string json_of_swaps(const Options& options, const Swaps& swaps);

}  // namespace weir::loop
