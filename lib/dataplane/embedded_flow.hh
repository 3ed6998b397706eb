// SPDX-License-Identifier: BSD-3-Clause
// The flow that an ICMP error is about, as its client's packets have it.
#pragma once

#include <cstdint>
#include <utility>

#include "lib/flow/key.hh"
#include "lib/wire/icmp.hh"

namespace weir {

[[nodiscard]] inline bool names_flow(const EmbeddedPacket& embedded) noexcept {
    using enum EmbeddedPacket::Status;
    return embedded.status == flow || embedded.status == echo_reply || embedded.status == other;
}

// The embedded packet went from the VIP to the client: its key, turned round. Precondition:
// `message` was read from this frame, and names_flow(). An echo reply answers packets whose
// identifier stands for the client's port, and that have no other.
[[nodiscard]] inline FlowWords words_about(const std::uint8_t* frame, const Parsed& parsed,
                                           const IcmpMessage& message) noexcept {
    const EmbeddedPacket& embedded = message.embedded;
    FlowWords words = flow_words(frame + message.embedded_offset, parsed.family, embedded.protocol,
                                 embedded.destination_port, embedded.source_port);
    std::swap(words.source, words.destination);
    std::swap(words.source_rest, words.destination_rest);
    return words;
}

}  // namespace weir
