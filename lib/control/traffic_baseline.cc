// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/traffic_baseline.hh"

namespace weir {

void TrafficBaseline::own(std::uint32_t id, const std::string& owner,
                          const std::function<TrafficView()>& counted) {
    if (id >= entries_.size()) entries_.resize(id + std::size_t{1});
    Entry& entry = entries_[id];
    if (entry.owner == owner) return;
    entry.owner = owner;
    entry.base = counted();
}

TrafficView TrafficBaseline::since(std::uint32_t id, TrafficView counted) const {
    if (id >= entries_.size()) return counted;
    const TrafficView& base = entries_[id].base;
    return {counted.packets - base.packets, counted.bytes - base.bytes,
            counted.new_flows - base.new_flows, counted.active_flows};
}

}  // namespace weir
