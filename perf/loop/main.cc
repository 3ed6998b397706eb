// SPDX-License-Identifier: BSD-3-Clause
// loop: what the worker loop costs a packet, without a device.
#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>

#include <fmt/format.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <unistd.h>

#include "lib/dpdk/eal.hh"
#include "perf/loop/flips.hh"
#include "perf/loop/measure.hh"
#include "perf/loop/modes.hh"
#include "perf/loop/options.hh"
#include "perf/loop/report.hh"
#include "perf/loop/swap.hh"

namespace {

using namespace weir;
using namespace weir::loop;

std::atomic<bool> stop{false};
static_assert(std::atomic<bool>::is_always_lock_free);  // set by a signal handler

constexpr std::uint16_t queues = 4;
constexpr unsigned most_lanes = 2;
constexpr std::uint64_t memory_bytes = std::uint64_t{256} << 20;

Result<void> start_eal(const Options& options, bool huge) {
    EalOptions eal;
    eal.memory = huge ? EalOptions::Memory::in_memory : EalOptions::Memory::no_huge;
    eal.memory_bytes = memory_bytes;
    eal.lcores = fmt::format("{}@{},{}@{},{}@{}", control_lcore, options.cpus[1], worker_lcore,
                             options.cpus[0], other_lcore, options.cpus[1]);
    eal.file_prefix = fmt::format("weir-loop-{}", getpid());
    eal.devices = {"net_null0"};
    eal.extra = {"--no-telemetry"};
    return eal_init(eal_arguments(eal));
}

std::map<unsigned, int> threads_of_lcores() {
    std::map<unsigned, int> threads;
    for (const unsigned lcore : {worker_lcore, other_lcore}) {
        rte_eal_remote_launch(
            [](void* thread) {
                *static_cast<int*>(thread) = gettid();
                return 0;
            },
            &threads[lcore], lcore);
        rte_eal_wait_lcore(lcore);
    }
    return threads;
}

// Everything that needs pools and port, which outlive it.
Result<bool> compare(const Options& options, bool huge, LanePort& port, const MbufPools& pools,
                     std::vector<rte_mempool*> lane_pools) {
    auto scene = Scene::make({options.forward, options.backends, port.mac()});
    if (!scene) return scene.error();
    auto frames = gen::Frames::make({*parse_mac("02:00:00:00:00:c1"), port.mac(),
                                     scene.value().vip(), 80, false, flows_needed(options), 0});
    if (!frames) return frames.error();
    const Stage stage{port, scene.value(), std::move(lane_pools), pools.control(), options.entries,
                      huge};
    if (options.mode == "flips") {
        auto flips = watch_flips(options, stage, threads_of_lcores().at(worker_lcore), stop);
        if (!flips) return flips.error();
        fmt::print("{}", (options.json ? json_of_flips : flips_table)(options, flips.value()));
        return flips.value().right == flips.value().made;
    }
    auto runners = runners_of(options, stage, frames.value());
    if (!runners) return runners.error();
    if (options.mode == "swap") {
        auto swaps = watch_swaps(dynamic_cast<EngineRunner&>(*runners.value()[1]),
                                 20 * options.windows, stop);
        if (!swaps) return swaps.error();
        fmt::print("{}", (options.json ? json_of_swaps : swap_table)(options, swaps.value()));
        return swaps.value().right == swaps.value().made;
    }
    auto outcome =
        measure(runners.value(),
                {options.windows, options.tries, options.seconds, threads_of_lcores()}, stop);
    if (!outcome) return outcome.error();
    fmt::print("{}",
               options.json ? json_of(options, outcome.value()) : table(options, outcome.value()));
    return outcome.value().all_right();
}

Result<bool> run(const Options& options) {
    const bool huge = options.memory == "in-memory" ||
                      (options.memory == "auto" && free_hugepage_bytes() >= memory_bytes);
    if (auto started = start_eal(options, huge); !started) return started.error();
    PoolOptions pool_options;
    pool_options.mbufs = 255;  // of the device that is never used
    auto pools = MbufPools::create(pool_options);
    if (!pools) return pools.error();
    // For each lane, as a port's queues have buffers of their own: shared ones would go to and fro
    // between the CPUs. Without caches: every buffer is used in turn, so that as much memory goes
    // round as with a device's ring of descriptors.
    std::vector<rte_mempool*> lane_pools;
    for (unsigned lane = 0; lane < most_lanes; ++lane) {
        lane_pools.push_back(rte_pktmbuf_pool_create(fmt::format("lane{}", lane).c_str(),
                                                     options.mbufs, 0, 0, pools.value().room(),
                                                     SOCKET_ID_ANY));
        if (lane_pools.back() == nullptr) return Error{"no memory for the packets"};
    }
    auto port = LanePort::open(queues, pools.value());
    if (!port) return port.error();
    return compare(options, huge, port.value(), pools.value(), std::move(lane_pools));
}

}  // namespace

int main(int argc, char** argv) {
    int exit_code = 0;
    const auto options = read_options(argc, argv, exit_code);
    if (!options) return exit_code;
    std::signal(SIGINT, [](int) { stop.store(true); });
    std::signal(SIGTERM, [](int) { stop.store(true); });
    const auto right = run(*options);
    if (!right) fmt::print(stderr, "loop: {}\n", right.error().message);
    eal_cleanup();
    return right && right.value() ? 0 : 1;
}
