// SPDX-License-Identifier: BSD-3-Clause
// The flow that an ICMP error is about, as its client's packets have it.
#pragma once

#include <cstdint>
#include <utility>

#include "lib/flow/key.hh"
#include "lib/wire/icmp.hh"

namespace weir {

// The embedded packet went from the VIP to the client: its key, turned round. Precondition:
// `message` was read from this frame, and its embedded packet has status flow.
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
