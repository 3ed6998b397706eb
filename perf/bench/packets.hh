// SPDX-License-Identifier: BSD-3-Clause
// Packets: frames in buffers that lie as those of a DPDK pool: 16 384 of 2176 bytes, a headroom of
// 128 in front of each frame. A round fills some of them, one after the other through the pool, and
// after the run checks what became of each.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "lib/dataplane/packet.hh"
#include "lib/dataplane/verdict.hh"
#include "perf/bench/balancer.hh"
#include "perf/bench/memory.hh"
#include "perf/bench/random.hh"
#include "perf/gen/check.hh"
#include "perf/gen/frames.hh"

namespace weir::bench {

class Packets {
public:
    static constexpr std::uint32_t buffers = 16'384, buffer_bytes = 2176, headroom = 128;

    // `round`: packets that are filled at once. Frames just written are in the cache, as after a
    // receive that copies; with a round of 16 384 they come back from further away.
    Packets(const Setting& setting, const Case& which, std::uint64_t flows, std::uint32_t round);

    Packets(const Packets&) = delete;
    Packets& operator=(const Packets&) = delete;

    // Writes the frames of the next round: of random flows, or of `first` and those that follow.
    void fill_random(bool syn);
    void fill_from(std::uint64_t first, std::uint32_t count, bool syn);

    // Makes every packet of the round the first fragment of a datagram of its own (RFC 791, 3.1),
    // and what became of it, tunnelled or not, the frame of the flow again. IPv4 only.
    void make_first_fragments();
    void make_whole();

    [[nodiscard]] std::span<Packet> packets() noexcept { return packets_; }
    [[nodiscard]] std::span<Verdict> verdicts() noexcept { return verdicts_; }
    // Every packet of the round was sent, to the backend of its flow, byte by byte as it should be.
    // Throws std::runtime_error for the first that was not.
    void check();
    [[nodiscard]] std::uint64_t checked() const noexcept { return checked_; }

private:
    void fill(std::size_t i, std::uint32_t flow, bool syn);
    void take_back_source(std::size_t i);

    const Setting& setting_;
    const Case which_;
    gen::Frames frames_, arriving_;  // as clients send them; in the family that backends get
    gen::Checker checker_;           // of what arrives
    Region pool_;
    std::uint64_t flows_;
    std::uint32_t round_, next_buffer_ = 0;
    std::uint16_t datagram_ = 0;
    std::vector<Packet> packets_;
    std::vector<Verdict> verdicts_;
    std::vector<std::uint32_t> sent_;              // flow of each packet of the round
    std::vector<std::uint8_t> scratch_, arrived_;  // a frame as it was sent, and as it arrives
    std::vector<std::uint32_t> flow_at_port_;      // of the pool, in full-nat
    Random random_;
    std::uint64_t checked_ = 0;
};

}  // namespace weir::bench
