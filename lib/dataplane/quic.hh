// SPDX-License-Identifier: BSD-3-Clause
// Which backend a QUIC packet names by its connection ID.
#pragma once

#include "lib/balance/service.hh"
#include "lib/dataplane/packet.hh"
#include "lib/wire/parse.hh"

namespace weir {

// The backend that made the destination connection ID of a datagram for `service`, if it takes
// packets of its old flows: up or draining. nullptr: the ID is unroutable, or the packet is a
// fragment: then the whole datagram goes by its addresses and ports. Precondition: service.quic is
// set; parsed.l4 is ok. Cost: QuicLb::find().
[[nodiscard]] const BackendEntry* quic_server(const ServiceTable& service, const Packet& packet,
                                              const Parsed& parsed) noexcept;

}  // namespace weir
