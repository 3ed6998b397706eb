// SPDX-License-Identifier: BSD-3-Clause
// Metrics: the table of names (API, never renamed) and the Prometheus text of a view.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>

#include "lib/control/view.hh"

namespace weir {

struct MetricInfo {
    std::string_view name, type, help, labels;  // labels: comma separated
};
std::span<const MetricInfo> metric_infos();  // docs/metrics.md is checked against it

inline constexpr std::array<double, 12> probe_duration_bounds{
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5};

// What weir_backend_up says: not disabled, and its check (if any) did not take it down.
[[nodiscard]] bool backend_is_up(const BackendView& backend);

// Prometheus text format 0.0.4. `promtool check metrics` prints nothing.
std::string to_prometheus(const InstanceView& view);

}  // namespace weir
