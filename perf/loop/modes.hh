// SPDX-License-Identifier: BSD-3-Clause
// The comparisons of perf/loop: which runners take turns, with which flows.
#pragma once

#include <memory>
#include <vector>

#include "perf/loop/options.hh"
#include "perf/loop/runner.hh"

namespace weir::loop {

// lcores of EAL, as main() starts it.
inline constexpr unsigned control_lcore = 0, worker_lcore = 1, other_lcore = 2;

// How many flows `frames` must know for these options.
[[nodiscard]] std::uint32_t flows_needed(const Options& options);

// The runners of options.mode; the first is the bare forwarder. `frames` and what `stage` names
// outlive them.
// For swap they are macfwd and weir.
Result<std::vector<std::unique_ptr<Runner>>> runners_of(const Options& options, const Stage& stage,
                                                        const gen::Frames& frames);

}  // namespace weir::loop
