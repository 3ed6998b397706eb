// SPDX-License-Identifier: BSD-3-Clause
#include <iterator>

#include <fmt/format.h>

#include "lib/control/config_text.hh"
#include "lib/control/plan.hh"

namespace weir {

namespace {

using Out = std::back_insert_iterator<std::string>;

void write_lcores(const Plan& plan, Out out) {
    fmt::format_to(out, "lcores\n");
    for (const LcorePlan& lcore : plan.lcores) {
        std::string roles = lcore.control ? "control" : "";
        if (lcore.rx >= 0) roles += fmt::format("rx {}", lcore.rx);
        if (lcore.worker >= 0) {
            roles += fmt::format("{}worker {}", roles.empty() ? "" : " and ", lcore.worker);
        }
        fmt::format_to(out, "  lcore {} on CPU {}: {}\n", lcore.lcore, lcore.cpu, roles);
    }
}

void write_ports(const Plan& plan, Out out) {
    const auto queues = [](unsigned count, const char* way, unsigned descriptors) {
        return fmt::format("{} {} queue{} of {} descriptors", count, way, count == 1 ? "" : "s",
                           descriptors);
    };
    fmt::format_to(out, "ports\n");
    for (const PortPlan& port : plan.ports) {
        fmt::format_to(out, "  {} ({}): {}, {}\n", port.name, port.device,
                       queues(port.rx_queues, "RX", port.rx_descriptors),
                       queues(port.tx_queues, "TX", port.tx_descriptors));
    }
}

// Runs of rings of one size on one line: there can be thousands.
void write_rings(const Plan& plan, Out out) {
    fmt::format_to(out, "rings\n");
    for (std::size_t i = 0; i < plan.rings.size();) {
        std::size_t end = i;
        while (end < plan.rings.size() && plan.rings[end].slots == plan.rings[i].slots)
            ++end;
        fmt::format_to(out, "  {} of {} slots: {}", end - i, plan.rings[i].slots,
                       plan.rings[i].name);
        if (end - i > 1) fmt::format_to(out, " .. {}", plan.rings[end - 1].name);
        fmt::format_to(out, "\n");
        i = end;
    }
}

void write_memory(const Plan& plan, bool dpdk, std::uint64_t sum, Out out) {
    for (const MemoryItem& item : plan.memory) {
        if (item.dpdk != dpdk) continue;
        fmt::format_to(out, "  {:>14} bytes {:>11}  {}\n", item.bytes, human_size(item.bytes),
                       item.purpose);
    }
    fmt::format_to(out, "  {:>14} bytes {:>11}  in all\n", sum, human_size(sum));
}

}  // namespace

std::string to_string(const Plan& plan) {
    std::string text;
    const Out out(text);
    write_lcores(plan, out);
    write_ports(plan, out);
    write_rings(plan, out);
    fmt::format_to(out, "memory of DPDK, {}\n",
                   plan.mode == MemoryMode::no_huge ? "ordinary pages" : "huge pages");
    write_memory(plan, true, plan.dpdk_bytes, out);
    fmt::format_to(out, "memory of the process\n");
    write_memory(plan, false, plan.process_bytes, out);
    fmt::format_to(out, "memory of the running program\n");
    const auto line = [&](std::uint64_t bytes, std::string_view what) {
        fmt::format_to(out, "  {:>14} bytes {:>11}  {}\n", bytes, human_size(bytes), what);
    };
    line(plan.resident_bytes, "resident, huge pages included");
    line(plan.reload_bytes, "more at most after reloads");
    for (const std::string& warning : plan.warnings) {
        fmt::format_to(out, "warning: {}\n", warning);
    }
    return text;
}

}  // namespace weir
