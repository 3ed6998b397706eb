// SPDX-License-Identifier: BSD-3-Clause
// What the generator prints: a line each second, a summary, or JSON.
#pragma once

#include <string>

#include "perf/gen/check.hh"
#include "perf/gen/traffic.hh"

namespace weir::gen {

// Did the run hold: nothing wrong, nothing more than was sent, and, but for junk, something right?
[[nodiscard]] bool held(const Counts& counts, Forwarding forwarding);

[[nodiscard]] std::string heading();
[[nodiscard]] std::string line_of(const Window& window);
[[nodiscard]] std::string summary(const Traffic& traffic, const Checker& checker,
                                  const Expectation& expectation);
[[nodiscard]] std::string json_summary(const Traffic& traffic, const Checker& checker,
                                       const Expectation& expectation);

}  // namespace weir::gen
