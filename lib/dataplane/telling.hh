// SPDX-License-Identifier: BSD-3-Clause
// Full-nat hides the client from the backend; services may have the backend told who it is. What a
// connection's first packets get for that, and what the backend's replies say of it.
//
// From the backend's SYN-ACK on until it has shown that the connection stands, each packet of the
// client (PROXY: each that begins the stream) tells its address, so that it does not matter which
// of them are lost.
//
// PROXY protocol: to the backend the stream begins a header earlier. The SYN leaves with its number
// less by the header's length, and what the backend acknowledges below the client's first byte is
// raised to that. All other numbers, and all later packets, are the same on both sides.
#pragma once

#include <cstdint>

#include "lib/balance/tables.hh"
#include "lib/dataplane/packet.hh"
#include "lib/dataplane/packet_meta.hh"
#include "lib/dataplane/verdict.hh"
#include "lib/flow/nat_table.hh"
#include "lib/wire/rewrite.hh"

namespace weir {

// A client's TCP packet for a full-nat backend, translated to come from `source` and go to
// `destination`, and given what the service (or the connection, when a reload changed the service)
// asks for. Drops as forward_any(), the packet then being unchanged. Cost: some 50 cycles more than
// without.
[[nodiscard]] Verdict forward_telling(const Tables& tables, const BackendEntry& backend,
                                      const PacketMeta& meta, std::uint64_t flow_hash,
                                      NatBinding& binding, const PacketEnd& source,
                                      const PacketEnd& destination, Packet& packet) noexcept;

// Whether hear_reply() is to be asked about a reply of the flow.
[[nodiscard]] inline bool is_heard(const NatBinding& binding, std::uint8_t tcp_flags) noexcept {
    return binding.told_by != ClientAddress::none &&
           (binding.telling || (tcp_flags & (tcp_syn | tcp_rst)) != 0);
}

// A reply of the backend, as it came: begins and ends the telling, and acknowledges in the client's
// numbers. The MSS of a SYN-ACK is lowered by what segments that tell the address grow, so that a
// full one still fits.
void hear_reply(const Tables& tables, const ServiceTable& service, const PacketMeta& meta,
                NatBinding& binding, Packet& packet) noexcept;

// By how much the sequence number of a client's segment that an ICMP error from the backend's side
// quotes is less than the client's own. Wrong for 2 of 2^32 numbers, which a long stream reaches.
[[nodiscard]] std::uint32_t quoted_shift(const NatBinding& binding,
                                         std::uint32_t sequence) noexcept;

}  // namespace weir
