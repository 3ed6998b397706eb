// SPDX-License-Identifier: BSD-3-Clause
// KernelRoutes: what the kernel's main routing table says of the ways that leave by our TAPs with a
// gateway, put there by an operator or a routing daemon. Immutable once built.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "lib/balance/ids.hh"
#include "lib/balance/prefix_table.hh"
#include "lib/wire/address.hh"

namespace weir {

// Routes that are mirrored at most.
inline constexpr std::size_t max_kernel_routes = 4096;
// On addresses (IFA_PROTO, kernel 5.18) and routes (rtm_protocol) that Weir made, so that it knows
// them again.
inline constexpr std::uint8_t weir_protocol = 87;

struct KernelRoute {
    IpPrefix prefix;  // length 0: a default route
    std::uint32_t metric = 0;
    PortId port{};
    IpAddress gateway;  // of the prefix's family
    auto operator<=>(const KernelRoute&) const = default;
};

class KernelRoutes {
public:
    KernelRoutes() = default;
    // In any order. Of equal prefixes the one of the lowest metric counts, then of the first port,
    // then of the lowest gateway.
    explicit KernelRoutes(std::vector<KernelRoute> routes);

    // The route of the longest prefix that holds `address`; nullptr: none. Cost: a bisection for
    // each length that there are prefixes of.
    [[nodiscard]] const KernelRoute* find(const IpAddress& address) const noexcept {
        const auto* item = table_.find(address);
        return item != nullptr ? &item->second : nullptr;
    }
    // Those that count, each prefix once, by address.
    [[nodiscard]] const std::vector<KernelRoute>& all() const noexcept { return all_; }

private:
    std::vector<KernelRoute> all_;  // sorted
    PrefixTable<KernelRoute> table_;
};

}  // namespace weir
