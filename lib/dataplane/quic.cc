// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dataplane/quic.hh"

#include <algorithm>

#include "lib/wire/headers.hh"
#include "lib/wire/quic.hh"

namespace weir {
namespace {

// Behind the UDP header, as far as it is contiguous; without padding of the frame.
std::span<const std::uint8_t> payload_of(const Packet& packet, const Parsed& parsed) noexcept {
    const std::size_t begin = parsed.l4_offset;
    const auto& udp = *reinterpret_cast<const UdpHeader*>(packet.data + begin);
    const std::size_t end = std::min<std::size_t>(packet.contiguous, begin + udp.length.host());
    return {packet.data + begin + sizeof udp, packet.data + end};
}

}  // namespace

const BackendEntry* quic_server(const ServiceTable& service, const Packet& packet,
                                const Parsed& parsed) noexcept {
    const bool is_fragment = parsed.fragment.payload_offset != 0;
    if (is_fragment || parsed.protocol != proto_udp) return nullptr;
    const Seat seat = service.quic->find(quic_destination(payload_of(packet, parsed)));
    if (seat == no_seat) return nullptr;
    const BackendEntry& backend = service.seats[seat];
    return backend.keeps_flows ? &backend : nullptr;
}

}  // namespace weir
