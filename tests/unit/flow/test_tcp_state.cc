// SPDX-License-Identifier: BSD-3-Clause
#include <catch2/catch.hpp>

#include "lib/flow/tcp_state.hh"
#include "lib/wire/parse.hh"

namespace weir {

TEST_CASE("tcp state: a connection from SYN to FIN", "[flow]") {
    FlowState state = first_state(proto_tcp);
    CHECK(state == FlowState::syn);
    state = next_state(state, tcp_syn);  // sent again
    CHECK(state == FlowState::syn);
    state = next_state(state, tcp_ack);
    CHECK(state == FlowState::established);
    state = next_state(state, tcp_ack | tcp_psh);
    CHECK(state == FlowState::established);
    state = next_state(state, tcp_fin | tcp_ack);
    CHECK(state == FlowState::fin);
    state = next_state(state, tcp_ack);  // of the other side's FIN
    CHECK(state == FlowState::fin);
}

TEST_CASE("tcp state: for every state and all flags", "[flow][property]") {
    for (unsigned bits = 0; bits < 256; ++bits) {
        const auto flags = static_cast<std::uint8_t>(bits);
        const bool ends = (flags & (tcp_fin | tcp_rst)) != 0, syn = (flags & tcp_syn) != 0;
        // One packet alone never earns the long timeout.
        CHECK(first_state(proto_tcp) == FlowState::syn);
        CHECK(first_state(proto_udp) == FlowState::untracked);
        CHECK(first_state(proto_icmp) == FlowState::untracked);
        CHECK(next_state(FlowState::untracked, flags) == FlowState::untracked);
        CHECK(next_state(FlowState::fin, flags) == FlowState::fin);
        CHECK(next_state(FlowState::syn, flags) == (ends  ? FlowState::fin
                                                    : syn ? FlowState::syn
                                                          : FlowState::established));
        CHECK(next_state(FlowState::established, flags) ==
              (ends ? FlowState::fin : FlowState::established));
        // Only a pure SYN on a closed flow begins a new one; ECE and CWR may come with it.
        const bool pure_syn = (flags & 0x17) == tcp_syn;
        CHECK(reopens(FlowState::fin, flags) == pure_syn);
        for (const FlowState state : {FlowState::untracked, FlowState::syn, FlowState::established})
            CHECK_FALSE(reopens(state, flags));
        for (const FlowState state :
             {FlowState::untracked, FlowState::syn, FlowState::established, FlowState::fin}) {
            CHECK(transition(state, flags).next() == next_state(state, flags));
            CHECK(transition(state, flags).reopens() == reopens(state, flags));
        }
    }
}

TEST_CASE("tcp state: each state has its own timeout", "[flow]") {
    const FlowTimeouts timeouts{
        .tcp_syn = 1, .tcp_established = 2, .tcp_fin = 3, .udp = 4, .icmp = 5};
    CHECK(timeout_of(FlowState::syn, timeouts) == 1);
    CHECK(timeout_of(FlowState::established, timeouts) == 2);
    CHECK(timeout_of(FlowState::fin, timeouts) == 3);
    CHECK(timeout_of(FlowState::untracked, timeouts) == 4);
}

}  // namespace weir
