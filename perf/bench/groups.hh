// SPDX-License-Identifier: BSD-3-Clause
// The groups of figures. Each throws std::runtime_error when a packet or a lookup came out wrong.
#pragma once

#include "perf/bench/options.hh"
#include "perf/bench/report.hh"

namespace weir::bench {

// The micro group. The connection table and its hash beside the cost of a random cache line;
// Maglev tables: time, balance, disruption; tunnel headers and checksums.
void measure_flow(const Options& options, Report& report);
void measure_maglev(const Options& options, Report& report);
void measure_wire(const Options& options, Report& report);

// The pipeline group. process() over bursts of packets: established flows, then nothing but new
// ones (with room in the table, and without), then its stages.
void measure_pipeline(const Options& options, Report& report);

// The control group. Ten thousand services: load, change, memory.
void measure_control(const Options& options, Report& report);

}  // namespace weir::bench
