// SPDX-License-Identifier: BSD-3-Clause
// Report: the figures of a run, as lines while it goes on and as JSON at the end.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "perf/bench/measure.hh"

namespace weir::bench {

using nlohmann::json;

class Report {
public:
    // A figure of `group`: what was measured, under which `conditions` ({"flows": 1000, ...}), in
    // which unit.
    void add(const std::string& group, const std::string& what, json conditions,
             const std::string& unit, const Spread& spread);
    // The same for what has no spread: counts, ratios of counts.
    void add(const std::string& group, const std::string& what, json conditions,
             const std::string& unit, double value);

    [[nodiscard]] const json& figures() const noexcept { return figures_; }

private:
    static void print(const json& figure);

    json figures_ = json::array();
};

}  // namespace weir::bench
