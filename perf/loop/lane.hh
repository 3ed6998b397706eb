// SPDX-License-Identifier: BSD-3-Clause
// Lane: the two ends of one queue of a port without a device. What the loop receives is made on the
// spot, what it sends is checked and freed on the spot, and the TSC cycles that this takes are
// counted apart, so that they can be taken off the loop's own. Nothing else of a device is
// imitated: packets are warm in the first-level cache when the loop gets them, and the driver's own
// work (descriptors, copies) is missing. So a figure is what the loop adds, not what a link
// carries.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lib/dataplane/counters.hh"
#include "lib/dpdk/port.hh"
#include "lib/dpdk/ring.hh"
#include "lib/wire/result.hh"
#include "perf/gen/check.hh"
#include "perf/gen/frames.hh"

struct rte_mbuf;
struct rte_mempool;

namespace weir::loop {

class ManyFlows;

class Lane {
public:
    // Sends the packets of `flows` in turn, a SYN first and ACKs later; the checker knows all flows
    // that may leave here. With `many`, that spreads them over services and judges what comes back.
    // `frames`, `pool` and `many` outlive the lane.
    Lane(const gen::Frames& frames, gen::Checker checker, std::vector<std::uint32_t> flows,
         rte_mempool* pool, ManyFlows* many = nullptr)
        : made_{.frames = &frames, .flows = std::move(flows), .pool = pool, .many = many},
          returned_{.checker = std::move(checker), .many = many} {}

    // Any thread. A closed lane gives no packets.
    void open(bool yes) noexcept { made_.open.store(yes, std::memory_order_relaxed); }

    // Packets are made by another lcore from now on, by calls of make_far(), and wait in a ring:
    // written by somebody else, as a NIC's are. Before the lane is open.
    Result<void> set_far();
    // The maker's lcore: makes some, if there is room.
    void make_far() noexcept;

    // The poller's lcore: `wanted` packets, or none while the lane is closed or the pool too empty.
    std::uint16_t receive(rte_mbuf** out, std::uint16_t wanted) noexcept;
    // The sender's lcore: takes them all.
    std::uint16_t send(rte_mbuf** packets, std::uint16_t count) noexcept;

    // Any thread.
    [[nodiscard]] std::uint64_t made() const noexcept { return made_.packets.read(); }
    [[nodiscard]] std::uint64_t returned() const noexcept { return returned_.packets.read(); }
    [[nodiscard]] std::uint64_t right() const noexcept { return of(gen::Verdict::right); }
    [[nodiscard]] std::uint64_t of(gen::Verdict verdict) const noexcept {
        return returned_.verdicts[static_cast<std::size_t>(verdict)].read();
    }
    // TSC cycles of the poller in receive() calls that gave something, and of send().
    [[nodiscard]] std::uint64_t receive_cycles() const noexcept { return polled_.cycles.read(); }
    [[nodiscard]] std::uint64_t send_cycles() const noexcept { return returned_.cycles.read(); }
    [[nodiscard]] std::size_t flows() const noexcept { return made_.flows.size(); }

    // The longest turn, in TSC cycles, of the lcore that both receives and sends here, from one
    // receive() to the next without the lane's own: since the last start_watch(). Control thread.
    void start_watch() noexcept { made_.watch.fetch_add(1, std::memory_order_relaxed); }
    [[nodiscard]] std::uint64_t longest_turn() const noexcept { return made_.longest.read(); }

private:
    std::uint16_t make(rte_mbuf** out, std::uint16_t wanted) noexcept;
    std::uint16_t take_far(rte_mbuf** out, std::uint16_t wanted) noexcept;
    void watch_turn(std::uint64_t begin) noexcept;

    struct alignas(64) Made {  // of the maker's lcore, which is the poller's unless far
        const gen::Frames* frames;
        std::vector<std::uint32_t> flows;
        rte_mempool* pool;
        ManyFlows* many;
        std::atomic<bool> open{false};
        bool first_pass = true;
        std::size_t next = 0;
        Counter packets;
        std::atomic<unsigned> watch{0};
        unsigned watched = 0;  // the value of `watch` that `longest` belongs to
        std::uint64_t last_end = 0, last_send_cycles = 0;
        Counter longest;
    } made_;
    struct alignas(64) Polled {  // of the poller's
        Counter cycles;
        std::unique_ptr<MbufRing> far;
    } polled_;
    struct alignas(64) Returned {  // of the sender's
        gen::Checker checker;
        ManyFlows* many;
        Counter packets, cycles;
        std::array<Counter, gen::verdict_count> verdicts;
    } returned_;
};

// A started port of DPDK whose queues are lanes. Control thread, but for the queues.
class LanePort {
public:
    // EAL must run with the device net_null0.
    static Result<LanePort> open(std::uint16_t queues, const MbufPools& pools);

    // Queue q is lanes[q] from now on. Nobody may use the queues meanwhile.
    void attach(std::span<const std::unique_ptr<Lane>> lanes) noexcept;

    [[nodiscard]] std::uint16_t device() const noexcept { return port_.id(); }
    [[nodiscard]] std::uint16_t queues() const noexcept { return port_.tx_queues(); }
    [[nodiscard]] MacAddress mac() const noexcept { return port_.mac(); }

private:
    explicit LanePort(Port port) : port_(std::move(port)) {}

    Port port_;
    std::unique_ptr<std::array<void*, 16>> queues_ = std::make_unique<std::array<void*, 16>>();
};

}  // namespace weir::loop
