// SPDX-License-Identifier: BSD-3-Clause
// The commands of weirctl: one row each of words, request and form of the answer.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "app/weirctl_words.hh"

namespace weir::ctl {

inline constexpr int exit_ok = 0, exit_failed = 1, exit_usage = 2, exit_not_running = 3;

struct FlowFilter {
    std::string service, backend, source;
    std::optional<unsigned> limit;
};

struct Context {
    std::string socket = "/run/weir/ctl.sock";
    bool json = false;
    FlowFilter flows;
};

// The words of every command, for matching and help.
std::span<const Words> words();

// Runs the command that `match` names: asks the daemon, prints on stdout (errors on stderr),
// answers the exit code.
int run(const Context& context, const Match& match);

}  // namespace weir::ctl
