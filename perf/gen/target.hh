// SPDX-License-Identifier: BSD-3-Clause
// Target: whom to load and what should come back, from the command line and a running weir.
#pragma once

#include <cstdint>

#include "lib/wire/address.hh"
#include "lib/wire/result.hh"
#include "perf/gen/check.hh"
#include "perf/gen/options.hh"

namespace weir::gen {

struct Target {
    IpAddress vip;
    std::uint16_t port = 80;
    bool udp = false;
    MacAddress weir_mac;  // zero for macfwd
    Expectation expectation;
};

// What the command line gives wins; the rest is asked of weir when --weir is there. Blocking.
Result<Target> find_target(const Options& options);

}  // namespace weir::gen
