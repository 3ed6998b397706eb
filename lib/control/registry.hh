// SPDX-License-Identifier: BSD-3-Clause
// Registry: stable dense ids for (service), (service, backend) and (port, neighbour address).
//
// An id that left the configuration is kept until release() is told that no flow names it any more;
// only then may it be given out again. A name that returns before gets its old id back.
// Control thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/balance/ids.hh"
#include "lib/control/config.hh"
#include "lib/wire/result.hh"

namespace weir {

class Registry {
public:
    // Gives ids to everything that `config` names and retires what it no longer names. Fails whole
    // (nothing changed) when a bound of ids.hh would be passed.
    Result<void> adopt(const Config& config);

    [[nodiscard]] std::optional<ServiceId> service(const std::string& name) const;
    [[nodiscard]] std::optional<BackendId> backend(const std::string& service,
                                                   const std::string& backend) const;
    // Id of a next hop, made on first use.
    NextHopId next_hop(PortId port, const IpAddress& address);
    [[nodiscard]] std::optional<NextHopId> find_next_hop(PortId port, const IpAddress& address) const;
    struct NextHopKey { PortId port{}; IpAddress address; auto operator<=>(const NextHopKey&) const = default; };
    [[nodiscard]] const std::vector<NextHopKey>& next_hops() const noexcept { return next_hops_; }

    // Names of an id, configured or retired; empty strings when the id is free.
    struct BackendName { std::string service, backend; };
    [[nodiscard]] BackendName backend_name(BackendId id) const;
    [[nodiscard]] std::string service_name(ServiceId id) const;

    // One past the highest id ever given: sizes of arrays indexed by id.
    [[nodiscard]] std::uint32_t backend_limit() const noexcept;
    [[nodiscard]] std::uint32_t service_limit() const noexcept;

    // Frees retired ids for which in_use(id) is false. Call when a grace period has passed since
    // the retiring publication; in_use = "sum of active flows over the workers is not zero".
    // Answers the ids freed, so that their counters can be taken as the new baseline.
    std::vector<BackendId> release(const std::function<bool(BackendId)>& in_use);

private:
    struct Slot { std::string service, backend; bool retired = false, free = false; };
    std::map<std::pair<std::string, std::string>, BackendId> backend_ids_;
    std::map<std::string, ServiceId> service_ids_;
    std::map<NextHopKey, NextHopId> next_hop_ids_;
    std::vector<Slot> backends_;
    std::vector<Slot> services_;
    std::vector<NextHopKey> next_hops_;
};

}  // namespace weir
