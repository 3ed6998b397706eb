// SPDX-License-Identifier: BSD-3-Clause
// The first stages of the pipeline over sixteen packets at once, for CPUs with AVX-512. What these
// do not answer for, and everything on other CPUs, goes the way of process.cc, which finds the same
// (tests/unit/dataplane/test_lanes.cc).
#pragma once

#include <span>

#include "lib/balance/tables.hh"
#include "lib/dataplane/counters.hh"
#include "lib/dataplane/flow_burst.hh"
#include "lib/dataplane/packet.hh"
#include "lib/dataplane/verdict.hh"
#include "lib/flow/deadlines.hh"
#include "lib/flow/key.hh"
#include "lib/flow/table.hh"

namespace weir::lanes {

// AVX-512 F, BW, DQ and VL, and an operating system that saves its registers.
[[nodiscard]] bool available() noexcept;

// By the table of their flows: IPv4 and IPv6.
struct Received {
    BurstMask narrow = 0, wide = 0;
    [[nodiscard]] Received within(BurstMask packets) const noexcept {
        return {narrow & packets, wide & packets};
    }
    explicit operator bool() const noexcept { return (narrow | wide) != 0; }
};

// Fills in the plain packets for a service of one port that came in by the port of the first
// packet, untagged: all of FlowBurst but place and backend. Asks for the lines of frames
// (frame_lines.hh), and for those of the first two groups' flows (fetch()).
// The answer says which these are; a few at the end of a burst may be left out. Precondition:
// available(), 1 .. max_burst packets. Cost: some 10 cycles a packet.
[[nodiscard]] Received receive(const Tables& tables, std::span<const Packet> packets,
                               const FlowTable& flows, FlowBurst& burst) noexcept;

// How many packets are one group: those from a multiple of it on.
inline constexpr std::size_t group_size = 16;

// Starts to load the lines of these packets' flows, one group of them: to be called a group's time
// before they are settled, so that they arrive meanwhile. More at once would not: a CPU has
// so many lines on their way (L1: 24 on Zen 4), and forgets prefetches beyond, or waits with loads.
void fetch(const FlowTable& flows, const FlowBurst& burst, const Received& group) noexcept;

struct Settled {
    // Those whose entry lies in its home line, is alive, and need not be written for this packet;
    // what backend it names is set.
    BurstMask known = 0;
    // Those for which FlowTable::look() would answer none without asking for another line; their
    // places are set.
    BurstMask absent = 0;
    // All others that were not found: they may lie in their other line, or get their place there.
    BurstMask elsewhere = 0;
};

// Of `received`, one group of packets or less. Precondition: available(), some are received.
[[nodiscard]] Settled settle(const FlowTable& flows, FlowBurst& burst, const Received& received,
                             const Deadlines& deadlines) noexcept;

// Of `settled`, all of one group: sends those that forward() would send by itself, sets their
// verdicts, and counts them by service and backend; the answer says which these are. The others,
// any whose flow is also one of `others` in the group, and any whose backend was made invalid
// since, are left as they are. Precondition: available(), `settled` is not empty and what settle()
// said.
[[nodiscard]] BurstMask send(const Tables& tables, const FlowBurst& burst, BurstMask settled,
                             BurstMask others, std::span<Packet> packets,
                             std::span<Verdict> verdicts, WorkerTraffic& traffic) noexcept;

// So many bytes of each frame steer() may read, without and with IPv6.
inline constexpr std::size_t steer_bytes_v4 = 38, steer_bytes_v6 = 58;

// Sets the owners (owner_of()) of those untagged frames that carry IPv4, or with `ipv6` IPv6, with
// ports; the answer says which these are. What is broken otherwise than steer() sees may have any
// owner. A few at the end of a burst may be left out. Asks for the lines of all frames but the
// first (frame_lines.hh). Precondition: available(), 1 .. max_burst frames of so many bytes or
// more. Cost: some 6 cycles a packet.
[[nodiscard]] BurstMask steer(std::span<const std::uint8_t* const> frames, bool ipv6,
                              std::uint32_t workers, const HashSecret& secret,
                              std::span<std::uint32_t, max_burst> owners) noexcept;

}  // namespace weir::lanes
