// SPDX-License-Identifier: BSD-3-Clause
// TxStage: the ways out of one lcore. Every TX queue of a NIC has exactly one owner; where a port
// has fewer queues than senders, the others hand their finished frames to the owner of one over a
// bounded ring. No queue is shared, nothing is locked, nothing waits: what does not fit after a few
// tries is dropped as tx_full.
//
// Who counts: the owner counts `sent` (`injected` for frames of the control lcore, and for those of
// inject()) when the NIC's queue has taken a frame; whoever frees one counts tx_full, injected
// frames apart.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include <rte_mbuf.h>

#include "lib/balance/ids.hh"
#include "lib/dataplane/counters.hh"
#include "lib/dataplane/packet.hh"
#include "lib/dpdk/ring.hh"

namespace weir {

// Which queue a sender uses and whether it owns it. Senders: workers 0 .. W-1, then control.
// Sender s owns queue s while there are that many; sender s >= tx_queues hands over to the worker
// s % min(tx_queues, workers). Precondition: tx_queues >= 1, workers >= 1, sender <= workers.
struct TxRoute {
    bool owner = false;
    unsigned queue = 0;  // owner: of the port
    unsigned via = 0;    // else: the worker that sends for it
};
[[nodiscard]] constexpr TxRoute tx_route(unsigned sender, unsigned workers,
                                         unsigned tx_queues) noexcept {
    if (sender < tx_queues) return {true, sender, 0};
    return {false, 0, sender % (tx_queues < workers ? tx_queues : workers)};
}

class TxStage {
public:
    // Frames of another sender that this lcore's queue carries.
    struct Inbound {
        MbufRing* ring = nullptr;
        bool from_control = false;
    };
    struct PortSetup {
        std::uint16_t device = 0;  // DPDK's number
        bool owner = false;
        std::uint16_t queue = 0;       // owner
        MbufRing* to_owner = nullptr;  // otherwise
        std::vector<Inbound> inbound;  // owner
    };
    // `ports` by PortId; their rings and `counters` outlive the stage. `control`: this lcore's own
    // frames come from the kernel. Used by that lcore alone.
    TxStage(std::vector<PortSetup> ports, LcoreCounters& counters, bool control);
    ~TxStage();  // frees what was not flushed
    TxStage(const TxStage&) = delete;
    TxStage& operator=(const TxStage&) = delete;

    // Takes the frame; it leaves with the next flush(), or at once when max_burst have gathered.
    void push(PortId port, rte_mbuf* mbuf) noexcept;
    // Takes all of these and sends them now, behind what was pushed for that port.
    void send(PortId port, std::span<rte_mbuf*> frames) noexcept;
    // Takes a frame that was not received, and sends it now.
    void inject(PortId port, rte_mbuf* mbuf) noexcept;
    // Sends what was pushed: one burst per port.
    void flush() noexcept;
    // Sends what other lcores handed over: at most max_burst from each ring. Answers how many.
    unsigned drain() noexcept;

    // Frames of any origin that were dropped here because a queue or ring was full. Any thread.
    [[nodiscard]] std::uint64_t full(PortId port) const noexcept {
        return ports_[index(port)].full.read();
    }

private:
    struct PortState {
        PortSetup setup;
        Counter full;
        unsigned count = 0;
        std::array<rte_mbuf*, max_burst> waiting{};
    };
    void send_waiting(PortState& port) noexcept;
    void pass_on(PortState& port, std::span<rte_mbuf*> frames, bool of_control) noexcept;
    void give_each(PortState& port, std::span<rte_mbuf*> frames) noexcept;
    void send_now(PortState& port, std::span<rte_mbuf*> frames) noexcept;
    void give_to_nic(PortState& port, std::span<rte_mbuf*> frames, bool of_control) noexcept;
    void drop_full(PortState& port, std::span<rte_mbuf*> frames, bool of_control) noexcept;

    std::vector<PortState> ports_;
    LcoreCounters& counters_;
    bool control_;
};

}  // namespace weir
