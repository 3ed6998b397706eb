// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/registry.hh"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "lib/control/compile.hh"

namespace weir {
namespace {

// Those whose flows have a number of their own.
constexpr ServiceProtocol numbered[] = {ServiceProtocol::tcp, ServiceProtocol::udp,
                                        ServiceProtocol::sctp, ServiceProtocol::icmp};

std::uint8_t number_of(const ServiceKey& key, ServiceProtocol protocol) {
    return protocol == ServiceProtocol::icmp ? icmp_protocol(key.vip.family)
                                             : static_cast<std::uint8_t>(protocol);
}

bool is_numbered(const ServiceConfig& service, ServiceProtocol protocol) {
    return speaks(service.key, service.forward, number_of(service.key, protocol));
}

// Where a service may take all protocols, SCTP has no number but that of all others.
std::uint8_t protocol_of(const ServiceKey& key, ServiceProtocol protocol) {
    const bool all = key.protocol == ServiceProtocol::any && key.first_port == 0;
    return all && protocol == ServiceProtocol::sctp ? std::uint8_t{0} : number_of(key, protocol);
}

Registry::EndpointKey key_of(const ServiceKey& key, ServiceProtocol protocol) {
    return {key.vip, protocol_of(key, protocol), key.first_port, key.last_port};
}

}  // namespace

void Registry::Space::give(const Key& name) {
    if (const auto known = ids.find(name); known != ids.end()) {
        slots[known->second].retired = false;
        return;
    }
    if (free.empty()) {
        free.insert(static_cast<std::uint32_t>(slots.size()));
        slots.emplace_back();
    }
    const std::uint32_t id = *free.begin();
    free.erase(free.begin());
    slots[id] = {name, false, false};
    ids.emplace(name, id);
}

void Registry::Space::release(std::uint32_t id) {
    ids.erase(slots[id].name);
    slots[id] = {{}, false, true};
    free.insert(id);
}

const Registry::Key* Registry::Space::name(std::uint32_t id) const {
    return id < slots.size() && !slots[id].free ? &slots[id].name : nullptr;
}

Result<void> Registry::check(const Config& config, const std::vector<NextHopKey>& hops) const {
    std::size_t services = services_.ids.size(), backends = backends_.ids.size();
    for (const ServiceConfig& service : config.services) {
        if (service.backends.size() > no_seat - 1u) {
            return Error{fmt::format("service '{}' has {} backends, and a service takes at most {}",
                                     service.name, service.backends.size(), no_seat - 1)};
        }
        services += services_.ids.contains({service.name, ""}) ? 0 : 1;
        for (const BackendConfig& backend : service.backends) {
            backends += backends_.ids.contains({service.name, backend.name}) ? 0 : 1;
        }
    }
    const auto over = [](std::string_view what, std::size_t count, std::size_t bound) {
        return Error{
            fmt::format("{} {}, those that left but still have flows included, and this "
                        "version takes {}: use fewer, or wait until their flows have ended",
                        count, what, bound)};
    };
    if (services > max_services) return over("services", services, max_services);
    if (backends > max_backends) return over("backends", backends, max_backends);
    if (hops.size() > max_next_hops) {
        return Error{fmt::format("backends have {} different next hops, and this version takes {}",
                                 hops.size(), max_next_hops)};
    }
    return {};
}

Result<void> Registry::adopt(const Config& config, const KernelRoutes& routes) {
    const std::vector<NextHopKey> hops = needed_next_hops(config, routes);
    if (auto checked = check(config, hops); !checked) return checked;
    for (Space* space : {&services_, &backends_}) {
        for (Slot& slot : space->slots)
            slot.retired = !slot.free;
    }
    for (const ServiceConfig& service : config.services) {
        services_.give({service.name, ""});
        for (const BackendConfig& backend : service.backends) {
            backends_.give({service.name, backend.name});
        }
    }
    adopt_next_hops(hops);
    ++adoptions_;
    adopt_endpoints(config);
    return {};
}

// Those that are known first, so that none of them is given to another.
void Registry::adopt_endpoints(const Config& config) {
    std::vector<EndpointKey> fresh;
    for (const ServiceConfig& service : config.services) {
        for (const ServiceProtocol protocol : numbered) {
            if (!is_numbered(service, protocol)) continue;
            const EndpointKey key = key_of(service.key, protocol);
            if (const auto known = endpoint_ids_.find(key); known != endpoint_ids_.end()) {
                endpoints_[index(known->second)].wanted = adoptions_;
            } else {
                fresh.push_back(key);
            }
        }
    }
    for (const EndpointKey& key : fresh)
        give_endpoint(key);
}

// There are more numbers than endpoints of all services that a configuration may have.
void Registry::give_endpoint(const EndpointKey& key) {
    if (endpoint_ids_.contains(key)) return;  // of another service, too
    std::size_t id = endpoints_.size();
    if (id < max_endpoints) {
        endpoints_.emplace_back();
    } else {
        id = static_cast<std::size_t>(
            std::ranges::min_element(endpoints_, {}, &EndpointSlot::wanted) - endpoints_.begin());
        endpoint_ids_.erase(endpoints_[id].key);
    }
    endpoints_[id] = {key, adoptions_};
    endpoint_ids_.emplace(key, EndpointId{static_cast<std::uint16_t>(id)});
}

EndpointId Registry::endpoint(const ServiceKey& key, ServiceProtocol protocol) const {
    const auto known = endpoint_ids_.find(key_of(key, protocol));
    return known != endpoint_ids_.end() ? known->second : EndpointId{0};
}

Registry::EndpointKey Registry::endpoint_key(EndpointId id) const {
    return index(id) < endpoints_.size() ? endpoints_[index(id)].key : EndpointKey{};
}

// Precondition: `hops` is sorted. Stations last, and never in the place of what is needed.
void Registry::adopt_next_hops(const std::vector<NextHopKey>& hops) {
    for (auto known = next_hop_ids_.begin(); known != next_hop_ids_.end();) {
        const auto hop = known++;
        if (!std::ranges::binary_search(hops, hop->first)) forget_next_hop(hop);
    }
    for (const NextHopKey& hop : hops)
        (void)next_hop(hop.port, hop.address);
    for (const NextHopKey& station : stations_)
        (void)next_hop(station.port, station.address);
    needed_ = hops;
}

void Registry::forget_next_hop(std::map<NextHopKey, NextHopId>::iterator hop) {
    next_hops_[index(hop->second)] = {};
    free_next_hops_.insert(index(hop->second));
    next_hop_ids_.erase(hop);
}

void Registry::set_stations(std::vector<NextHopKey> stations) {
    std::ranges::sort(stations);
    if (stations == stations_) return;
    ++station_changes_;
    for (const NextHopKey& left : std::exchange(stations_, std::move(stations))) {
        if (std::ranges::binary_search(stations_, left)) continue;
        if (std::ranges::binary_search(needed_, left)) continue;
        if (const auto hop = next_hop_ids_.find(left); hop != next_hop_ids_.end())
            forget_next_hop(hop);
    }
    for (const NextHopKey& hop : stations_)
        (void)next_hop(hop.port, hop.address);
}

NextHopId Registry::next_hop(PortId port, const IpAddress& address) {
    if (const auto known = find_next_hop(port, address)) return *known;
    if (free_next_hops_.empty()) {
        if (next_hops_.size() >= max_next_hops) return invalid_next_hop;
        free_next_hops_.insert(static_cast<std::uint32_t>(next_hops_.size()));
        next_hops_.emplace_back();
    }
    const std::uint32_t id = *free_next_hops_.begin();
    free_next_hops_.erase(free_next_hops_.begin());
    next_hops_[id] = {port, address};
    next_hop_ids_.emplace(next_hops_[id], NextHopId{id});
    return NextHopId{id};
}

std::optional<NextHopId> Registry::find_next_hop(PortId port, const IpAddress& address) const {
    const auto known = next_hop_ids_.find({port, address});
    if (known == next_hop_ids_.end()) return std::nullopt;
    return known->second;
}

std::optional<ServiceId> Registry::service(const std::string& name) const {
    const auto known = services_.ids.find({name, ""});
    if (known == services_.ids.end()) return std::nullopt;
    return ServiceId{static_cast<std::uint16_t>(known->second)};
}

std::optional<BackendId> Registry::backend(const std::string& service,
                                           const std::string& backend) const {
    const auto known = backends_.ids.find({service, backend});
    if (known == backends_.ids.end()) return std::nullopt;
    return BackendId{known->second};
}

Registry::BackendName Registry::backend_name(BackendId id) const {
    const Key* name = backends_.name(index(id));
    return name != nullptr ? BackendName{name->first, name->second} : BackendName{};
}

std::string Registry::service_name(ServiceId id) const {
    const Key* name = services_.name(index(id));
    return name != nullptr ? name->first : std::string{};
}

std::uint32_t Registry::backend_limit() const noexcept {
    return static_cast<std::uint32_t>(backends_.slots.size());
}

std::uint32_t Registry::service_limit() const noexcept {
    return static_cast<std::uint32_t>(services_.slots.size());
}

Registry::Released Registry::release(const std::function<bool(BackendId)>& in_use) {
    Released released;
    for (std::uint32_t id = 0; id < backends_.slots.size(); ++id) {
        if (!backends_.slots[id].retired || in_use(BackendId{id})) continue;
        backends_.release(id);
        released.backends.push_back(BackendId{id});
    }
    for (std::uint32_t id = 0; id < services_.slots.size(); ++id) {
        if (!services_.slots[id].retired) continue;
        const std::string& name = services_.slots[id].name.first;
        const auto first_backend = backends_.ids.lower_bound({name, ""});
        if (first_backend != backends_.ids.end() && first_backend->first.first == name) continue;
        services_.release(id);
        released.services.push_back(ServiceId{static_cast<std::uint16_t>(id)});
    }
    return released;
}

}  // namespace weir
