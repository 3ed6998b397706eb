// SPDX-License-Identifier: BSD-3-Clause
// Services that translate addresses: the table `nat`, and checks. A reply must tell by its source,
// or by the pool address that it goes to, what it belongs to, and must find a way to the client.
#include <algorithm>
#include <optional>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "lib/control/config_sections.hh"
#include "lib/control/config_text.hh"
#include "lib/control/egress.hh"
#include "lib/control/forward_mode.hh"

namespace weir {

namespace {

bool has_single_port(const ServiceKey& key) noexcept {
    return key.first_port == key.last_port;
}

// "10.0.0.32-10.0.0.39", or one address.
std::optional<SourcePool> parse_pool(const std::string& text) {
    const std::size_t dash = text.find('-');
    const auto first = parse_ip(std::string_view(text).substr(0, dash));
    const auto last =
        dash == std::string::npos ? first : parse_ip(std::string_view(text).substr(dash + 1));
    if (!first || !last || first->family != last->family || *last < *first) return std::nullopt;
    return SourcePool{*first, *last};
}

IpAddress after(IpAddress address) noexcept {
    for (std::size_t i = address.size(); i-- > 0;) {
        if (++address.bytes[i] != 0) break;
    }
    return address;
}

// The addresses of a pool, one more than the bound at most.
std::vector<IpAddress> addresses_of(const SourcePool& pool) {
    std::vector<IpAddress> addresses{pool.first};
    while (addresses.back() != pool.last && addresses.size() <= max_pool_addresses)
        addresses.push_back(after(addresses.back()));
    return addresses;
}

// Only translation gives packets another port.
void check_backend_port(const ServiceConfig& service, const BackendConfig& backend,
                        const BackendPlaces& places, bool forward_ok, Problems& problems) {
    if (backend.port == 0 || !forward_ok) return;
    if (!is_nat(service.forward)) {
        problems.add(places.port,
                     fmt::format("backend '{}' has a port, but only forward = \"nat\" and "
                                 "\"full-nat\" change the client's destination port: leave it out",
                                 backend.name));
    } else if (service.forward == Forward::nat && !has_single_port(service.key)) {
        problems.add(places.port,
                     fmt::format("backend '{}' has a port, but service '{}' has several, and its "
                                 "replies would not tell which: leave it out, or give the service "
                                 "one port",
                                 backend.name, service.name));
    }
}

// From where replies of a backend come, for one protocol.
struct End {
    IpAddress address;
    std::uint16_t first = 0, last = 0;  // ports
    std::size_t service = 0, backend = 0;

    [[nodiscard]] auto order() const noexcept {
        return std::tuple(address, first, service, backend);
    }
    [[nodiscard]] bool reaches(const End& other) const noexcept {
        return address == other.address && last >= other.first;
    }
};

std::vector<End> ends_of(const Draft& draft, ServiceProtocol protocol) {
    std::vector<End> ends;
    for (std::size_t i = 0; i < draft.services.size(); ++i) {
        const ServiceConfig& service = draft.config.services[i];
        const ServiceKey& key = service.key;
        if (service.forward != Forward::nat || !draft.services[i].key_ok) continue;
        if (key.protocol != protocol && key.protocol != ServiceProtocol::any) continue;
        for (std::size_t j = 0; j < service.backends.size(); ++j) {
            const BackendConfig& backend = service.backends[j];
            if (!draft.services[i].backends[j].address_ok) continue;
            const bool own = backend.port != 0;
            ends.push_back({backend.address, own ? backend.port : key.first_port,
                            own ? backend.port : key.last_port, i, j});
        }
    }
    std::ranges::sort(ends, {}, &End::order);
    return ends;
}

void report_shared_end(const End& a, const End& b, Draft& draft) {
    // The later one in the file is told.
    const End& first = a.service < b.service ? a : b;
    const End& second = a.service < b.service ? b : a;
    const ServiceConfig& other = draft.config.services[first.service];
    const ServiceConfig& service = draft.config.services[second.service];
    const BackendPlaces& places = draft.services[second.service].backends[second.backend];
    draft.problems.add(
        places.address,
        fmt::format("backend '{}' of service '{}' answers from the same address, protocol and port "
                    "as backend '{}' of service '{}' on line {}, so a reply could belong to "
                    "either: give one of them another address or port",
                    service.backends[second.backend].name, service.name,
                    other.backends[first.backend].name, other.name,
                    draft.services[first.service].table.line));
}

// Of one service, backends may share an end: their replies go to the same VIP.
void check_shared_ends(Draft& draft) {
    std::set<std::pair<std::size_t, std::size_t>> told;  // service, backend
    for (const ServiceProtocol protocol : {ServiceProtocol::tcp, ServiceProtocol::udp}) {
        const std::vector<End> ends = ends_of(draft, protocol);
        // The end before that reaches farthest, and the farthest of another service than that.
        const End *far = nullptr, *other = nullptr;
        for (const End& end : ends) {
            const End* rival = far != nullptr && far->service == end.service ? other : far;
            if (rival != nullptr && rival->reaches(end) &&
                told.emplace(std::max(std::pair(end.service, end.backend),
                                      std::pair(rival->service, rival->backend)))
                    .second)
                report_shared_end(*rival, end, draft);
            const auto farther = [&](const End* than) {
                return than == nullptr || than->address != end.address || end.last > than->last;
            };
            if (far != nullptr && far->service == end.service) {
                if (farther(far)) far = &end;
            } else if (farther(far)) {
                other = far;
                far = &end;
            } else if (farther(other)) {
                other = &end;
            }
        }
    }
}

// A port without TAP learns no neighbours, and replies go to the gateway.
void check_gateways(Draft& draft) {
    if (!std::ranges::all_of(draft.ports, &PortPlaces::addressing_ok)) return;
    std::set<Family> families;
    for (std::size_t i = 0; i < draft.services.size(); ++i) {
        const ServiceConfig& service = draft.config.services[i];
        if (is_nat(service.forward) && draft.services[i].vip_ok)
            families.insert(service.key.vip.family);
    }
    for (const Family family : families) {
        const auto gateway = gateway_of(draft.config, family);
        if (!gateway) continue;
        const PortConfig& port = draft.config.ports[index(gateway->port)];
        const bool known = std::ranges::find(port.neighbors, gateway->next_hop,
                                             &StaticNeighbor::address) != port.neighbors.end();
        if (port.exception_tap || known) continue;
        const auto at = std::ranges::find(port.gateways, gateway->next_hop) - port.gateways.begin();
        draft.problems.add(
            draft.ports[index(gateway->port)].gateways[static_cast<std::size_t>(at)],
            fmt::format(
                "port '{}' has no exception_tap to learn the MAC of gateway {} by, and "
                "translated replies go there: add {{ address = \"{}\", mac = \"...\" }} to its "
                "neighbor list",
                port.name, to_string(gateway->next_hop), to_string(gateway->next_hop)));
    }
}

// What a pool address may not be, too; nullopt: it is nothing else.
std::optional<std::string> other_use(const Config& config, const IpAddress& address) {
    for (const PortConfig& port : config.ports) {
        if (std::ranges::find(port.addresses, address, &IpPrefix::address) != port.addresses.end())
            return fmt::format("the own address of port '{}'", port.name);
        if (std::ranges::find(port.gateways, address) != port.gateways.end())
            return fmt::format("a gateway of port '{}'", port.name);
        if (std::ranges::find(port.neighbors, address, &StaticNeighbor::address) !=
            port.neighbors.end())
            return fmt::format("a neighbor of port '{}'", port.name);
    }
    for (const ServiceConfig& service : config.services) {
        if (service.key.vip == address) return fmt::format("the VIP of service '{}'", service.name);
        const auto backend = std::ranges::find(service.backends, address, &BackendConfig::address);
        if (backend != service.backends.end())
            return fmt::format("the address of backend '{}' of service '{}'", backend->name,
                               service.name);
    }
    return std::nullopt;
}

void check_pool(const Draft& draft, std::size_t i, Problems& problems) {
    const ServiceConfig& service = draft.config.services[i];
    const ServicePlaces& places = draft.services[i];
    if (!service.source_pool || !places.pool_ok) return;
    const SourcePool& pool = *service.source_pool;
    const std::vector<IpAddress> addresses = addresses_of(pool);
    if (addresses.size() > max_pool_addresses) {
        problems.add(places.pool,
                     fmt::format("'source_pool' has more than {} addresses", max_pool_addresses));
        return;
    }
    for (const IpAddress& address : addresses) {
        std::optional<std::string> use = other_use(draft.config, address);
        if (is_multicast(address)) use = "a multicast address";
        if (is_loopback(address)) use = "a loopback address";
        if (is_unspecified(address)) use = "the unspecified address";
        if (!use) continue;
        problems.add(places.pool,
                     fmt::format("'source_pool' holds {}, which is {}: replies to it would not be "
                                 "told apart",
                                 to_string(address), *use));
        return;
    }
}

void check_pools(Draft& draft) {
    const std::size_t before = draft.problems.size();
    for (std::size_t i = 0; i < draft.services.size(); ++i)
        check_pool(draft, i, draft.problems);
    if (draft.problems.size() != before ||
        pool_addresses(draft.config).size() <= max_pool_addresses)
        return;
    const auto last = std::ranges::find_if(
        draft.config.services.rbegin(), draft.config.services.rend(),
        [](const ServiceConfig& service) { return service.source_pool.has_value(); });
    const auto place = static_cast<std::size_t>(draft.config.services.rend() - last) - 1;
    draft.problems.add(
        draft.services[place].pool,
        fmt::format("the pools of all services have more than {} addresses", max_pool_addresses));
}

void read_client_address(TableReader& reader, ServiceConfig& service, const ServicePlaces& places) {
    static constexpr Word<ClientAddress> ways[] = {{"none", ClientAddress::none},
                                                   {"toa", ClientAddress::toa},
                                                   {"proxy-v2", ClientAddress::proxy_v2}};
    service.client_address = reader.word("client_address", ways).value_or(ClientAddress::none);
    if (service.client_address == ClientAddress::none || !places.key_ok ||
        service.key.protocol == ServiceProtocol::tcp)
        return;
    reader.wrong("client_address",
                 "'client_address' goes with TCP connections: leave it out, or give the service "
                 "protocol = \"tcp\" and what else it carries a service of its own");
}

}  // namespace

void read_nat(TableReader& parent, ServiceConfig& service, ServicePlaces& places) {
    places.pool = parent.place("nat");
    if (places.forward_ok && service.forward == Forward::full_nat) {
        places.pool_ok = parent.require("nat");
    } else if (places.forward_ok && parent.has("nat")) {
        parent.wrong("nat", service.forward == Forward::nat
                                ? "'nat' has a meaning for forward = \"full-nat\" only: with "
                                  "\"nat\" backends see the client's address"
                                : "'nat' has a meaning for forward = \"full-nat\" only");
    }
    const std::optional<Node> table = parent.table("nat");
    if (!table) return;
    TableReader reader(*table, "'nat' of [[service]]", parent.problems());
    places.pool_ok = reader.require("source_pool");
    const std::optional<std::string> text = reader.text("source_pool");
    places.pool = reader.place("source_pool");
    if (text) {
        service.source_pool = parse_pool(*text);
        if (!service.source_pool)
            reader.wrong("source_pool",
                         fmt::format("'source_pool' must be an address or a range like "
                                     "\"10.0.0.32-10.0.0.39\", not \"{}\"",
                                     printable(*text)));
    }
    places.pool_ok = service.source_pool.has_value();
    read_client_address(reader, service, places);
    reader.finish();
}

std::vector<IpAddress> pool_addresses(const Config& config) {
    std::set<IpAddress, PoolOrder> all;
    for (const ServiceConfig& service : config.services) {
        if (!service.source_pool) continue;
        for (const IpAddress& address : addresses_of(*service.source_pool))
            all.insert(address);
    }
    return {all.begin(), all.end()};
}

void check_nat(Draft& draft) {
    for (std::size_t i = 0; i < draft.services.size(); ++i) {
        const ServicePlaces& places = draft.services[i];
        const ServiceConfig& service = draft.config.services[i];
        for (std::size_t j = 0; j < service.backends.size(); ++j)
            check_backend_port(service, service.backends[j], places.backends[j],
                               places.forward_ok && places.key_ok, draft.problems);
    }
    check_shared_ends(draft);
    check_pools(draft);
    check_gateways(draft);
}

}  // namespace weir
