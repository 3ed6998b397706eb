// SPDX-License-Identifier: BSD-3-Clause
// Translation of addresses: which flow a backend's reply belongs to, and the bytes of a request.
#pragma once

#include <cstdint>
#include <optional>

#include "lib/balance/tables.hh"
#include "lib/dataplane/packet.hh"
#include "lib/dataplane/packet_meta.hh"
#include "lib/dataplane/station_mailbox.hh"
#include "lib/dataplane/verdict.hh"
#include "lib/flow/key.hh"
#include "lib/flow/nat_table.hh"
#include "lib/wire/rewrite.hh"

namespace weir {

[[nodiscard]] inline FlowKey key_of(const FlowWords& words) noexcept {
    FlowKey key;
    words.store(key);
    return key;
}
[[nodiscard]] inline PacketEnd source_of(const FlowKey& key) noexcept {
    return {key.source_address(), key.source_port};
}
[[nodiscard]] inline PacketEnd destination_of(const FlowKey& key) noexcept {
    return {key.destination_address(), key.destination_port};
}

// Translation is for these alone.
[[nodiscard]] constexpr bool is_translated(std::uint8_t protocol) noexcept {
    return protocol == proto_tcp || protocol == proto_udp;
}

// What a packet from a nat backend answers.
struct NatReply {
    static constexpr std::uint32_t none = 0xffffffff;
    std::uint32_t service = none;  // its place in Tables::services; none: the packet is no reply
    FlowWords client;              // the key of the client's packets
    explicit operator bool() const noexcept { return service != none; }
};

// `words`: the key of the packet as it came. It is a reply when its source is the end of a backend
// and its destination is neither a VIP nor our own: then the client's packets had that destination
// as their source, and the VIP, with the port that the backend's stands for, as theirs. One rule
// for steering and for processing. Cost: two lookups in hash tables; without nat services a
// comparison.
[[nodiscard]] NatReply find_reply(const Tables& tables, const FlowWords& words) noexcept;

// The pool address that a packet is for, by its key as it came, and its port. nullopt: for none; a
// VIP or an address of our own is none. Cost: a bisection of the pool, without one a comparison.
[[nodiscard]] std::optional<PoolEnd> find_pool_end(const Tables& tables,
                                                   const FlowWords& words) noexcept;

// A packet of a backend, still as it came, gets the link header of the way to the client at this
// address. `mss_clamp`: of its service, for SYNs; 0: none.
[[nodiscard]] Verdict send_to_client(const Tables& tables, const IpAddress& client,
                                     const PacketMeta& meta, Packet& packet,
                                     std::uint16_t mss_clamp = 0) noexcept;

// Of the port towards the client at this address; 0: there is no way.
[[nodiscard]] std::uint32_t mtu_to_client(const Tables& tables, const IpAddress& client) noexcept;

// The client at this address when nothing but its MAC address is missing and the kernel can look it
// up: on the network of a port with a TAP, and not in the tables.
[[nodiscard]] std::optional<UnknownStation> unknown_station(const Tables& tables,
                                                            const IpAddress& client) noexcept;

// The client's packet gets the end of `backend`, of a nat service, as its destination, and is a hop
// older. Precondition: TTL or hop limit is 2 or more.
void translate_request(const Tables& tables, BackendId backend, const PacketMeta& meta,
                       const Packet& packet) noexcept;

}  // namespace weir
