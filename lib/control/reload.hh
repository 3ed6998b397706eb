// SPDX-License-Identifier: BSD-3-Clause
// What stands between a file and the running configuration. Control thread only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lib/control/compile.hh"
#include "lib/control/config.hh"

namespace weir {

// A configuration that may replace the running one, or why not: at most 50 located errors, then
// "and N more", or every key that only a restart can change.
struct Candidate {
    std::shared_ptr<const Config> config;  // null: see refusals
    std::vector<std::string> refusals;
};
Candidate judge(ConfigResult loaded, const Config& running);

// Each address of a service once, in file order.
std::vector<IpAddress> vips_of(const Config& config);

// `config` with the operator's states in place of the file's.
Config with_overrides(const Config& config, const decltype(World::overrides)& overrides);

}  // namespace weir
