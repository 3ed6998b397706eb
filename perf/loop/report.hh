// SPDX-License-Identifier: BSD-3-Clause
// What perf/loop prints: a table, or JSON.
#pragma once

#include <string>

#include "perf/loop/measure.hh"
#include "perf/loop/options.hh"

namespace weir::loop {

[[nodiscard]] std::string table(const Options& options, const Outcome& outcome);
[[nodiscard]] std::string json_of(const Options& options, const Outcome& outcome);

}  // namespace weir::loop
