// SPDX-License-Identifier: BSD-3-Clause
// A whole data plane on one thread: ports made of rings (net_ring), an Engine whose lcores take
// turns by hand, socket pairs in place of TAPs. Nothing waits and nothing depends on the clock.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <rte_mbuf.h>
#include <rte_ring.h>

#include "lib/dpdk/engine.hh"
#include "tests/packet/build.hh"

namespace weir::test {

// Starts EAL once in this process: no huge pages, no PCI, four lcores that share the CPUs.
void need_eal();

class Pool {
public:
    explicit Pool(unsigned mbufs, std::uint16_t room = 2176);
    ~Pool();
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;
    // An mbuf with these bytes, or a chain of such segments. Fails the test when there is none.
    [[nodiscard]] rte_mbuf* make(const Bytes& frame) const;
    [[nodiscard]] rte_mbuf* make_chain(const std::vector<Bytes>& segments) const;
    [[nodiscard]] unsigned in_use() const;
    rte_mempool* pool;
};

// The bytes of a whole chain.
[[nodiscard]] Bytes bytes_of(const rte_mbuf* mbuf);

// An ethdev made of rings: what is put into rx comes out of rte_eth_rx_burst(), what is sent lies
// in tx.
class RingPort {
public:
    RingPort(unsigned rx_queues, unsigned tx_queues, rte_mempool* pool, unsigned slots = 4096);
    ~RingPort();
    RingPort(const RingPort&) = delete;
    RingPort& operator=(const RingPort&) = delete;

    [[nodiscard]] bool put(unsigned queue, rte_mbuf* mbuf);
    // The next frame that was sent; nullptr: none.
    [[nodiscard]] rte_mbuf* take(unsigned queue);
    [[nodiscard]] unsigned waiting(unsigned queue) const;  // received, not polled yet

    std::uint16_t device = 0;
    std::vector<rte_ring*> rx, tx;
};

inline constexpr std::array<std::uint8_t, 6> wan_mac{2, 0, 0, 0, 0, 5}, lan_mac{2, 0, 0, 0, 0, 6};

// Two ports, wan0 (0) and lan0 (1); the service web on 203.0.113.10:80 with three backends behind
// lan0; own addresses 198.51.100.5 and 10.0.0.5; probes go to 10.0.0.11:8080.
[[nodiscard]] std::unique_ptr<const Tables> make_tables(std::uint16_t lan_vlan = 0);

struct RigOptions {
    unsigned rx_lcores = 0, workers = 1;  // 0: direct
    bool shared_cpu = false;              // lcore 1 polls and works (needs rx_lcores)
    unsigned rx_queues = 1, tx_queues = 4;
    unsigned handover_slots = 2048, punt_slots = 512, tx_slots = 1024, nic_slots = 4096;
    std::uint16_t lan_vlan = 0;
    std::uint32_t flow_entries = 4096;
    unsigned mbufs = 4095;
    Idle idle = Idle::busy;
};

// Every shape of data plane that the tests know, with room for all that they send.
struct Shape {
    const char* name;
    RigOptions options;
};
inline const std::vector<Shape> shapes{
    {"one worker that polls", {}},
    {"one worker, two RX queues", {.rx_queues = 2}},
    {"two workers, two RX queues", {.workers = 2, .rx_queues = 2}},
    {"two workers, one RX queue", {.workers = 2}},
    {"three workers, four RX queues, one TX queue", {.workers = 3, .rx_queues = 4, .tx_queues = 1}},
    {"three workers, two TX queues", {.workers = 3, .tx_queues = 2}},
    {"an RX lcore and a worker", {.rx_lcores = 1}},
    {"an RX lcore and two workers, one TX queue", {.rx_lcores = 1, .workers = 2, .tx_queues = 1}},
    {"two RX lcores, two workers", {.rx_lcores = 2, .workers = 2, .rx_queues = 2}},
    {"an lcore that polls and works", {.rx_lcores = 1, .shared_cpu = true}},
    {"one that polls and works, and a worker",
     {.rx_lcores = 1, .workers = 2, .shared_cpu = true, .rx_queues = 2}},
};

class Rig {
public:
    explicit Rig(const RigOptions& options);
    ~Rig();

    void receive(unsigned port, const Bytes& frame, unsigned queue = 0);
    // Each lcore takes a turn, then control, until nobody finds work.
    void settle();
    // One turn of every lcore, without control. True when one found work.
    bool turn_lcores();

    struct Sent {
        unsigned port = 0, queue = 0;
        Bytes frame;
        auto operator<=>(const Sent&) const = default;
    };
    // All that left by the ports since the last call.
    [[nodiscard]] std::vector<Sent> sent();
    // Frames that the kernel got from this port, and one that it sends (false: its queue is full).
    [[nodiscard]] std::vector<Bytes> kernel_got(unsigned port);
    bool kernel_sends(unsigned port, const Bytes& frame);

    struct Sums {
        std::uint64_t received = 0, sent = 0, injected = 0, fragmented = 0, punted = 0, dropped = 0;
        std::uint64_t handed_over = 0, handed_in = 0;
        std::array<std::uint64_t, punt_class_count> punted_by_class{};
        std::array<std::uint64_t, drop_reason_count> dropped_by_reason{};
        std::array<std::uint64_t, icmp_error_type_count> icmp_errors_sent{};
    };
    [[nodiscard]] Sums sums() const;
    [[nodiscard]] std::uint64_t dropped(DropReason reason) const {
        return sums().dropped_by_reason[static_cast<std::size_t>(reason)];
    }
    [[nodiscard]] Engine::Lcore& lcore(unsigned i) const { return *engine->lcores()[i]; }

    Pool pool;
    std::vector<std::unique_ptr<RingPort>> ports;
    std::unique_ptr<const Tables> tables;
    std::unique_ptr<Engine> engine;
    Tick now{10'000};

private:
    std::array<std::array<int, 2>, 2> taps_{};  // by port: Weir's end, the kernel's end
};

// Frames for wan0: of a client to the service; flags are TCP's.
[[nodiscard]] Bytes client_frame(std::uint16_t source_port, std::uint8_t flags = 0x10,
                                 const std::string& source = "198.18.0.7");
[[nodiscard]] Bytes arp_frame();
[[nodiscard]] Bytes ping_frame(const std::string& to = "203.0.113.10");

}  // namespace weir::test
