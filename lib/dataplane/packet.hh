// SPDX-License-Identifier: BSD-3-Clause
// Packet: a frame as the pure half sees it: bytes with room in front, and what the NIC said.
#pragma once

#include <cstdint>

#include "lib/balance/ids.hh"
#include "lib/wire/parse.hh"

namespace weir {

struct Packet {
    std::uint8_t* data = nullptr;  // destination MAC
    // Bytes at `data`: all headers lie in them (the adapter sees to it).
    std::uint32_t contiguous = 0;
    std::uint32_t length = 0;    // of the whole frame, >= contiguous
    std::uint16_t headroom = 0;  // writable bytes in front of `data`
    PortId port{};               // ingress
    NicChecksum ip_checksum = NicChecksum::unknown;
};
// process() sets `data` and `length` of what it sends or answers, by which `data` may move into the
// headroom; the other fields stay as the packet was received.

// Packets of one burst are handled together, so that their cache misses overlap.
inline constexpr std::uint32_t max_burst = 64;

}  // namespace weir
