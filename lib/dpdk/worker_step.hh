// SPDX-License-Identifier: BSD-3-Clause
// WorkerStep: the heart of the balancer: takes the packets that this worker owns, lets the pipeline
// decide, and disposes of each by its verdict. Packets are sent, punted or dropped for a reason of
// the pipeline here and nowhere else.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include <rte_mbuf.h>

#include "lib/dataplane/counters.hh"
#include "lib/dataplane/inspect.hh"
#include "lib/dataplane/packet.hh"
#include "lib/dataplane/process.hh"
#include "lib/dpdk/punt.hh"
#include "lib/dpdk/ring.hh"
#include "lib/dpdk/tx.hh"

namespace weir {

class WorkerStep {
public:
    struct Setup {
        std::vector<MbufRing*> inputs;  // this worker consumes; one for each poller but itself
        // Fragments of which one worker knows the flow and another one owns it. By worker, nullptr
        // for itself; empty with a single worker.
        std::vector<MbufRing*> fragments_in, fragments_out;
        WorkerPlace place;
        PuntStage::Rings punt_rings{};
        FlowTable* flows = nullptr;
        NatTable* nat = nullptr;  // full-nat alone
        WorkerTraffic* traffic = nullptr;
        // Of the pieces of packets that are too long; nullptr: those drop as mbuf_exhausted.
        rte_mempool* pool = nullptr;
    };
    // What the setup points to, `counters` and `tx` outlive the step. Used by one lcore alone.
    WorkerStep(const Setup& setup, LcoreCounters& counters, TxStage& tx);
    ~WorkerStep();  // frees the fragments that wait
    WorkerStep(const WorkerStep&) = delete;
    WorkerStep& operator=(const WorkerStep&) = delete;

    // Takes what lies in the input rings for the next run(), at most `wanted` packets, and begins
    // to load them. Answers for how many more run() has room. Precondition: nothing was collected
    // since the last run(); wanted <= max_burst.
    std::uint32_t collect(std::uint32_t wanted) noexcept;

    // One burst: what was collected and `kept`, of the RX step of this lcore, at most as many as
    // there is room for. Answers how many it disposed of.
    unsigned run(const Tables& tables, std::span<rte_mbuf*> kept, Tick now) noexcept;

    // Once a loop, bounded: lets go of fragments that waited too long; looks at some lines, so that
    // the whole connection table is visited every 4 s (and no slower than the loop allows); answers
    // the flow mailbox.
    void housekeep(Tick now) noexcept;

    // For the control thread, which asks through it (see inspect.hh).
    [[nodiscard]] FlowMailbox& mailbox() noexcept { return mailbox_; }
    // For the control thread, which takes from it.
    [[nodiscard]] StationMailbox& unknown_stations() noexcept {
        return pipeline_.unknown_stations();
    }

    // Lines, of so many that are due, that one loop looks at: few at once, as a packet that comes
    // meanwhile waits for them, and more when the loops are too slow for that.
    [[nodiscard]] static constexpr std::uint32_t portion(std::uint32_t due) noexcept {
        return std::min(due, std::clamp<std::uint32_t>(due / 64, 4, 32));
    }
    // Of the fragment table: all of it in 64 ms.
    static constexpr std::uint32_t fragments_per_tick = FragmentTable::datagrams / 64;

private:
    std::span<rte_mbuf*> join(std::span<rte_mbuf*> kept) noexcept;
    [[nodiscard]] bool one_way(unsigned count) const noexcept;
    void dispose_all(const Tables& tables, std::span<rte_mbuf* const> mbufs, Tick now) noexcept;
    void dispose(const Tables& tables, rte_mbuf* mbuf, std::size_t i, Tick now) noexcept;
    void send_in_pieces(const PortTable& port, PortId id, rte_mbuf* mbuf) noexcept;
    // Fragments whose first one is known by now: those that waited here, and other workers'.
    unsigned serve_released(const Tables& tables, Tick now) noexcept;
    unsigned serve_fragments_in(const Tables& tables, Tick now) noexcept;
    void serve_fragments(const Tables& tables, std::span<rte_mbuf* const> mbufs,
                         std::span<const FragmentPorts> ports, Tick now) noexcept;
    void hand_over(rte_mbuf* mbuf, std::uint8_t worker, const FragmentPorts& ports) noexcept;
    void drop(rte_mbuf* mbuf, DropReason reason) noexcept;

    std::vector<MbufRing*> inputs_;
    std::size_t next_input_ = 0;
    FlowTable& flows_;
    NatTable* nat_;
    LcoreCounters& counters_;
    TxStage& tx_;
    Pipeline pipeline_;
    PuntStage punt_;
    FlowMailbox mailbox_;

    Tick last_sweep_{};
    bool swept_ = false;
    std::uint32_t sweep_due_ = 0;  // lines to visit
    std::uint32_t nat_due_ = 0;    // bindings to visit

    std::vector<MbufRing*> fragments_in_, fragments_out_;
    std::array<rte_mbuf*, FragmentTable::slots> held_{};  // by slot; nullptr: free

    rte_mempool* const pool_;
    // Of the next packet that is cut; those of different workers differ.
    std::uint32_t fragment_id_, fragment_id_step_;

    unsigned collected_ = 0, dropped_ = 0;
    std::array<rte_mbuf*, max_burst> mbufs_{}, drops_{};
    std::array<Packet, max_burst> packets_{};
    std::array<Verdict, max_burst> verdicts_{};
};

}  // namespace weir
