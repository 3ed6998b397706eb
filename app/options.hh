// SPDX-License-Identifier: BSD-3-Clause
// The command line of `weir`.
#pragma once

#include <string>
#include <variant>
#include <vector>

namespace weir {

struct Options {
    std::string config;            // --config FILE
    bool check = false;            // --check: read the file alone, start nothing
    std::vector<std::string> eal;  // what follows `--`
};

// The options, or the exit code when there is nothing more to do (--help, --version, usage error;
// the text was printed).
std::variant<Options, int> parse_options(int argc, char** argv);

}  // namespace weir
