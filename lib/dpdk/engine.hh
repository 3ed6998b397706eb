// SPDX-License-Identifier: BSD-3-Clause
// Engine: builds the running data plane from ports and lcores: rings, connection tables, loops, the
// exception path and the publisher; starts and stops the lcores. It opens no device.
//
// Who polls: RX queue q of every port belongs to poller q % pollers. Pollers are the rx_lcores, or
// the workers where there are none. Who sends: see tx.hh.
//
// Threads: everything here is for the control thread (the EAL main lcore), except what says other.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/control/plan.hh"
#include "lib/dataplane/counters.hh"
#include "lib/dataplane/inspect.hh"
#include "lib/dataplane/station_mailbox.hh"
#include "lib/dpdk/clock.hh"
#include "lib/dpdk/exception_path.hh"
#include "lib/dpdk/lcore_loop.hh"
#include "lib/dpdk/memory.hh"
#include "lib/dpdk/publisher.hh"
#include "lib/dpdk/ring.hh"
#include "lib/dpdk/tx.hh"
#include "lib/flow/key.hh"
#include "lib/flow/nat_table.hh"
#include "lib/flow/table.hh"
#include "lib/wire/result.hh"

struct rte_mempool;

namespace weir {

struct EnginePort {
    std::string name;                            // for the names of rings
    std::uint16_t device = 0;                    // DPDK's port number
    std::uint16_t rx_queues = 1, tx_queues = 1;  // that the device has; >= 1
    std::uint16_t vlan = 0;                      // 0: untagged
    int tap = -1;                                // descriptor of the exception TAP; -1: none
};

struct EngineSetup {
    std::vector<EnginePort> ports;    // by PortId
    std::vector<LcorePlan> lcores;    // of the plan; the control lcore may be among them
    FlowSizes flow_sizes{0};          // of each worker's connection table
    std::uint32_t nat_addresses = 0;  // of the pool of full-nat
    HashSecret secret;                // random_hash_secret(), but for tests
    std::function<rte_mempool*(unsigned node)> pool_on;  // for copies; mbufs of that NUMA node
    rte_mempool* control_pool = nullptr;
    Idle idle = Idle::busy;
    bool hugetlb = true;  // huge pages for connection tables, where there are any
    unsigned handover_slots = handover_ring_slots;  // powers of two
    unsigned punt_slots = punt_ring_slots;
    unsigned tx_slots = tx_ring_slots;
};

class Engine {
public:
    // Blocks while memory is faulted in. Fails with the sentence that mends it.
    static Result<std::unique_ptr<Engine>> create(EngineSetup setup);
    // Stops. Aborts the process if an lcore does not stop: its memory must not be freed.
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    // Starts the loops on their lcores; they wait for the first Tables before they touch a port.
    Result<void> start();
    // True when every lcore has turned at least once: Weir is ready.
    [[nodiscard]] bool polling() const noexcept;
    // Tells the lcores to stop and waits at most `bound`; then names those that did not. Packets
    // that are still in rings are freed by the destructor. Idempotent.
    Result<void> stop(std::chrono::milliseconds bound = std::chrono::seconds(5));

    // Control's share of a turn of its event loop: frees old tables, moves frames between kernel
    // and ports. Bounded; answers how many frames it moved (0: nothing to do now).
    unsigned control_turn();

    [[nodiscard]] Publisher& publisher() noexcept { return publisher_; }
    [[nodiscard]] const Publisher& publisher() const noexcept { return publisher_; }
    [[nodiscard]] ExceptionPath& exception_path() noexcept { return *exception_path_; }
    [[nodiscard]] const ExceptionPath& exception_path() const noexcept { return *exception_path_; }
    [[nodiscard]] const TickClock& clock() const noexcept { return clock_; }

    // One lcore that polls or works, in the order of the setup.
    struct Lcore {
        Lcore() = default;
        Lcore(const Lcore&) = delete;
        Lcore& operator=(const Lcore&) = delete;
        ~Lcore();

        LcorePlan plan;
        unsigned node = 0;   // NUMA
        bool polls = false;  // has RX queues
        NumaRegion memory, flow_memory, nat_memory;
        LcoreLoop* loop = nullptr;         // in `memory`
        WorkerTraffic* traffic = nullptr;  // in `memory`; workers only
        std::optional<FlowTable> flows;    // in `flow_memory`; workers only
        std::optional<NatTable> nat;       // in `nat_memory`; workers of a pool only
    };
    [[nodiscard]] const std::vector<std::unique_ptr<Lcore>>& lcores() const noexcept {
        return lcores_;
    }
    // Counters of the control lcore: frames injected.
    [[nodiscard]] const LcoreCounters& control_counters() const noexcept {
        return control_counters_;
    }
    // One per worker, for the control thread.
    [[nodiscard]] std::vector<FlowMailbox*> flow_mailboxes();
    [[nodiscard]] std::vector<StationMailbox*> station_mailboxes();
    [[nodiscard]] const std::vector<std::unique_ptr<MbufRing>>& rings() const noexcept {
        return rings_;
    }
    [[nodiscard]] std::size_t port_count() const noexcept { return port_count_; }
    // Frames for this port that were dropped because a TX queue or ring was full.
    [[nodiscard]] std::uint64_t tx_full(PortId port) const noexcept;

private:
    struct Builder;
    explicit Engine(unsigned readers) : publisher_(readers) {}

    // Order matters: loops use rings and publisher, and go first.
    TickClock clock_;
    std::atomic<bool> stop_{false};
    bool running_ = false;
    std::size_t port_count_ = 0;
    Publisher publisher_;
    LcoreCounters control_counters_;
    std::vector<std::unique_ptr<MbufRing>> rings_;
    std::vector<std::unique_ptr<Lcore>> lcores_;
    std::unique_ptr<TxStage> control_tx_;
    std::unique_ptr<ExceptionPath> exception_path_;
};

}  // namespace weir
