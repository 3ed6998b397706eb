// SPDX-License-Identifier: BSD-3-Clause
// weirctl: the operator's client. Speaks the API over the daemon's Unix socket; no DPDK in it.
#include <cstdio>
#include <cstdlib>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/weirctl_commands.hh"

int main(int argc, char** argv) {
    using namespace weir::ctl;
    Context context;
    if (const char* socket = std::getenv("WEIR_SOCKET"); socket != nullptr) context.socket = socket;
    std::vector<std::string> typed;

    CLI::App app{"Asks and changes a running weir.\n\nWords (unique prefixes will do):" +
                     help_of(words()) + "\nExit: 0 ok, 1 failed, 2 usage, 3 weir is not running.",
                 "weirctl"};
    app.add_option("-s,--socket", context.socket, "control socket (WEIR_SOCKET)");
    app.add_flag("-j,--json", context.json, "print the answer as JSON");
    app.add_option("--service", context.flows.service, "flow list: of this service");
    app.add_option("--backend", context.flows.backend, "flow list: of this backend");
    app.add_option("--src", context.flows.source, "flow list: from this address or prefix");
    app.add_option("--limit", context.flows.limit, "flow list: at most so many (100)")
        ->check(CLI::Range(1, 1'000'000'000));
    app.set_version_flag("--version", "weirctl " WEIR_VERSION);
    app.allow_extras();
    app.add_option("words", typed, "noun, verb, arguments");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? exit_ok : exit_usage;
    }
    const auto found = match(words(), typed);
    if (!found) {
        fmt::print(stderr, "weirctl: {}\n", found.error().message);
        return exit_usage;
    }
    // Only now: a word that is not built says so, whatever options it has.
    if (const auto unknown = app.remaining(); !unknown.empty()) {
        fmt::print(stderr, "weirctl: unknown option '{}'; weirctl --help lists them\n",
                   unknown.front());
        return exit_usage;
    }
    const Output output = run(context, found.value());
    fmt::print("{}", output.out);
    fmt::print(stderr, "{}", output.error);
    return std::fflush(stdout) == 0 ? output.exit : exit_failed;
}
