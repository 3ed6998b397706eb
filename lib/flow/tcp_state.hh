// SPDX-License-Identifier: BSD-3-Clause
// How a client's packet moves the state of its flow, and how long the flow then lives.
#pragma once

#include <array>
#include <cstdint>

#include "lib/wire/parse.hh"

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

// State of a flow that begins with this packet, of whatever flags: one packet alone, perhaps
// forged, does not earn the long timeout.
[[nodiscard]] constexpr FlowState first_state(std::uint8_t protocol) noexcept {
    return protocol == proto_tcp ? FlowState::syn : FlowState::untracked;
}

// State after a further packet. A SYN on a flow in `fin` begins a new connection: the caller asks
// reopens() first.
[[nodiscard]] constexpr FlowState next_state(FlowState state, std::uint8_t tcp_flags) noexcept {
    if (state == FlowState::untracked || state == FlowState::fin) return state;
    if ((tcp_flags & (tcp_fin | tcp_rst)) != 0) return FlowState::fin;
    if ((tcp_flags & tcp_syn) != 0) return state;  // sent again
    return FlowState::established;
}

// True when a pure SYN meets a closed flow: the tuple is reused, and the flow is picked anew.
[[nodiscard]] constexpr bool reopens(FlowState state, std::uint8_t tcp_flags) noexcept {
    return state == FlowState::fin &&
           (tcp_flags & (tcp_syn | tcp_ack | tcp_rst | tcp_fin)) == tcp_syn;
}

// Both of the above from one byte of a table of two lines.
class Transition {
public:
    explicit Transition(std::uint8_t byte) noexcept : byte_(byte) {}
    [[nodiscard]] FlowState next() const noexcept { return static_cast<FlowState>(byte_ & 3); }
    [[nodiscard]] bool reopens() const noexcept { return (byte_ & anew) != 0; }

    static constexpr std::uint8_t anew = 0x80;

private:
    std::uint32_t byte_;
};
[[nodiscard]] inline Transition transition(FlowState state, std::uint8_t tcp_flags) noexcept {
    constexpr unsigned all = tcp_fin | tcp_syn | tcp_rst | tcp_psh | tcp_ack;  // 0x1f
    static constexpr auto table = [] {
        std::array<std::uint8_t, 4 * (all + 1)> bytes{};
        for (unsigned i = 0; i < bytes.size(); ++i) {
            const auto from = static_cast<FlowState>(i / (all + 1));
            const auto flags = static_cast<std::uint8_t>(i & all);
            bytes[i] = static_cast<std::uint8_t>(static_cast<unsigned>(next_state(from, flags)) |
                                                 (reopens(from, flags) ? Transition::anew : 0));
        }
        return bytes;
    }();
    return Transition(table[static_cast<unsigned>(state) << 5 | (tcp_flags & all)]);
}

[[nodiscard]] constexpr std::uint32_t timeout_of(FlowState state,
                                                 const FlowTimeouts& timeouts) noexcept {
    switch (state) {
        case FlowState::syn:
            return timeouts.tcp_syn;
        case FlowState::established:
            return timeouts.tcp_established;
        case FlowState::fin:
            return timeouts.tcp_fin;
        case FlowState::untracked:
            break;
    }
    return timeouts.udp;
}

}  // namespace weir
