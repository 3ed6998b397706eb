// SPDX-License-Identifier: BSD-3-Clause
// What must hold of a packet that left the pipeline, seen from outside: by what it was and the
// tables alone.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "lib/balance/tables.hh"
#include "lib/dataplane/classify.hh"
#include "lib/dataplane/packet.hh"
#include "lib/dataplane/verdict.hh"
#include "lib/flow/key.hh"
#include "tests/fuzz/process_frames.hh"

namespace weir::fuzz {

// A frame on its way, in a buffer of exactly headroom and bytes, where AddressSanitizer sees a step
// outside.
struct Flight {
    Flight(const Frame& frame, std::size_t number);

    std::size_t number;                     // of the frame in the input
    std::vector<std::uint8_t> before;       // the buffer as it was
    std::unique_ptr<std::uint8_t[]> bytes;  // the buffer as it is
    Packet packet;                          // in `bytes`
    Verdict verdict;                        // once it has its fate
    std::optional<FragmentPorts> ports;     // of a fragment whose first one is known

    // As it was. Nobody writes through it.
    [[nodiscard]] Packet original() const;
    [[nodiscard]] std::size_t front() const;  // where the frame begins in the buffer
    // Those of the frame that lie in the buffer.
    [[nodiscard]] std::span<const std::uint8_t> present() const;

private:
    Packet original_;
};

// Of a flight with its fate: the verdict is one of the closed list, a frame that was sent or is an
// answer is a sound frame of its port and has of the original what its mode leaves, and all others
// are unchanged.
void check_fate(const Tables& tables, const Flight& flight);

// Of a flight that leaves in pieces: each is a sound fragment that fits `port`, and together they
// are the frame. `whole`: of the frame; `nic`: what it would say of its header.
void check_pieces(const PortTable& port, const Flight& flight, const Parsed& whole,
                  NicChecksum nic);

// The flow of a client's packet that was sent, and where it went; nullopt: it is none.
struct Course {
    FlowKey flow;
    bool may_be_new = false;  // a SYN: its backend may have been picked anew
    PortId port{};
    std::array<std::uint8_t, 6> to{};       // MAC address
    std::vector<std::uint8_t> destination;  // in the outermost IP header
};
[[nodiscard]] std::optional<Course> course_of(const Tables& tables, const Flight& flight);

}  // namespace weir::fuzz
