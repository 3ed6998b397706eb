// SPDX-License-Identifier: BSD-3-Clause
// ExceptionPath: the control side of the way to the kernel. Punted packets go to the TAP of the
// port that they came from; what the kernel sends on a TAP leaves by that port. The kernel sees and
// sends untagged frames; the port's VLAN tag is taken off and put on here.
//
// Control lcore only. Each turn is bounded, so that the rest of control's work is never held up.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include <rte_mbuf.h>

#include "lib/balance/tables.hh"
#include "lib/dpdk/probe_tracker.hh"
#include "lib/dpdk/punt.hh"
#include "lib/dpdk/tx.hh"

namespace weir {

class ExceptionPath {
public:
    struct PortSetup {
        int tap = -1;            // non-blocking descriptor, a frame per read and write; -1: none
        std::uint16_t vlan = 0;  // 0: untagged
    };
    struct Setup {
        std::vector<PortSetup> ports;              // by PortId
        std::vector<PuntStage::Rings> punt_rings;  // by worker; control consumes
        rte_mempool* pool = nullptr;               // control's own: a flood cannot empty it
        TxStage* tx = nullptr;                     // control's
    };
    // Frames a turn, of each ring and each TAP.
    static constexpr unsigned frames_per_turn = 32;

    // What the setup points to outlives it; descriptors stay the caller's.
    explicit ExceptionPath(Setup setup);
    ~ExceptionPath();
    ExceptionPath(const ExceptionPath&) = delete;
    ExceptionPath& operator=(const ExceptionPath&) = delete;

    // One turn: punt rings (neighbours and probe replies first), then TAPs. Answers how many frames
    // it moved. Precondition: ports are started. System calls: one per frame and one per TAP.
    unsigned run(const Tables& tables, Tick now);

    [[nodiscard]] ProbeLedger& ledger() noexcept { return probes_; }

    struct PortCounts {
        std::uint64_t tap_to_port = 0;              // frames of the kernel given to the port's TX
        std::uint64_t port_to_tap = 0;              // punted frames that the kernel took
        std::uint64_t probe_out = 0, probe_in = 0;  // of these, packets of our probes
        std::uint64_t refused = 0;  // frames that the kernel did not take, or that do not fit
    };
    [[nodiscard]] const PortCounts& counts(PortId port) const noexcept {
        return ports_[index(port)].counts;
    }

private:
    struct PortState {
        PortSetup setup;
        PortCounts counts;
    };
    unsigned drain_ring(MbufRing& ring);
    void to_kernel(rte_mbuf* mbuf);
    unsigned drain_tap(PortId id, const ServiceIndex& index, Tick now);
    void to_port(PortId id, std::uint32_t length, const ServiceIndex& index, Tick now);

    std::vector<PortState> ports_;
    std::vector<PuntStage::Rings> punt_rings_;
    rte_mempool* pool_;
    TxStage& tx_;
    rte_mbuf* spare_ = nullptr;  // the next frame of a TAP is read into it
    ProbeTracker probes_;
};

}  // namespace weir
