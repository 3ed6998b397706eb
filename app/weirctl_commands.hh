// SPDX-License-Identifier: BSD-3-Clause
// The commands of weirctl: one row each of words, request and form of the answer.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "app/weirctl_words.hh"

namespace weir::ctl {

inline constexpr int exit_ok = 0, exit_failed = 1, exit_usage = 2, exit_not_running = 3;

// The daemon lists at most so many flows at once.
inline constexpr std::uint64_t most_flows = 10'000;

struct FlowFilter {
    std::string service, backend, source;
    std::optional<std::uint64_t> limit;  // at least 1
    bool operator==(const FlowFilter&) const = default;
};

struct Context {
    std::string socket = "/run/weir/ctl.sock";
    bool json = false;
    FlowFilter flows;
};

// The words of every command, for matching and help.
std::span<const Words> words();

struct Output {
    int exit = exit_ok;
    std::string out, error;  // for stdout and stderr; whole lines
};

// Runs the command that `match` names: asks the daemon once, and waits for it at most 30 s.
Output run(const Context& context, const Match& match);

}  // namespace weir::ctl
