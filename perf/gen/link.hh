// SPDX-License-Identifier: BSD-3-Clause
// Link: the way to the balancer and back, for a loop on one core. Two kinds: a port of DPDK, and
// the server's end of memif over shared memory (memif_server.hh), which costs the least.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "lib/dataplane/frame_lines.hh"
#include "lib/wire/address.hh"
#include "lib/wire/result.hh"
#include "perf/gen/options.hh"

namespace weir::gen {

using Frame = std::span<const std::uint8_t>;  // without FCS

// Asks for all lines of a frame, asked_ahead in front of the one that is worked on. For writing
// also what is only read, as a NIC does that takes packets out of memory: the next one to write to
// the buffer is its owner again.
inline void ask_for(Frame frame) noexcept {
    constexpr std::size_t line = 64;
    if (frame.empty()) return;
    for (std::size_t at = 0; at < frame.size(); at += line)
        ask_to_write(&frame[at]);
    ask_to_write(&frame.back());
}

class Link {
public:
    static constexpr unsigned most_burst = 256;

    Link() = default;
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;
    virtual ~Link() = default;

    [[nodiscard]] virtual MacAddress mac() const noexcept = 0;
    // The frame that claim() writes into each buffer. Before start().
    virtual Result<void> fill(Frame frame) = 0;
    // Waits until the other end is there.
    virtual Result<void> start(double wait_seconds) = 0;

    // Buffers with the frame of fill() in them, for as many places of `out` (at most most_burst) as
    // there is room for, from the front; the answer says how many. Hot.
    virtual unsigned claim(std::span<std::uint8_t*> out) noexcept = 0;
    // Sends the first `count` that claim() gave; answers how many left. The rest is given back.
    // Hot.
    virtual unsigned send(unsigned count) noexcept = 0;
    // What came back, at most most_burst; stays readable until release(). A packet in several
    // buffers is an empty frame. The first asked_ahead are near or asked for; the reader asks for
    // others meanwhile. Hot.
    virtual unsigned receive(std::span<Frame> out) noexcept = 0;
    virtual void release() noexcept = 0;
};

// Starts EAL, once per process; eal_cleanup() is the caller's.
Result<std::unique_ptr<Link>> open_link(const Options& options);

}  // namespace weir::gen
