// SPDX-License-Identifier: BSD-3-Clause
// Frames that an input describes: raw bytes, sound packets with odd fields, replies to what was
// sent before, and ICMP errors about it. Shares no code with lib/ that writes packets.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "lib/dataplane/packet.hh"
#include "tests/fuzz/input.hh"
#include "tests/fuzz/process_scenes.hh"

namespace weir::fuzz {

struct Frame {
    std::vector<std::uint8_t> bytes;  // of the first segment
    std::uint32_t behind = 0;         // bytes in further segments, which nobody can read
    std::uint16_t headroom = 128;
    PortId port{};
    NicChecksum ip_checksum = NicChecksum::unknown;
};

// A frame that left by `port`.
struct Sent {
    std::vector<std::uint8_t> bytes;
    PortId port{};
};

// `last`: what was sent before, if anything was.
[[nodiscard]] Frame read_frame(Input& input, const Scene& scene, const Tables& tables,
                               const std::optional<Sent>& last);

}  // namespace weir::fuzz
