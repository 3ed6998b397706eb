// SPDX-License-Identifier: BSD-3-Clause
// Packet: a frame as the pure half sees it: bytes with room in front, and what the NIC said.
#pragma once

#include <cstdint>

#include "lib/balance/ids.hh"
#include "lib/wire/parse.hh"

namespace weir {

struct Packet {
    std::uint8_t* data = nullptr;  // destination MAC; process() may move it into the headroom
    std::uint32_t contiguous =
        0;                     // bytes at `data`: all headers lie in them (the adapter sees to it)
    std::uint32_t length = 0;  // of the whole frame, >= contiguous; process() may change both
    std::uint16_t headroom = 0;  // writable bytes in front of `data`
    PortId port{};               // ingress
    NicChecksum ip_checksum = NicChecksum::unknown;

    // Opens `bytes` in front (negative: closes). Precondition: headroom >= bytes.
    void grow_front(int bytes) noexcept {
        data -= bytes;
        contiguous = static_cast<std::uint32_t>(static_cast<int>(contiguous) + bytes);
        length = static_cast<std::uint32_t>(static_cast<int>(length) + bytes);
        headroom = static_cast<std::uint16_t>(headroom - bytes);
    }
};

// Packets of one burst are handled together, so that their cache misses overlap.
inline constexpr std::uint32_t max_burst = 64;

}  // namespace weir
