// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/kernel_routes.hh"

#include <algorithm>

namespace weir {

KernelRoutes::KernelRoutes(std::vector<KernelRoute> routes) : all_(std::move(routes)) {
    for (KernelRoute& route : all_)
        route.prefix.address = network_of(route.prefix);
    std::ranges::sort(all_);
    const auto same_prefix = [](const KernelRoute& a, const KernelRoute& b) {
        return a.prefix == b.prefix;
    };
    all_.erase(std::unique(all_.begin(), all_.end(), same_prefix), all_.end());
    std::vector<PrefixTable<KernelRoute>::Item> items;
    for (const KernelRoute& route : all_)
        items.emplace_back(route.prefix, route);
    table_ = PrefixTable<KernelRoute>(std::move(items));
}

}  // namespace weir
