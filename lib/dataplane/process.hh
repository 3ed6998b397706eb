// SPDX-License-Identifier: BSD-3-Clause
// The pipeline: a burst of packets in, one verdict each out. Pure but for the state it owns: bytes,
// tables and time come in as arguments; nothing is sent, freed, logged or allocated.
//
//   read -> service -> flow -> (miss: slot of the service's table, insert) -> next hop -> rewrite
//
// Stages run over the whole burst one after the other, so that the cache misses of its packets
// overlap. dsr-l2 and ipip leave every byte from the client's IP header on unchanged.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "lib/balance/tables.hh"
#include "lib/dataplane/counters.hh"
#include "lib/dataplane/packet.hh"
#include "lib/dataplane/packet_meta.hh"
#include "lib/dataplane/verdict.hh"
#include "lib/flow/deadlines.hh"
#include "lib/flow/table.hh"

namespace weir {

// One per worker; used by that worker's thread alone.
class Pipeline {
public:
    // All three must outlive the pipeline.
    Pipeline(FlowTable& flows, LcoreCounters& counters, WorkerTraffic& traffic) noexcept
        : flows_(flows), counters_(counters), traffic_(traffic) {}

    // Decides packets.size() (at most max_burst) packets and rewrites those with Action::send in
    // place. Reads and writes the first line of each, and the line before it: who calls has asked
    // for them. verdicts.size() >= packets.size(). Counts traffic and flows; the caller counts
    // verdicts. Packets of one flow are decided in their order.
    void process(const Tables& tables, std::span<Packet> packets, std::span<Verdict> verdicts,
                 Tick now) noexcept;

    // Housekeeping: visits `lines` lines of the connection table and drops the expired entries.
    void sweep(std::uint32_t lines, Tick now) noexcept;

private:
    struct Flow {            // a packet of the burst on its way through the stages
        ServiceHit service;  // none: decided already
        PacketMeta meta;
        LinePlace place;  // of `name`
        FlowName name;
    };
    struct Choice {  // backend == nullptr: dropped for `reason`
        const BackendEntry* backend = nullptr;
        DropReason reason = DropReason::no_backend;
    };
    // What the stages of one burst have in common.
    struct Burst {
        const Tables& tables;
        Tick now;
        Deadlines deadlines;
    };
    // Traffic of a service whose packets follow each other, not yet counted there.
    struct Run {
        std::uint32_t service = 0, packets = 0;
        std::uint64_t bytes = 0;
    };

    // Fills `flow` and starts to load its line; or sets `verdict`, and flow.service to none.
    // `at`: where the IP header of a plain frame of this port lies.
    template <std::uint32_t at>
    void receive_at(const Tables& tables, const Packet& packet, Flow& flow,
                    Verdict& verdict) noexcept;
    void receive_tagged(const Tables& tables, const Packet& packet, Flow& flow,
                        Verdict& verdict) noexcept;
    void receive_odd(const Tables& tables, const Packet& packet, Flow& flow,
                     Verdict& verdict) noexcept;
    Verdict serve(const Burst& burst, const Flow& flow, Packet& packet, Run& run) noexcept;
    // The flow's backend while it may keep it; otherwise nullptr.
    const BackendEntry* kept(const Burst& burst, const Flow& flow) noexcept;
    // One picked by the service's table.
    Choice pick(const Burst& burst, const Flow& flow, const Packet& packet) noexcept;
    // What the entry of a flow says when it gets a backend.
    static FlowValue first_value(const Burst& burst, const Flow& flow,
                                 const BackendEntry& backend) noexcept;
    // The flow's old entry names `backend` now; or a new one does that does not simply go to its
    // home; or there is no room for one.
    Choice pick_again(const Burst& burst, const Flow& flow, const BackendEntry& backend) noexcept;
    Choice pick_elsewhere(const Burst& burst, const Flow& flow,
                          const BackendEntry& backend) noexcept;
    Choice untracked(const Tables& tables, const BackendEntry& backend) noexcept;
    void count(const Flow& flow, BackendId backend, Run& run) noexcept;
    void count_service(Run& run) noexcept;
    // An entry names `backend` now; forget(): it does no longer.
    void remember(const BackendEntry& backend) noexcept;
    void forget(std::uint32_t backend) noexcept;

    FlowTable& flows_;
    LcoreCounters& counters_;
    WorkerTraffic& traffic_;
    // Members and not locals: their constructors would clear all of it for each burst.
    std::array<Flow, max_burst> burst_{};
    std::array<std::uint8_t, max_burst> open_{};
};

}  // namespace weir
