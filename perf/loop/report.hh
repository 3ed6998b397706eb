// SPDX-License-Identifier: BSD-3-Clause
// What perf/loop prints: a table, or JSON.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "perf/loop/measure.hh"
#include "perf/loop/options.hh"

namespace weir::loop {

[[nodiscard]] nlohmann::json json_of(const Spread& spread);

[[nodiscard]] std::string table(const Options& options, const Outcome& outcome);
[[nodiscard]] std::string json_of(const Options& options, const Outcome& outcome);

}  // namespace weir::loop
