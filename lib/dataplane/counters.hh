// SPDX-License-Identifier: BSD-3-Clause
// Counters: plain stores by their single writer, summed by the control lcore.
//
// Every counter is a relaxed atomic that only its owner lcore writes, so an increment is a load, an
// add and a store without a lock prefix. Readers see each value whole; sums over several counters
// are exact once the writers rest.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "lib/balance/ids.hh"
#include "lib/dataplane/verdict.hh"

namespace weir {

class Counter {
public:
    // Only by the owner.
    void add(std::uint64_t n) noexcept {
        value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
    void subtract(std::uint64_t n) noexcept {
        value_.store(value_.load(std::memory_order_relaxed) - n, std::memory_order_relaxed);
    }
    void set(std::uint64_t n) noexcept { value_.store(n, std::memory_order_relaxed); }
    // By anyone.
    [[nodiscard]] std::uint64_t read() const noexcept {
        return value_.load(std::memory_order_relaxed);
    }

private:
    std::atomic<std::uint64_t> value_{0};
};
static_assert(sizeof(Counter) == 8);

struct TrafficCounters {
    Counter packets, bytes, new_flows,
        active_flows;  // bytes: of IP packets as the client sent them
};

// Of one lcore. At rest, summed over all lcores: received = sent + punted + dropped.
struct alignas(64) LcoreCounters {
    Counter received;     // from NIC queues
    Counter sent;         // given to a NIC queue for traffic that was received (by its TX owner)
    Counter injected;     // given to a NIC queue of what was not received: frames of the control
                          // lcore (the kernel's, probes), ICMP errors of our own, and of a packet
                          // that left in pieces all but the first
    Counter fragmented;   // packets that left in pieces
    Counter handed_over;  // to another worker's ring
    Counter handed_in;    // taken from rings of other lcores
    std::array<Counter, punt_class_count> punted;
    std::array<Counter, drop_reason_count> dropped;
    std::array<Counter, icmp_error_type_count> icmp_errors_sent;  // each a dropped packet
    Counter loops, busy_loops;
    Counter busy_cycles;    // TSC cycles of loops that found work
    Counter last_loop_tsc;  // heartbeat
    Counter flow_entries;   // in use in this worker's connection table
    Counter flow_insert_failed;

    void drop(DropReason reason) noexcept { dropped[static_cast<std::size_t>(reason)].add(1); }
    void answer(DropReason reason) noexcept {
        drop(reason);
        icmp_errors_sent[static_cast<std::size_t>(answer_to(reason))].add(1);
    }
};

// Of one worker: by ServiceId and BackendId. About 4.8 MiB, touched whole at construction so that
// no page fault happens in the loop.
struct WorkerTraffic {
    std::array<TrafficCounters, max_services> services;
    std::array<TrafficCounters, max_backends> backends;
    // Service of each backend that a flow was given to: an id names no other backend as long as
    // one of its flows is there. For the owner alone.
    std::array<std::uint16_t, max_backends> service_of_backend{};
    static_assert(max_services <= 65'536);
};

}  // namespace weir
