// SPDX-License-Identifier: BSD-3-Clause
// Registry: stable dense ids for (service), (service, backend) and (port, neighbour address).
//
// Services and backends: an id that left the configuration is kept until release() is told that no
// flow names it any more; only then may it be given out again, lowest first. A name that returns
// before gets its old id back.
// Endpoints: what a flow entry says of its destination. A number that left the configuration is
// given out again only when all others have been, the one that left first; an entry that still
// named it would hold a backend of its own service, which BackendEntry::service checks. Next hops:
// no flow names one, only the tables of one publication do, so ids of those that a configuration no
// longer needs are given out again at once. Stations are next hops that no configuration names:
// clients on a port's network. They get what room is left. Control thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lib/balance/ids.hh"
#include "lib/control/config.hh"
#include "lib/control/kernel_routes.hh"
#include "lib/wire/result.hh"

namespace weir {

class Registry {
public:
    // Gives ids to everything that `config` names or needs, next hops included, and retires what it
    // no longer names. Fails whole (nothing changed) when a bound of ids.hh would be passed.
    // `routes`: of the kernel.
    Result<void> adopt(const Config& config, const KernelRoutes& routes = {});
    // Counts successful adopt() calls: between two of them no id of a configured name changes.
    [[nodiscard]] std::uint64_t adoptions() const noexcept { return adoptions_; }

    [[nodiscard]] std::optional<ServiceId> service(const std::string& name) const;
    [[nodiscard]] std::optional<BackendId> backend(const std::string& service,
                                                   const std::string& backend) const;
    // Id of a next hop, made on first use and kept until the next adopt() that does not need it;
    // invalid_next_hop when all are taken.
    NextHopId next_hop(PortId port, const IpAddress& address);
    [[nodiscard]] std::optional<NextHopId> find_next_hop(PortId port,
                                                         const IpAddress& address) const;
    struct NextHopKey {
        PortId port{};
        IpAddress address;
        auto operator<=>(const NextHopKey&) const = default;
    };
    // The stations that are next hops from now on, also after an adopt(). Ids of those that left
    // are given out again at once. Without room, and where the configuration needs the same next
    // hop, a station is none.
    void set_stations(std::vector<NextHopKey> stations);
    [[nodiscard]] const std::vector<NextHopKey>& stations() const noexcept { return stations_; }
    // Counts the calls that changed something.
    [[nodiscard]] std::uint64_t station_changes() const noexcept { return station_changes_; }

    // By NextHopId; a free place holds an unspecified address.
    [[nodiscard]] const std::vector<NextHopKey>& next_hops() const noexcept { return next_hops_; }

    // The VIP and ports of a service for one of the protocols that it speaks.
    struct EndpointKey {
        IpAddress vip;
        // 1, 6, 17, 58 or 132; 0: all but TCP, UDP and ICMP, which entries themselves tell apart.
        std::uint8_t protocol = 0;
        std::uint16_t first_port = 0, last_port = 0;
        auto operator<=>(const EndpointKey&) const = default;
    };
    // Of a configured service; 0 when it does not speak `protocol`.
    [[nodiscard]] EndpointId endpoint(const ServiceKey& key, ServiceProtocol protocol) const;
    // Configured or left; empty when never given.
    [[nodiscard]] EndpointKey endpoint_key(EndpointId id) const;

    // Names of an id, configured or retired; empty strings when the id is free.
    struct BackendName {
        std::string service, backend;
    };
    [[nodiscard]] BackendName backend_name(BackendId id) const;
    [[nodiscard]] std::string service_name(ServiceId id) const;

    // One past the highest id ever given: sizes of arrays indexed by id.
    [[nodiscard]] std::uint32_t backend_limit() const noexcept;
    [[nodiscard]] std::uint32_t service_limit() const noexcept;

    // Frees retired backend ids for which in_use(id) is false, and retired services all of whose
    // backends are free. Call when a grace period has passed since the retiring publication; in_use
    // = "sum of active flows over the workers is not zero". Answers the ids freed, ascending, so
    // that their counters can be taken as the new baseline.
    struct Released {
        std::vector<BackendId> backends;
        std::vector<ServiceId> services;
    };
    Released release(const std::function<bool(BackendId)>& in_use);

private:
    using Key = std::pair<std::string, std::string>;  // service, backend; services: backend empty
    struct Slot {
        Key name;
        bool retired = false, free = false;
    };
    // Names and ids of one kind.
    struct Space {
        std::map<Key, std::uint32_t> ids;  // configured and retired ones
        std::vector<Slot> slots;           // by id
        std::set<std::uint32_t> free;

        void give(const Key& name);
        void release(std::uint32_t id);
        [[nodiscard]] const Key* name(std::uint32_t id) const;
    };

    [[nodiscard]] Result<void> check(const Config& config,
                                     const std::vector<NextHopKey>& hops) const;
    void adopt_endpoints(const Config& config);
    void give_endpoint(const EndpointKey& key);
    void adopt_next_hops(const std::vector<NextHopKey>& hops);
    void forget_next_hop(std::map<NextHopKey, NextHopId>::iterator hop);

    struct EndpointSlot {
        EndpointKey key;
        std::uint64_t wanted = 0;  // adoptions_ when it was last configured
    };

    Space services_, backends_;
    std::map<EndpointKey, EndpointId> endpoint_ids_;
    std::vector<EndpointSlot> endpoints_;  // by EndpointId
    std::map<NextHopKey, NextHopId> next_hop_ids_;
    std::vector<NextHopKey> next_hops_;
    std::set<std::uint32_t> free_next_hops_;
    std::uint64_t adoptions_ = 0, station_changes_ = 0;
    std::vector<NextHopKey> needed_, stations_;  // both sorted
};

}  // namespace weir
