// SPDX-License-Identifier: BSD-3-Clause
// The pipeline: a burst of packets in, one verdict each out. Pure but for the state it owns: bytes,
// tables and time come in as arguments; nothing is sent, freed, logged or allocated.
//
//   parse -> service -> flow -> (miss: slot of the service's table, insert) -> next hop -> rewrite
//
// Stages run over the whole burst one after the other, so that the cache misses of its packets
// overlap. dsr-l2 and ipip leave every byte from the client's IP header on unchanged.
#pragma once

#include <array>
#include <span>

#include "lib/balance/tables.hh"
#include "lib/dataplane/counters.hh"
#include "lib/dataplane/packet.hh"
#include "lib/dataplane/verdict.hh"
#include "lib/flow/key.hh"
#include "lib/flow/table.hh"

namespace weir {

// One per worker; used by that worker's thread alone.
class Pipeline {
public:
    // All three must outlive the pipeline.
    Pipeline(FlowTable& flows, LcoreCounters& counters, WorkerTraffic& traffic) noexcept
        : flows_(flows), counters_(counters), traffic_(traffic) {}

    // Decides packets.size() (at most max_burst) packets and rewrites those with Action::send in
    // place. verdicts.size() >= packets.size(). Counts traffic and flows; the caller counts
    // verdicts.
    void process(const Tables& tables, std::span<Packet> packets, std::span<Verdict> verdicts,
                 Tick now) noexcept;

    // Housekeeping: visits `lines` lines of the connection table and drops the expired entries.
    void sweep(std::uint32_t lines, Tick now) noexcept;

private:
    struct Flow {  // a packet of the burst on its way through the stages
        Parsed parsed;
        const ServiceTable* service = nullptr;  // nullptr: decided already
        FlowKey key;
        FlowName name;
        FlowPlace place;
    };
    struct Choice {  // backend == nullptr: dropped for `reason`
        const BackendEntry* backend = nullptr;
        DropReason reason = DropReason::no_backend;
    };

    // Fills `flow` and starts to load its bucket; or sets `verdict`, and flow.service to nullptr.
    void receive(const Tables& tables, const Packet& packet, Flow& flow, Verdict& verdict) noexcept;
    Verdict serve(const Tables& tables, const Flow& flow, Packet& packet, Tick now) noexcept;
    // The flow's backend while it may keep it, else one picked by the service's table.
    Choice choose(const Tables& tables, const ServiceTable& service, const Flow& flow,
                  Tick now) noexcept;
    // An entry names `backend` now; forget(): it does no longer.
    void remember(const BackendEntry& backend) noexcept;
    void forget(std::uint32_t backend) noexcept;

    FlowTable& flows_;
    LcoreCounters& counters_;
    WorkerTraffic& traffic_;
    // A member and not a local: its constructor would clear all of it for each burst.
    std::array<Flow, max_burst> burst_{};
};

}  // namespace weir
