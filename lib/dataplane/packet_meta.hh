// SPDX-License-Identifier: BSD-3-Clause
// PacketMeta: what the stages of the pipeline know of a packet for a service.
#pragma once

#include <cstdint>

#include "lib/flow/key.hh"
#include "lib/wire/parse.hh"

namespace weir {

// Written and read field by field: a wide load of fields just written would wait for the stores.
struct PacketMeta {
    std::uint16_t l3_offset = 0;         // bytes from frame start
    std::uint16_t ip_length = 0;         // IP header and payload, without Ethernet padding
    std::uint16_t destination_port = 0;  // host byte order
    std::uint16_t source_port = 0;       // host byte order
    std::uint8_t protocol = 0;           // after IPv6 extension headers
    std::uint8_t traffic_class = 0;      // DSCP and ECN
    std::uint8_t tcp_flags = 0;          // UDP: 0
    Family family = Family::v4;
    bool may_cut_v6 = false;  // IPv6 that came as an IPv4 packet without DF
    friend bool operator==(const PacketMeta&, const PacketMeta&) = default;
};

// Precondition: parsed.l3 is ip. Ports and flags are zero unless parsed.l4 is ok.
[[nodiscard]] inline PacketMeta meta_of(const Parsed& parsed) noexcept {
    return {.l3_offset = parsed.l3_offset,
            .ip_length = parsed.ip_length,
            .destination_port = parsed.destination_port,
            .source_port = parsed.source_port,
            .protocol = parsed.protocol,
            .traffic_class = parsed.traffic_class,
            .tcp_flags = parsed.tcp_flags,
            .family = parsed.family};
}

[[nodiscard]] inline FlowWords flow_words(const std::uint8_t* frame,
                                          const PacketMeta& meta) noexcept {
    return flow_words(frame + meta.l3_offset, meta.family, meta.protocol, meta.source_port,
                      meta.destination_port);
}

}  // namespace weir
