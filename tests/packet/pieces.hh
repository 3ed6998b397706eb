// SPDX-License-Identifier: BSD-3-Clause
// What a worker makes of a packet with the verdict send_in_pieces, for tests without DPDK.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "lib/balance/tables.hh"
#include "lib/dataplane/packet.hh"
#include "lib/wire/fragmentation.hh"

namespace weir::test {

// The frames that leave by `port`, in order. Precondition: the packet is contiguous.
inline std::vector<std::vector<std::uint8_t>> pieces_of(const Packet& packet, const PortTable& port,
                                                        std::uint32_t id) {
    const Fragmentation cut({packet.data, packet.length}, link_header_length(port), port.mtu, id);
    std::vector<std::vector<std::uint8_t>> frames;
    for (std::uint32_t i = 0; i < cut.count(); ++i) {
        std::array<std::uint8_t, Fragmentation::max_headers> headers;
        const std::size_t size = cut.write_headers(i, headers.data());
        const auto [offset, length] = cut.part(i);
        auto& frame = frames.emplace_back(headers.begin(), headers.begin() + size);
        frame.insert(frame.end(), packet.data + offset, packet.data + offset + length);
    }
    return frames;
}

}  // namespace weir::test
