// SPDX-License-Identifier: BSD-3-Clause
// Tables: everything that a worker reads to decide a packet, as one immutable snapshot. Built by
// control/compile.hh, published by one pointer store, read once per burst, freed after an RCU grace
// period. Nobody edits one.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "lib/balance/ids.hh"
#include "lib/balance/nat.hh"
#include "lib/balance/service.hh"
#include "lib/balance/service_index.hh"
#include "lib/flow/key.hh"
#include "lib/flow/tcp_state.hh"
#include "lib/wire/address.hh"

namespace weir {

struct alignas(16) PortTable {
    MacAddress mac;
    std::uint16_t vlan = 0;  // 0: untagged
    std::uint16_t mtu = 1500;
    bool has_tap = false;  // false: what would be punted is dropped as no_exception_path
};

// Whom a port's own ICMP errors come from (RFC 1812 4.3.2.4); nullopt: it has no such address.
struct PortAddresses {
    std::optional<IpAddress> v4, v6;  // the first of each in the file

    [[nodiscard]] const std::optional<IpAddress>& of(Family family) const noexcept {
        return family == Family::v4 ? v4 : v6;
    }
};

// Bytes in front of the IP header of what the port sends.
[[nodiscard]] inline std::uint32_t link_header_length(const PortTable& port) noexcept {
    return port.vlan != 0 ? ethernet_length + vlan_length : ethernet_length;
}

// Where a frame goes: the egress port and both MACs. Made by make_next_hop().
struct alignas(16) NextHop {
    MacAddress destination;
    MacAddress source;
    // Longest IP packet, outer header included, that needs no look at anything but this: the port's
    // MTU; 0 while the neighbour is not resolved, and for a port with a tag.
    std::uint16_t plain_mtu = 0;
    PortId port{};
    bool resolved = false;
};
static_assert(sizeof(NextHop) == 16);

// `neighbor`: the MAC of the next hop; nullptr while it is not resolved. `egress`: of `port`.
[[nodiscard]] inline NextHop make_next_hop(PortId port, const PortTable& egress,
                                           const MacAddress* neighbor) noexcept {
    NextHop hop;
    hop.source = egress.mac;
    hop.port = port;
    if (neighbor == nullptr) return hop;
    hop.destination = *neighbor;
    hop.plain_mtu = egress.vlan == 0 ? egress.mtu : std::uint16_t{0};
    hop.resolved = true;
    return hop;
}

enum class WhenFull : std::uint8_t { stateless, drop_new };

struct Tables {
    std::uint64_t version = 0;     // counts publications, from 1
    std::uint64_t generation = 0;  // of the configuration, from 1
    SlotSeed hash_seed;
    FlowTimeouts timeouts;
    WhenFull when_full = WhenFull::stateless;
    // Any TCP packet begins a flow; false: SYNs alone do, others are dropped as policy_denied.
    bool sloppy_tcp = true;
    // Flows whose backend may keep none are picked anew; false: their packets drop as no_backend
    // until it may again, or their entries end.
    bool expire_nodest_conn = true;
    std::uint32_t icmp_errors_per_second = 1'000;  // that a worker sends; 0: none

    ServiceIndex index;  // (address, protocol, port) -> ServiceTable
    // In file order, which the index's places count.
    std::vector<std::shared_ptr<const ServiceTable>> services;
    std::vector<const BackendEntry*> backends;  // by BackendId; nullptr: not configured any more
    std::vector<NextHop> next_hops;             // by NextHopId
    std::vector<PortTable> ports;               // by PortId
    std::vector<PortAddresses> port_addresses;  // by PortId
    std::shared_ptr<const NatTables> nat;       // nullptr: no service needs it

    // For compile() alone: what the services were made from (the configuration object, and the
    // count of the registry's adoptions), so that it can tell that only health may differ; which
    // stations the registry had; and the place of each ServiceId in `services`.
    std::shared_ptr<const void> basis;
    std::uint64_t basis_adoptions = 0, basis_stations = 0;
    std::shared_ptr<const std::vector<std::uint32_t>> places;

    // The entry of `id`, or nullptr when it left the configuration. `service` guards against an id
    // that was given to another service meanwhile.
    [[nodiscard]] const BackendEntry* backend(BackendId id, ServiceId service) const noexcept {
        if (weir::index(id) >= backends.size()) return nullptr;
        const BackendEntry* entry = backends[weir::index(id)];
        return entry != nullptr && entry->service == service ? entry : nullptr;
    }
};

}  // namespace weir
