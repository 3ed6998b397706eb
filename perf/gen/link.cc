// SPDX-License-Identifier: BSD-3-Clause
#include "perf/gen/link.hh"

#include <algorithm>

#include <fmt/format.h>
#include <unistd.h>

#include "lib/dpdk/eal.hh"
#include "perf/gen/dpdk_link.hh"
#include "perf/gen/memif_server.hh"

namespace weir::gen {

namespace {

constexpr std::uint64_t memory_bytes = std::uint64_t{128} << 20;
constexpr std::uint16_t least_room = 2176, most_room = 9344;

EalOptions eal_options(const Options& options, const std::string& device) {
    EalOptions eal;
    const bool huge =
        !device.empty() && (options.memory == "in-memory" ||
                            (options.memory == "auto" && free_hugepage_bytes() >= memory_bytes));
    eal.memory = huge ? EalOptions::Memory::in_memory : EalOptions::Memory::no_huge;
    eal.memory_bytes = memory_bytes;
    eal.lcores = fmt::format("0@{}", options.cpu);
    eal.file_prefix = fmt::format("weir-gen-{}", getpid());
    if (!device.empty()) eal.devices = {device};
    eal.extra = options.eal;
    eal.extra.insert(eal.extra.begin(), {"--no-telemetry"});
    return eal;
}

}  // namespace

Result<std::unique_ptr<Link>> open_link(const Options& options) {
    std::string device = options.device;
    if (device.empty() && !options.serve)
        device = fmt::format("net_memif0,role=client,id=0,socket={}", options.socket);
    if (auto started = eal_init(eal_arguments(eal_options(options, device))); !started)
        return started.error();
    if (options.serve) return MemifServer::open(options.socket);
    const auto room = static_cast<std::uint16_t>(
        std::clamp<unsigned>(options.size + 256u, least_room, most_room));
    return DpdkLink::open(device, room);
}

}  // namespace weir::gen
