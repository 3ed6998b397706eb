// SPDX-License-Identifier: BSD-3-Clause
// DPDK's log as lines for Weir's own log.
#pragma once

#include <functional>
#include <string_view>

namespace weir {

// A line of DPDK. Level: RTE_LOG_*, 1 (emergency) .. 8 (debug). Called on any thread, never two
// calls at once; must not call DPDK.
using DpdkLogSink = std::function<void(unsigned level, std::string_view line)>;

// From now on DPDK logs to `sink`; empty: warnings and worse to stderr. Before other threads run.
void set_dpdk_log_sink(DpdkLogSink sink);

// Gives each line of `text` to the sink as a debug line.
void log_captured(std::string_view text);

}  // namespace weir
