// SPDX-License-Identifier: BSD-3-Clause
#include "lib/balance/routes.hh"

#include <algorithm>

namespace weir {

Routes::Routes(std::vector<Connected> connected, std::span<const Station> stations,
               NextHopId gateway4, NextHopId gateway6, std::vector<Via> via)
    : connected_(std::move(connected)), via_(std::move(via)), gateways_{gateway4, gateway6} {
    std::ranges::stable_sort(connected_, std::ranges::greater{},
                             [](const Connected& network) { return network.prefix.length; });
    for (const Station& station : stations)
        stations_.try_emplace({station.port, station.address}, station.next_hop);
}

Route Routes::find(const IpAddress& destination) const noexcept {
    const Via* const via = via_.find(destination);
    for (const Connected& network : connected_) {
        if (!network.prefix.contains(destination)) continue;
        if (via != nullptr && via->first.length > network.prefix.length) break;
        const auto station = stations_.find({network.port, destination});
        return {true, station != stations_.end() ? station->second : invalid_next_hop,
                network.port};
    }
    const NextHopId gateway =
        via != nullptr ? via->second : gateways_[destination.family == Family::v4 ? 0 : 1];
    return {gateway != invalid_next_hop, gateway, PortId{}};
}

}  // namespace weir
