// SPDX-License-Identifier: BSD-3-Clause
// FlowBurst: the flows of a burst on their way through the stages of the pipeline.
//
// Field by field and not packet by packet: what a stage wants of sixteen packets then lies side by
// side, and the stages of lanes.hh read and write it with single instructions.
#pragma once

#include <bit>
#include <cstdint>

#include "lib/balance/service_index.hh"
#include "lib/dataplane/packet.hh"
#include "lib/dataplane/packet_meta.hh"
#include "lib/flow/table.hh"

namespace weir {

// A set of packets of a burst: bit i is packet i.
using BurstMask = std::uint64_t;
static_assert(max_burst <= 64);

[[nodiscard]] constexpr BurstMask bit(std::size_t i) noexcept {
    return BurstMask{1} << i;
}
[[nodiscard]] constexpr BurstMask first_bits(std::size_t count) noexcept {
    return count >= 64 ? ~BurstMask{0} : bit(count) - 1;
}

// Without initial values: a pipeline has one, and a stage reads what an earlier one wrote.
struct alignas(64) FlowBurst {
    std::uint64_t wanted[max_burst];  // of FlowName
    ServiceHit services[max_burst];   // none: decided already
    std::uint32_t homes[max_burst];   // of FlowName
    std::uint32_t ports[max_burst];   // destination | source << 16, host byte order
    LinePlace places[max_burst];
    std::uint32_t backends[max_burst];  // of settled flows: the entry's, or invalid_backend
    // Of flows that have no entry, or may have none: by the service's table; of any: by a
    // connection ID.
    const BackendEntry* chosen[max_burst];
    std::uint16_t l3_offsets[max_burst];
    std::uint16_t ip_lengths[max_burst];
    std::uint8_t protocols[max_burst];
    std::uint8_t traffic_classes[max_burst];
    std::uint8_t tcp_flags[max_burst];
    Family families[max_burst];
    FlowName::Kind kinds[max_burst];
    std::uint64_t rest_clients[max_burst];  // of FlowName, where it is not narrow
    std::uint64_t rest_ports[max_burst];
    Packet spare[2][16];  // room for lanes::receive()

    [[nodiscard]] PacketMeta meta(std::size_t i) const noexcept {
        return {.l3_offset = l3_offsets[i],
                .ip_length = ip_lengths[i],
                .destination_port = static_cast<std::uint16_t>(ports[i]),
                .source_port = static_cast<std::uint16_t>(ports[i] >> 16),
                .protocol = protocols[i],
                .traffic_class = traffic_classes[i],
                .tcp_flags = tcp_flags[i],
                .family = families[i]};
    }
    void set_meta(std::size_t i, const PacketMeta& meta) noexcept {
        l3_offsets[i] = meta.l3_offset;
        ip_lengths[i] = meta.ip_length;
        ports[i] = std::uint32_t{meta.source_port} << 16 | meta.destination_port;
        protocols[i] = meta.protocol;
        traffic_classes[i] = meta.traffic_class;
        tcp_flags[i] = meta.tcp_flags;
        families[i] = meta.family;
    }
    void set(std::size_t i, const PacketMeta& meta, const ServiceHit& service,
             const FlowName& name) noexcept {
        set_meta(i, meta);
        set_name(i, name);
        services[i] = service;
    }
    [[nodiscard]] FlowName name(std::size_t i) const noexcept {
        return {wanted[i], homes[i], kinds[i], {rest_clients[i], rest_ports[i]}};
    }
    void set_name(std::size_t i, const FlowName& name) noexcept {
        wanted[i] = name.wanted;
        homes[i] = name.home;
        kinds[i] = name.kind;
        if (name.kind == FlowName::Kind::narrow) [[likely]]
            return;
        rest_clients[i] = name.rest[0];
        rest_ports[i] = name.rest[1];
    }
    [[nodiscard]] bool same_flow(std::size_t i, std::size_t j) const noexcept {
        if (wanted[i] != wanted[j] || homes[i] != homes[j] || kinds[i] != kinds[j]) return false;
        return kinds[i] == FlowName::Kind::narrow ||
               (rest_clients[i] == rest_clients[j] && rest_ports[i] == rest_ports[j]);
    }
};

}  // namespace weir
