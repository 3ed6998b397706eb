// SPDX-License-Identifier: BSD-3-Clause
// The words of weirctl: a command is a noun and mostly a verb; unique prefixes are accepted.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/wire/result.hh"

namespace weir::ctl {

// What a user may type. The help text and the matching both come from one table of these.
struct Words {
    std::string_view noun, verb;      // verb empty: the noun stands alone
    std::string_view arguments;       // for the help: "SERVICE/BACKEND", "[FILE]"
    std::size_t least = 0, most = 0;  // number of arguments
    std::string_view help;
    bool built = true;  // false: a word of the contract that this version does not have
};

struct Match {
    std::size_t command = 0;  // index into the table
    std::vector<std::string> arguments;
};

// The command that `typed` names. An exact word wins over longer ones that begin with it. Errors
// name the candidates of an ambiguous prefix, or the nouns or verbs there are.
Result<Match> match(std::span<const Words> table, const std::vector<std::string>& typed);

// One line a command that is built.
std::string help_of(std::span<const Words> table);

// "web/web-1" -> {"web", "web-1"}. Fails when there is not exactly one slash between two names.
struct ServiceBackend {
    std::string service, backend;
};
Result<ServiceBackend> split_backend(const std::string& text);

}  // namespace weir::ctl
