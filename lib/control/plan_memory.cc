// SPDX-License-Identifier: BSD-3-Clause
// What the process takes beside DPDK's memory. Sizes of our own are computed; those of libraries
// and of the allocator were measured (Debian 12 on x86-64, DPDK 22.11), and tests/system holds the
// sum against the running program.
#include <algorithm>

#include <fmt/format.h>

#include "lib/control/plan_parts.hh"
#include "lib/dataplane/counters.hh"
#include "lib/flow/fragment_table.hh"
#include "lib/flow/table.hh"

namespace weir {

namespace {

constexpr std::uint64_t kib = 1u << 10;

// Text and data of the program, of the libraries and of DPDK's drivers as far as a start touches
// them, and the heap of a small configuration. Then stack and caches of a thread.
constexpr std::uint64_t program_bytes = 33u << 20, lcore_bytes = 300 * kib;
constexpr std::uint64_t loop_bytes =
    64 * kib + sizeof(FragmentTable);  // LcoreLoop, before the counters

// A service and a backend in configuration, registry, tables, health and the view that telemetry
// reads (two of those for a while), names of up to 15 letters included.
constexpr std::uint64_t service_bytes = 2200, backend_bytes = 1060;
// Longer names lie apart, in each of these places.
constexpr std::uint64_t short_name = 15, name_copies = 6;

std::uint64_t name_bytes(const std::string& name) {
    return name.size() <= short_name ? 0 : name_copies * round_up(name.size() + 9, 16);
}

std::uint64_t services_bytes(const Config& config) {
    std::uint64_t bytes = 0;
    for (const ServiceConfig& service : config.services) {
        bytes += service_bytes + name_bytes(service.name);
        // Two tables: the configured one and the live one.
        bytes += 2 * round_up(std::uint64_t{service.table_size} * sizeof(Seat) + 8, 16);
        for (const BackendConfig& backend : service.backends)
            bytes += backend_bytes + name_bytes(backend.name);
    }
    return bytes;
}

// Without huge pages EAL keeps a record of each ordinary page.
std::uint64_t page_records(const Config& config, const Plan& plan) {
    constexpr std::uint64_t page = 4 * kib, record = 48;
    if (plan.mode != MemoryMode::no_huge) return 0;
    std::uint64_t bytes = 0;
    for (const MemoryItem& item : plan.memory)
        if (item.dpdk) bytes += item.bytes;
    return std::max(bytes, config.system.memory.hugepages) / page * record;
}

}  // namespace

void plan_process_memory(const Config& config, Plan& plan) {
    const std::uint64_t workers = config.system.worker_lcores.size();
    const auto add = [&](std::string purpose, std::uint64_t bytes) {
        plan.memory.push_back({std::move(purpose), bytes, false});
    };
    const FlowSizes sizes = flow_sizes(config);
    // In pages of 2 MiB, reserved or transparent ones (lib/dpdk/memory.hh).
    add(fmt::format("connection tables: {} x {} IPv4, {} IPv6 and {} port range flows", workers,
                    sizes.narrow, sizes.wide, sizes.ranges),
        workers * round_up(FlowTable::footprint(sizes), huge_page));
    const std::size_t pool = pool_addresses(config).size();
    if (pool != 0) {
        const NatTable::Size bindings = nat_size(config, 0);
        add(fmt::format("bindings of full-nat: {} x {} of {} pool addresses", workers,
                        bindings.bindings(), pool),
            workers * round_up(NatTable::footprint(bindings), huge_page));
    }
    add("counters of the workers",
        workers * round_up(loop_bytes + sizeof(WorkerTraffic), huge_page));
    const std::uint64_t services = services_bytes(config);
    add(fmt::format("{} services and their backends", config.services.size()), services);
    add("program, libraries and threads",
        program_bytes + plan.lcores.size() * lcore_bytes + page_records(config, plan));
    plan.reload_bytes = services + services / 4;
}

}  // namespace weir
