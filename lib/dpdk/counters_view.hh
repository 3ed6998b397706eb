// SPDX-License-Identifier: BSD-3-Clause
// Counters of the loops, summed into the view that metrics, API and telemetry are made from.
// Control thread; costs a read of each counter.
#pragma once

#include "lib/control/view.hh"
#include "lib/dpdk/engine.hh"

namespace weir {

// Fills workers, drops (the whole list, in order), rings, the totals, punted_by_class and
// icmp_errors_sent; and of each port that is in `view.ports` already (by PortId): tx_full and the
// exception path's counts.
void fill_counters(const Engine& engine, InstanceView& view);

// Sums over all workers.
[[nodiscard]] TrafficView service_traffic(const Engine& engine, ServiceId id);
[[nodiscard]] TrafficView backend_traffic(const Engine& engine, BackendId id);

}  // namespace weir
