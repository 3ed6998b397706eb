// SPDX-License-Identifier: BSD-3-Clause
// From configuration to QuicLb: server IDs by seat.
#include <algorithm>

#include "lib/control/compile_service.hh"

namespace weir {

std::shared_ptr<const QuicLb> compile_quic(const ServiceConfig& service,
                                           std::span<const BackendConfig* const> by_seat) {
    if (service.quic.empty()) return nullptr;
    std::vector<QuicLb::Server> servers;
    for (std::size_t seat = 0; seat < by_seat.size(); ++seat) {
        const std::vector<std::uint8_t>& id = by_seat[seat]->quic_server_id;
        if (id.empty()) continue;
        QuicLb::Server& server = servers.emplace_back();
        std::ranges::copy(id, server.id.begin());
        server.seat = static_cast<Seat>(seat);
    }
    return std::make_shared<const QuicLb>(service.quic, servers);
}

}  // namespace weir
