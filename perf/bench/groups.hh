// SPDX-License-Identifier: BSD-3-Clause
// The groups of figures. Each throws std::runtime_error when a packet or a lookup came out wrong.
#pragma once

#include "perf/bench/options.hh"
#include "perf/bench/report.hh"

namespace weir::bench {

// process() over bursts of packets: established flows, then nothing but new ones, then its stages.
void measure_pipeline(const Options& options, Report& report);

}  // namespace weir::bench
