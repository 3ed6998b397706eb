// SPDX-License-Identifier: BSD-3-Clause
// How a client's packet moves the state of its flow, and how long the flow then lives.
#pragma once

#include <cstdint>

namespace weir {

// What was seen of the TCP connection, from the client's side alone (replies bypass Weir in the
// direct-return modes). Other protocols stay in `untracked`.
enum class FlowState : std::uint8_t {
    untracked = 0,    // UDP and the like
    syn = 1,          // one packet seen (a SYN, or the first of a connection older than we)
    established = 2,  // a later packet without SYN
    fin = 3           // FIN or RST seen
};

struct FlowTimeouts {  // milliseconds, 1 .. longest_timeout of expiry.hh
    std::uint32_t tcp_syn = 30'000, tcp_established = 900'000, tcp_fin = 30'000, udp = 60'000,
                  icmp = 10'000;
};

// State of a flow that begins with this packet.
[[nodiscard]] FlowState first_state(std::uint8_t protocol, std::uint8_t tcp_flags) noexcept;

// State after a further packet. A SYN on a flow in `fin` begins a new connection: the caller asks
// reopens() first.
[[nodiscard]] FlowState next_state(FlowState state, std::uint8_t tcp_flags) noexcept;

// True when a pure SYN meets a closed flow: the tuple is reused, and the flow is picked anew.
[[nodiscard]] bool reopens(FlowState state, std::uint8_t tcp_flags) noexcept;

[[nodiscard]] std::uint32_t timeout_of(FlowState state, const FlowTimeouts& timeouts) noexcept;

}  // namespace weir
