// SPDX-License-Identifier: BSD-3-Clause
// Parts of make_plan(). Internal to plan*.cc.
#pragma once

#include <string>
#include <vector>

#include "lib/control/plan.hh"

namespace weir {

inline constexpr std::uint64_t huge_page = 2u << 20;

[[nodiscard]] constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t step) {
    return (value + step - 1) / step * step;
}

std::vector<LcorePlan> plan_lcores(const SystemConfig& system);

// Adds what the process takes beside DPDK's memory: tables, counters, configuration, the program.
void plan_process_memory(const Config& config, Plan& plan);

// Ports whose MTU leaves no room for the outer header of a full-sized packet.
void warn_tunnels(const Config& config, std::vector<std::string>& warnings);

}  // namespace weir
