// SPDX-License-Identifier: BSD-3-Clause
// ViewBuilder: one InstanceView from what the control plane knows and the data plane counts.
// Control thread only.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lib/balance/tables.hh"
#include "lib/control/compile.hh"
#include "lib/control/health_book.hh"
#include "lib/control/registry.hh"
#include "lib/control/traffic_baseline.hh"
#include "lib/control/view.hh"

namespace weir {

class DataPlane;

// What a view is made from; all of it is only read, during build().
struct ViewSource {
    const World& world;
    const Registry& registry;
    const HealthBook& health;
    const TrafficBaseline& services;
    const TrafficBaseline& backends;
    const DataPlane& data_plane;
    // The kernel's word for a neighbour ("REACHABLE"), empty when it has none.
    std::function<std::string(const Registry::NextHopKey&)> neighbor_state;
    std::chrono::steady_clock::time_point now;
};

class ViewBuilder {
public:
    // Fills services, neighbors, health, tables_version, config_generation, config_path and name,
    // and what DataPlane::fill() fills. Cost: a read of every counter, plus a pass over the slots
    // of each service table that it has not seen yet. What is out of `scope` is left empty.
    [[nodiscard]] InstanceView build(const ViewSource& source, const ViewScope& scope = {});

private:
    struct SlotCounts {
        std::shared_ptr<const ServiceTable> table;  // keeps the address from being used again
        std::vector<std::uint32_t> by_seat;
    };
    const std::vector<std::uint32_t>& slot_counts(const std::shared_ptr<const ServiceTable>& table);
    void fill_services(const ViewSource& source, const Tables& tables, InstanceView& view);
    void fill_service(const ViewSource& source, const Tables& tables, const std::string& name,
                      InstanceView& view);
    ServiceView service_view(const ViewSource& source, const ServiceConfig& service,
                             const std::shared_ptr<const ServiceTable>& table);

    std::map<std::string, SlotCounts> slots_;  // by service
};

// True for the reasons that this version can give; the others have no counter to show.
[[nodiscard]] bool can_occur(DropReason reason) noexcept;

}  // namespace weir
