// SPDX-License-Identifier: BSD-3-Clause
// WorkerStep: the heart of the balancer: takes the packets that this worker owns, lets the pipeline
// decide, and disposes of each by its verdict. Packets are sent, punted or dropped for a reason of
// the pipeline here and nowhere else.
#pragma once

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
        PuntStage::Rings punt_rings{};
        FlowTable* flows = nullptr;
        WorkerTraffic* traffic = nullptr;
    };
    // What the setup points to, `counters` and `tx` outlive the step. Used by one lcore alone.
    WorkerStep(const Setup& setup, LcoreCounters& counters, TxStage& tx);

    // Takes what lies in the input rings for the next run(), at most `wanted` packets, and begins
    // to load them. Answers for how many more run() has room. Precondition: nothing was collected
    // since the last run(); wanted <= max_burst.
    std::uint32_t collect(std::uint32_t wanted) noexcept;

    // One burst: what was collected and `kept`, of the RX step of this lcore, at most as many as
    // there is room for. Answers how many it disposed of.
    unsigned run(const Tables& tables, std::span<rte_mbuf*> kept, Tick now) noexcept;

    // Once a loop, bounded: looks at sweep_per_loop lines, so that the whole connection
    // table is visited every 4 s (and no slower than the loop allows); answers the flow mailbox.
    void housekeep(Tick now) noexcept;

    // For the control thread, which asks through it (see inspect.hh).
    [[nodiscard]] FlowMailbox& mailbox() noexcept { return mailbox_; }

    static constexpr std::uint32_t sweep_per_loop = 32;

private:
    std::span<rte_mbuf*> join(std::span<rte_mbuf*> kept) noexcept;
    [[nodiscard]] bool one_way(unsigned count) const noexcept;
    void dispose(rte_mbuf* mbuf, const Packet& packet, const Verdict& verdict, Tick now) noexcept;
    void drop(rte_mbuf* mbuf, DropReason reason) noexcept;

    std::vector<MbufRing*> inputs_;
    std::size_t next_input_ = 0;
    FlowTable& flows_;
    LcoreCounters& counters_;
    TxStage& tx_;
    Pipeline pipeline_;
    PuntStage punt_;
    FlowMailbox mailbox_;

    Tick last_sweep_{};
    bool swept_ = false;
    std::uint32_t sweep_due_ = 0;  // lines to visit

    unsigned collected_ = 0, dropped_ = 0;
    std::array<rte_mbuf*, max_burst> mbufs_{}, drops_{};
    std::array<Packet, max_burst> packets_{};
    std::array<Verdict, max_burst> verdicts_{};
};

}  // namespace weir
