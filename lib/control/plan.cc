// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/plan.hh"

#include <algorithm>
#include <bit>
#include <charconv>

#include <fmt/format.h>

#include "lib/control/config_text.hh"
#include "lib/control/plan_parts.hh"
#include "lib/dataplane/verdict.hh"
#include "lib/flow/fragment_table.hh"
#include "lib/flow/table.hh"
#include "lib/wire/headers.hh"

namespace weir {

namespace {

// DPDK 22.11: RTE_PKTMBUF_HEADROOM, the default data room, sizeof(rte_mbuf), a mempool object's
// header, and the cache of one lcore (rte_mempool_cache), of which a pool has RTE_MAX_LCORE.
constexpr std::uint32_t headroom = 128, default_room = 2048 + headroom;
constexpr std::uint64_t mbuf_header = 128, object_header = 64, cache_line = 64;
constexpr std::uint64_t pool_caches = 128 * (12u << 10) + (512u << 10);
constexpr std::uint32_t lcore_cache = 256 + 128;  // buffers an lcore keeps: the cache may be 1.5 x
constexpr std::uint32_t burst = 64;
constexpr std::uint32_t least_mbufs = 8192, mbuf_step = 4096;
// EAL's own tables, telemetry, and a driver's descriptor rings.
constexpr std::uint64_t eal_bytes = 32u << 20, port_bytes = 2u << 20, queue_bytes = 128u << 10;

bool is_driver(const PortConfig& port, std::string_view driver) {
    return port.device.starts_with(driver);
}

// Queues of a port at most. "auto" gives one where the other end must have as many.
unsigned queue_limit(const PortConfig& port) {
    if (port.queues != 0) return port.queues;
    constexpr std::string_view paired[] = {"net_memif", "net_virtio_user", "net_vhost"};
    const bool one = std::ranges::any_of(
        paired, [&](std::string_view driver) { return is_driver(port, driver); });
    return one ? 1 : ~0u;
}

std::vector<PortPlan> plan_ports(const Config& config) {
    const SystemConfig& system = config.system;
    const auto workers = static_cast<unsigned>(system.worker_lcores.size());
    const auto pollers =
        system.rx_lcores.empty() ? workers : static_cast<unsigned>(system.rx_lcores.size());
    std::vector<PortPlan> ports;
    for (const PortConfig& port : config.ports) {
        PortPlan& plan = ports.emplace_back();
        plan.name = port.name;
        plan.device = port.device;
        const unsigned most = queue_limit(port);
        plan.rx_queues = std::min(pollers, most);
        plan.tx_queues = std::min(workers + 1, most);  // the control lcore sends too
        plan.rx_descriptors =
            port.rx_descriptors == 0 ? default_rx_descriptors : port.rx_descriptors;
        plan.tx_descriptors =
            port.tx_descriptors == 0 ? default_tx_descriptors : port.tx_descriptors;
    }
    return ports;
}

std::vector<RingPlan> plan_rings(const SystemConfig& system) {
    std::vector<RingPlan> rings;
    const std::size_t workers = system.worker_lcores.size();
    const bool separate = !system.rx_lcores.empty();
    const std::size_t pollers = separate ? system.rx_lcores.size() : workers;
    for (std::size_t from = 0; from < pollers; ++from) {
        for (std::size_t to = 0; to < workers; ++to) {
            if (!separate && from == to) continue;
            rings.push_back({fmt::format("{}{}-worker{}", separate ? "rx" : "worker", from, to),
                             handover_ring_slots});
        }
    }
    for (std::size_t from = 0; from < workers; ++from) {
        for (std::size_t to = 0; to < workers; ++to) {
            if (from == to) continue;
            rings.push_back(
                {fmt::format("worker{}-fragments-worker{}", from, to), fragment_ring_slots});
        }
    }
    for (std::size_t worker = 0; worker < workers; ++worker) {
        for (const std::string_view name : punt_class_names) {
            rings.push_back({fmt::format("worker{}-punt-{}", worker, name), punt_ring_slots});
        }
    }
    return rings;
}

// Bytes of a buffer's data room that frames of the port need.
std::uint32_t room_of(const PortConfig& port) {
    // Ethernet header, one VLAN tag, headroom for a tunnel's outer header, and some for alignment.
    std::uint32_t room = port.mtu + ethernet_length + vlan_length + headroom + 64;
    // AF_XDP in 22.11 has 398 bytes of a buffer for itself and the kernel.
    if (is_driver(port, "net_af_xdp")) room = port.mtu + 398;
    // AF_PACKET wants a whole frame of its ring to fit behind the headroom.
    constexpr std::string_view key = "framesz=";
    if (const std::size_t at = port.device.find(key);
        is_driver(port, "net_af_packet") && at != std::string::npos) {
        std::uint32_t frame = 0;
        std::from_chars(port.device.data() + at + key.size(),
                        port.device.data() + port.device.size(), frame);
        room = std::max(room, std::min<std::uint32_t>(frame, 32768) + headroom);
    }
    return room;
}

std::uint32_t plan_room(const Config& config) {
    std::uint32_t room = default_room;
    for (const PortConfig& port : config.ports) {
        room = std::max(room, room_of(port));
    }
    return static_cast<std::uint32_t>(round_up(room, cache_line));
}

// Buffers that can be away from the pool at once: every descriptor, the punt rings full, the rings
// of one stalled worker full and a share of the others, fragments that wait, and what the lcores
// hold.
std::uint32_t needed_mbufs(const Config& config, const Plan& plan) {
    const std::uint64_t workers = config.system.worker_lcores.size();
    const std::uint64_t pollers =
        config.system.rx_lcores.empty() ? workers : config.system.rx_lcores.size();
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < plan.ports.size(); ++i) {
        const PortPlan& port = plan.ports[i];
        count += std::uint64_t{port.rx_queues} * port.rx_descriptors;
        count += std::uint64_t{port.tx_queues} * port.tx_descriptors;
        // The fill and completion rings of AF_XDP hold buffers beside the descriptors.
        if (is_driver(config.ports[i], "net_af_xdp")) count += std::uint64_t{port.rx_queues} * 4096;
        count += (workers + 1) * (tx_ring_slots / 4);
    }
    count += pollers * handover_ring_slots + pollers * workers * (handover_ring_slots / 8);
    count += workers * punt_class_count * punt_ring_slots;
    count += workers * (FragmentTable::slots + (workers - 1) * fragment_ring_slots);
    count += plan.lcores.size() * (lcore_cache + std::uint64_t{4} * burst);
    count = std::max<std::uint64_t>(count, least_mbufs);
    return static_cast<std::uint32_t>(round_up(count, mbuf_step));
}

// The control lcore's pool: it fills the TX descriptors of every port, and as many are on their
// way.
std::uint32_t needed_control_mbufs(const Plan& plan) {
    std::uint32_t count = 2048;
    for (const PortPlan& port : plan.ports)
        count += port.tx_descriptors;
    return count;
}

// Buffers are packed without gaps at page borders (lib/dpdk/pool.cc).
std::uint64_t pool_bytes(std::uint64_t count, std::uint64_t room) {
    const std::uint64_t object =
        round_up(object_header + mbuf_header + room, cache_line) + cache_line;
    const std::uint64_t pointers = std::bit_ceil(count + 1) * sizeof(void*);
    return object * count + object * count / 50 + pointers + pool_caches;  // 2 % for the allocator
}

std::uint64_t ring_bytes(std::uint64_t slots) {
    return slots * sizeof(void*) + 512;
}

void plan_dpdk_memory(const Config& config, Plan& plan) {
    const auto add = [&](std::string purpose, std::uint64_t bytes) {
        plan.memory.push_back({std::move(purpose), bytes, true});
    };
    add(fmt::format("{} packet buffers of {} bytes, on each NUMA node", plan.mbufs, plan.mbuf_room),
        pool_bytes(plan.mbufs, plan.mbuf_room));
    add(fmt::format("{} packet buffers of the control lcore", plan.control_mbufs),
        pool_bytes(plan.control_mbufs, plan.mbuf_room));
    std::uint64_t rings = 0;
    for (const RingPlan& ring : plan.rings)
        rings += ring_bytes(ring.slots);
    add(fmt::format("{} rings between lcores", plan.rings.size()), rings);
    const std::uint64_t senders = config.system.worker_lcores.size() + 1;
    add("transmit rings, at most", plan.ports.size() * senders * ring_bytes(tx_ring_slots));
    std::uint64_t devices = eal_bytes + plan.ports.size() * port_bytes;
    for (const PortPlan& port : plan.ports) {
        devices += (port.rx_queues + port.tx_queues) * queue_bytes;
    }
    add("EAL and drivers", devices);
}

void warn_lcores(const Config& config, Plan& plan) {
    const SystemConfig& system = config.system;
    const auto has = [](const std::vector<unsigned>& cpus, unsigned cpu) {
        return std::ranges::find(cpus, cpu) != cpus.end();
    };
    if (has(system.rx_lcores, system.control_lcore) ||
        has(system.worker_lcores, system.control_lcore)) {
        plan.warnings.push_back(
            fmt::format("CPU {} runs control beside a polling lcore: both are slowed by the "
                        "kernel's scheduler; give control_lcore a CPU of its own",
                        system.control_lcore));
    }
    for (const unsigned cpu : system.rx_lcores) {
        if (!has(system.worker_lcores, cpu)) continue;
        plan.warnings.push_back(fmt::format(
            "CPU {} stands in rx_lcores and worker_lcores: its steps take turns in one loop", cpu));
    }
}

void warn_memory(const Config& config, const Plan& plan, std::vector<std::string>& warnings) {
    const std::uint32_t needed = needed_mbufs(config, plan);
    if (config.system.memory.mbufs != 0 && config.system.memory.mbufs < needed) {
        warnings.push_back(
            fmt::format("memory.mbufs = {} is less than the {} that descriptors and "
                        "rings can hold: expect mbuf_exhausted under load",
                        config.system.memory.mbufs, needed));
    }
}

}  // namespace

FlowSizes flow_sizes(const Config& config) {
    bool wide = false, ranges = false;
    for (const ServiceConfig& service : config.services) {
        if (service.key.first_port != service.key.last_port) {
            ranges = true;
        } else if (service.key.vip.family == Family::v6) {
            wide = true;
        }
    }
    return {config.conntrack.entries_per_worker, wide, ranges};
}

NatTable::Size nat_size(const Config& config, std::uint32_t worker) {
    return {static_cast<std::uint32_t>(pool_addresses(config).size()), worker,
            static_cast<std::uint32_t>(config.system.worker_lcores.size())};
}

Plan make_plan(const Config& config) {
    Plan plan;
    plan.mode = config.system.memory.mode;
    plan.lcores = plan_lcores(config.system);
    plan.ports = plan_ports(config);
    plan.rings = plan_rings(config.system);
    plan.mbuf_room = plan_room(config);
    plan.mbufs =
        config.system.memory.mbufs != 0 ? config.system.memory.mbufs : needed_mbufs(config, plan);
    plan.control_mbufs = needed_control_mbufs(plan);
    plan_dpdk_memory(config, plan);
    plan_process_memory(config, plan);
    for (const MemoryItem& item : plan.memory) {
        (item.dpdk ? plan.dpdk_bytes : plan.process_bytes) += item.bytes;
    }
    plan.dpdk_bytes = round_up(plan.dpdk_bytes, huge_page);
    // EAL takes all of it at start and faults it in.
    plan.resident_bytes =
        std::max(plan.dpdk_bytes, config.system.memory.hugepages) + plan.process_bytes;
    warn_lcores(config, plan);
    warn_memory(config, plan, plan.warnings);
    warn_tunnels(config, plan.warnings);
    return plan;
}

}  // namespace weir
