// SPDX-License-Identifier: BSD-3-Clause
// Plan: what a configuration asks of the machine: lcores, queues, rings, memory by purpose. Pure;
// `weir --check` prints it and start-up builds exactly it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/control/config.hh"
#include "lib/flow/nat_table.hh"
#include "lib/flow/table.hh"

namespace weir {

// One EAL lcore. Numbers are dense: control first (0), then RX lcores, then workers; a CPU in both
// rx_lcores and worker_lcores is one lcore that takes turns. `control` beside a poller is an lcore
// of its own on the same CPU.
struct LcorePlan {
    unsigned lcore = 0, cpu = 0;
    bool control = false;
    int rx = -1;      // index among RX pollers (rx_lcores), or -1
    int worker = -1;  // index among workers, or -1
};

struct MemoryItem {
    std::string purpose;
    std::uint64_t bytes = 0;
    bool dpdk = true;  // from EAL's memory (hugepages unless no-huge); false: the process's own
};

struct PortPlan {
    std::string name, device;
    unsigned rx_queues = 0, tx_queues = 0;  // wanted; the device may have fewer
    unsigned rx_descriptors = 0, tx_descriptors = 0;
};

struct RingPlan {
    std::string name;  // as the metric label
    unsigned slots = 0;
};

struct Plan {
    std::vector<LcorePlan> lcores;
    std::vector<PortPlan> ports;
    std::vector<RingPlan> rings;  // without TX rings: they depend on the queues that devices have
    std::uint32_t mbufs = 0;      // in each pool (one per NUMA node)
    std::uint32_t control_mbufs = 0;  // in the control lcore's own pool
    std::uint32_t mbuf_room = 0;      // bytes of data room, headroom included
    MemoryMode mode = MemoryMode::in_memory;
    std::vector<MemoryItem> memory;
    std::uint64_t dpdk_bytes = 0;     // what EAL needs, on a machine of one NUMA node; whole 2 MiB
    std::uint64_t process_bytes = 0;  // the sum of the rest
    // What the kernel counts for the process that was started with this file: Rss and huge pages.
    std::uint64_t resident_bytes = 0;
    std::uint64_t reload_bytes = 0;     // more, at most, once it has reloaded as large a file
    std::vector<std::string> warnings;  // control beside a poller, worker CPU listed twice...
};

Plan make_plan(const Config& config);

// What each worker's connection table takes: [conntrack] entries_per_worker for IPv4, and as many
// for IPv6 and for services of several ports where the configuration has any, else a reserve.
FlowSizes flow_sizes(const Config& config);
// The bindings of a worker for full-nat; no addresses: none.
NatTable::Size nat_size(const Config& config, std::uint32_t worker);
std::string to_string(const Plan& plan);  // several lines, for --check and the log

inline constexpr unsigned handover_ring_slots = 2048;  // RX or worker -> worker, per pair
inline constexpr unsigned fragment_ring_slots = 256;   // worker -> worker, per pair
inline constexpr unsigned punt_ring_slots = 512;       // worker -> control, per class
inline constexpr unsigned tx_ring_slots = 1024;        // sender -> TX queue owner, per pair
inline constexpr unsigned default_rx_descriptors = 1024, default_tx_descriptors = 1024;

}  // namespace weir
