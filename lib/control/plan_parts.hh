// SPDX-License-Identifier: BSD-3-Clause
// Parts of make_plan(). Internal to plan*.cc.
#pragma once

#include <string>
#include <vector>

#include "lib/control/plan.hh"

namespace weir {

std::vector<LcorePlan> plan_lcores(const SystemConfig& system);

// Ports whose MTU leaves no room for the outer header of a full-sized packet.
void warn_tunnels(const Config& config, std::vector<std::string>& warnings);

}  // namespace weir
