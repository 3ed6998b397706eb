// SPDX-License-Identifier: BSD-3-Clause
#include "app/check.hh"

#include <algorithm>

#include <fmt/format.h>

#include "lib/control/plan.hh"

namespace weir {

void print_errors(const std::vector<ConfigError>& errors) {
    constexpr std::size_t most = 50;
    const std::size_t shown = std::min(errors.size(), most);
    for (std::size_t i = 0; i < shown; ++i)
        fmt::print(stderr, "{}\n", to_string(errors[i]));
    if (errors.size() > shown) fmt::print(stderr, "and {} more\n", errors.size() - shown);
}

int check(const std::string& path) {
    const ConfigResult result = load_config(path);
    if (!result.config) {
        print_errors(result.errors);
        return 1;
    }
    fmt::print("{}", to_string(make_plan(*result.config)));
    return 0;
}

}  // namespace weir
