// SPDX-License-Identifier: BSD-3-Clause
// What makes a Linux backend ready for its service's forwarding mode: the commands, each with its
// reason. `weirctl backend setup` prints them; the system tests run them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/control/config.hh"

namespace weir {

struct SetupStep {
    std::string command;  // one line for a POSIX shell, as root
    std::string why;      // one sentence
};

struct BackendSetup {
    std::string service, backend, forward, address;
    std::vector<SetupStep> steps;    // in this order
    std::vector<std::string> notes;  // what no command of the backend alone can settle
};

// nullopt: no such service or backend. Steps may be run again: they then change nothing or say that
// it is there already. Names of interfaces and gateways of the backend are not known, so no step
// needs them. Pure; cold.
std::optional<BackendSetup> backend_setup(const Config& config, std::string_view service,
                                          std::string_view backend);

}  // namespace weir
