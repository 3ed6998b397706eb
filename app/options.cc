// SPDX-License-Identifier: BSD-3-Clause
#include "app/options.hh"

#include <algorithm>

#include <CLI/CLI.hpp>

#include "app/version.hh"

namespace weir {

std::variant<Options, int> parse_options(int argc, char** argv) {
    Options options;
    // EAL's part is cut off first: CLI11 would take its options for ours.
    const auto separator =
        std::find_if(argv, argv + argc, [](const char* word) { return std::string(word) == "--"; });
    if (separator != argv + argc) options.eal.assign(separator + 1, argv + argc);

    CLI::App app{
        "Weir: an L4 load balancer on DPDK.\n"
        "What follows `--` goes to DPDK's EAL as it is.",
        "weir"};
    app.footer("Reload with SIGHUP or `weirctl reload`, stop with SIGTERM. See weir(8).");
    app.add_option("-c,--config", options.config, "the configuration, one TOML file")
        ->required()
        ->type_name("FILE");
    app.add_flag("--check", options.check,
                 "read the file alone, print its errors or the plan of lcores, ports and memory");
    app.set_version_flag("--version", version_text());
    try {
        app.parse(static_cast<int>(separator - argv), argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    return options;
}

}  // namespace weir
