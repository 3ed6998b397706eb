// SPDX-License-Identifier: BSD-3-Clause
// The daemon's life: start everything in order, turn the control loop, stop everything in the
// opposite order.
#pragma once

#include "app/options.hh"
#include "lib/control/config.hh"

namespace weir {

// Runs until SIGTERM or SIGINT. Exit code: 0 after a clean stop, 1 when it could not start (the
// reason was printed) or not stop cleanly.
int run_daemon(const Options& options, Config config);

}  // namespace weir
