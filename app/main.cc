// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include "app/check.hh"
#include "app/daemon.hh"
#include "app/options.hh"

int main(int argc, char** argv) {
    const auto parsed = weir::parse_options(argc, argv);
    if (const int* code = std::get_if<int>(&parsed)) return *code;
    const auto& options = std::get<weir::Options>(parsed);
    if (options.check) return weir::check(options.config);

    weir::ConfigResult result = weir::load_config(options.config);
    if (!result.config) {
        weir::print_errors(result.errors);
        return 1;
    }
    return weir::run_daemon(options, std::move(*result.config));
}
