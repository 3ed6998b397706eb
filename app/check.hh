// SPDX-License-Identifier: BSD-3-Clause
// `weir --check` and the errors of a file that does not start.
#pragma once

#include <vector>

#include "lib/control/config.hh"

namespace weir {

// On stderr, at most 50, then "and N more".
void print_errors(const std::vector<ConfigError>& errors);

// Prints the plan on stdout or the errors on stderr. Exit code 0 or 1.
int check(const std::string& path);

}  // namespace weir
