// SPDX-License-Identifier: BSD-3-Clause
#include "lib/flow/tcp_state.hh"

#include "lib/wire/parse.hh"

namespace weir {

FlowState first_state(std::uint8_t protocol, std::uint8_t /*tcp_flags*/) noexcept {
    // Of whatever kind: one packet alone, perhaps forged, does not earn the long timeout.
    return protocol == proto_tcp ? FlowState::syn : FlowState::untracked;
}

FlowState next_state(FlowState state, std::uint8_t tcp_flags) noexcept {
    if (state == FlowState::untracked || state == FlowState::fin) return state;
    if ((tcp_flags & (tcp_fin | tcp_rst)) != 0) return FlowState::fin;
    if ((tcp_flags & tcp_syn) != 0) return state;  // sent again
    return FlowState::established;
}

bool reopens(FlowState state, std::uint8_t tcp_flags) noexcept {
    return state == FlowState::fin &&
           (tcp_flags & (tcp_syn | tcp_ack | tcp_rst | tcp_fin)) == tcp_syn;
}

std::uint32_t timeout_of(FlowState state, const FlowTimeouts& timeouts) noexcept {
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
