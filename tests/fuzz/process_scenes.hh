// SPDX-License-Identifier: BSD-3-Clause
// The balancers that fuzz_process chooses from: configurations of every forwarding mode, each
// compiled in several states of its backends, as a worker sees them one after the other.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "lib/balance/tables.hh"

namespace weir::fuzz {

struct Scene {
    std::uint8_t workers = 1;
    std::uint32_t flow_entries = 64;
    // Backends all active, the first of each service drained, the same disabled, all disabled, the
    // same gone with the neighbours of a port, another order of services without the first.
    std::vector<std::unique_ptr<const Tables>> states;
    std::uint32_t services = 0, backends = 0;  // one past the highest ids
    // What frames may come from and go to: VIPs, backends, our own, the pool, clients.
    std::vector<IpAddress> v4, v6;
};

// Made on first use; lives on.
[[nodiscard]] std::span<const Scene> scenes();

// Of the bindings of full-nat: eight ports an address and protocol.
inline constexpr std::uint32_t pool_addresses_at_most = 2, nat_workers = 8064;

}  // namespace weir::fuzz
