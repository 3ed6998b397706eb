// SPDX-License-Identifier: BSD-3-Clause
// NatTables: what workers read to translate addresses: where packets for a backend go, which
// service a backend's reply belongs to, the pool of full-nat, and the way to clients. A part of
// Tables that is there only when a service translates. Immutable once built; any thread may look
// up.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "lib/balance/ids.hh"
#include "lib/balance/routes.hh"
#include "lib/balance/service.hh"
#include "lib/balance/service_index.hh"
#include "lib/wire/client_address.hh"
#include "lib/wire/rewrite.hh"

namespace weir {

// The order of addresses in the pool: those of a family together.
struct PoolOrder {
    [[nodiscard]] bool operator()(const IpAddress& a, const IpAddress& b) const noexcept {
        return a.family != b.family ? a.family < b.family : a.bytes < b.bytes;
    }
};

// Addresses of the pool, by their places in it.
struct PoolRange {
    std::uint32_t first = 0, count = 0;
    friend bool operator==(const PoolRange&, const PoolRange&) = default;
};

class NatTables {
public:
    // A backend of a nat or full-nat service. The control plane sees to it that the ends of two nat
    // services, by protocol, never meet: a reply could belong to either.
    struct Backend {
        BackendId id{};
        std::uint32_t service = 0;  // its place in Tables::services
        ServiceKey key;             // of the service
        PacketEnd end;              // port 0: the client's destination port
        PoolRange pool{};           // full-nat: where its packets come from; nat: none
        ClientAddress client_address = ClientAddress::none;  // full-nat: how it is told
    };
    // `pool`: in PoolOrder, each once. Cold; allocates.
    NatTables(std::span<const Backend> backends, std::vector<IpAddress> pool, Routes routes);

    // The same with another way to clients. Cost: a copy.
    [[nodiscard]] NatTables with(Routes routes) const;

    // Where packets for `backend`, one of those it was built of, go.
    [[nodiscard]] const PacketEnd& end(BackendId backend) const noexcept {
        return backends_[index(backend)].end;
    }
    [[nodiscard]] const PoolRange& pool_of(BackendId backend) const noexcept {
        return backends_[index(backend)].pool;
    }
    [[nodiscard]] ClientAddress client_address(BackendId backend) const noexcept {
        return backends_[index(backend)].client_address;
    }
    // An address's place in the pool; nullopt: it is not of the pool. Cost: a bisection.
    [[nodiscard]] std::optional<std::uint32_t> pool_place(const IpAddress& address) const noexcept;
    [[nodiscard]] const IpAddress& pool_address(std::uint32_t place) const noexcept {
        return pool_[place];
    }
    // The place in Tables::services of the service that replies from there belong to; nullopt:
    // nobody's. `protocol`: TCP or UDP; `port`: source port, host byte order. Cost: one or two
    // lines of a hash table.
    [[nodiscard]] std::optional<std::uint32_t> service_of(const IpAddress& source,
                                                          std::uint8_t protocol,
                                                          std::uint16_t port) const noexcept {
        const std::uint32_t place = replies_.find(source, protocol, port).place;
        if (place == ServiceHit::none) return std::nullopt;
        return services_[place];
    }
    // Whether some nat backend has this address.
    [[nodiscard]] bool is_backend(const IpAddress& address) const noexcept {
        return replies_.find(address, 0, 0).role == AddressRole::vip;
    }
    [[nodiscard]] const Routes& routes() const noexcept { return routes_; }

private:
    struct Target {
        PacketEnd end;
        PoolRange pool;
        ClientAddress client_address = ClientAddress::none;
    };
    std::vector<Target> backends_;  // by BackendId
    std::vector<IpAddress> pool_;   // in PoolOrder
    // A nat backend's end is a service to it, (address, protocol, port) as is a VIP.
    ServiceIndex replies_;
    std::vector<std::uint32_t> services_;  // by the places of `replies_`
    Routes routes_;
};

}  // namespace weir
