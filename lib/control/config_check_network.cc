// SPDX-License-Identifier: BSD-3-Clause
// Checks across sections: addresses that may not meet, and a way out to every backend.
#include <algorithm>
#include <optional>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "lib/control/config_sections.hh"
#include "lib/control/egress.hh"
#include "lib/control/forward_mode.hh"

namespace weir {

namespace {

constexpr unsigned min_ipv6_mtu = 1280;  // RFC 8200 section 5
constexpr IpAddress broadcast{{255, 255, 255, 255}, Family::v4};

std::string_view name_of(Family family) noexcept {
    return family == Family::v4 ? "IPv4" : "IPv6";
}

// What keeps an address from being one station's; nullopt: nothing.
std::optional<std::string_view> oddity(const IpAddress& address) noexcept {
    if (is_multicast(address)) return "a multicast address";
    if (is_loopback(address)) return "a loopback address";
    if (is_unspecified(address)) return "the unspecified address";
    if (address == broadcast) return "the broadcast address";
    return std::nullopt;
}

// Adds an error for an odd address. Answers whether it is fine.
bool check_station(std::string_view what, const IpAddress& address, Place place,
                   Problems& problems) {
    const std::optional<std::string_view> odd = oddity(address);
    if (odd) problems.add(place, fmt::format("{} {} is {}", what, to_string(address), *odd));
    return !odd;
}

// IPv4: all host bits zero or all one, where the network has such addresses.
bool is_network_or_broadcast(const IpPrefix& prefix) noexcept {
    if (prefix.address.family != Family::v4 || prefix.length >= 31) return false;
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i)
        value = value << 8 | prefix.address.bytes[i];
    const std::uint32_t host = prefix.length == 0 ? ~0u : (1u << (32 - prefix.length)) - 1;
    return (value & host) == 0 || (value & host) == host;
}

bool on_network(const PortConfig& port, const IpAddress& address) noexcept {
    return std::ranges::any_of(port.addresses,
                               [&](const IpPrefix& prefix) { return prefix.contains(address); });
}

using AddressMap = std::unordered_map<IpAddress, std::string>;  // address -> whose

void check_port_addresses(const PortConfig& port, const PortPlaces& places, AddressMap& own,
                          Problems& problems) {
    for (std::size_t i = 0; i < port.addresses.size(); ++i) {
        const IpPrefix& prefix = port.addresses[i];
        if (!check_station("address", prefix.address, places.addresses[i], problems)) continue;
        if (is_network_or_broadcast(prefix)) {
            problems.add(
                places.addresses[i],
                fmt::format("{} names the whole network; give the port's own address in it",
                            to_string(prefix)));
        }
        const auto [first, added] = own.try_emplace(prefix.address, port.name);
        if (!added) {
            problems.add(places.addresses[i],
                         fmt::format("address {} stands on port '{}' already",
                                     to_string(prefix.address), first->second));
        }
    }
}

void check_port_peers(const PortConfig& port, const PortPlaces& places, Problems& problems) {
    const auto check = [&](std::string_view what, const IpAddress& address, Place place) {
        if (!check_station(what, address, place, problems)) return;
        const bool own = std::ranges::any_of(
            port.addresses, [&](const IpPrefix& prefix) { return prefix.address == address; });
        if (own) {
            problems.add(place,
                         fmt::format("{} {} is the port's own address", what, to_string(address)));
        } else if (!on_network(port, address)) {
            problems.add(place, fmt::format("{} {} lies outside every address prefix of port '{}'",
                                            what, to_string(address), port.name));
        }
    };
    for (std::size_t i = 0; i < port.gateways.size(); ++i) {
        check("gateway", port.gateways[i], places.gateways[i]);
    }
    for (std::size_t i = 0; i < port.neighbors.size(); ++i) {
        check("neighbor", port.neighbors[i].address, places.neighbors[i]);
    }
    for (std::size_t i = 0; i < port.tunnel_source.size(); ++i) {
        check_station("tunnel_source", port.tunnel_source[i].address, places.tunnel_sources[i],
                      problems);
    }
}

AddressMap check_ports(Draft& draft) {
    AddressMap own;
    for (std::size_t i = 0; i < draft.ports.size(); ++i) {
        const std::size_t before = draft.problems.size();
        check_port_addresses(draft.config.ports[i], draft.ports[i], own, draft.problems);
        // With a wrong prefix every peer would look misplaced.
        if (draft.ports[i].addressing_ok && draft.problems.size() == before) {
            check_port_peers(draft.config.ports[i], draft.ports[i], draft.problems);
        }
        if (draft.problems.size() != before) draft.ports[i].addressing_ok = false;
    }
    return own;
}

AddressMap check_vips(Draft& draft, const AddressMap& own) {
    AddressMap vips;
    for (std::size_t i = 0; i < draft.services.size(); ++i) {
        ServicePlaces& places = draft.services[i];
        const ServiceConfig& service = draft.config.services[i];
        if (!places.vip_ok) continue;
        const IpAddress& vip = service.key.vip;
        if (!check_station("vip", vip, places.vip, draft.problems)) {
            places.vip_ok = false;
            continue;
        }
        if (const auto port = own.find(vip); port != own.end()) {
            draft.problems.add(places.vip, fmt::format("vip {} is the own address of port '{}'",
                                                       to_string(vip), port->second));
            continue;
        }
        vips.try_emplace(vip, service.name);
    }
    return vips;
}

void check_backend_address(const ServiceConfig& service, const ServicePlaces& service_places,
                           const BackendConfig& backend, BackendPlaces& places,
                           const AddressMap& own, const AddressMap& vips, Problems& problems) {
    const IpAddress& address = backend.address;
    const auto bad = [&](std::string message) {
        problems.add(places.address, std::move(message));
        places.address_ok = false;
    };
    if (!check_station("address", address, places.address, problems)) {
        places.address_ok = false;
    } else if (const auto vip = vips.find(address); vip != vips.end()) {
        bad(fmt::format(
            "backend '{}' is at {}, the VIP of service '{}': its packets would come back",
            backend.name, to_string(address), vip->second));
    } else if (const auto port = own.find(address); port != own.end()) {
        bad(fmt::format(
            "backend '{}' is at {}, the own address of port '{}': its packets would come "
            "back",
            backend.name, to_string(address), port->second));
    } else if (!is_tunnel(service.forward) && !is_nat(service.forward) &&
               service_places.forward_ok && service_places.vip_ok &&
               address.family != service.key.vip.family) {
        bad(
            fmt::format("backend '{}' has an {} address, but {} cannot change the family of the "
                        "{} VIP: use forward = \"ipip\" or an {} address",
                        backend.name, name_of(address.family), name_of(service.forward),
                        name_of(service.key.vip.family), name_of(service.key.vip.family)));
    } else if (service.forward == Forward::nat && service_places.vip_ok &&
               address.family != service.key.vip.family) {
        bad(fmt::format(
            "backend '{}' has an {} address, but nat cannot change the family of the {} VIP: use "
            "forward = \"full-nat\" with a source_pool of {}, or an {} address",
            backend.name, name_of(address.family), name_of(service.key.vip.family),
            name_of(address.family), name_of(service.key.vip.family)));
    } else if (service.forward == Forward::full_nat && service.source_pool &&
               address.family != service.source_pool->first.family) {
        const Family pool = service.source_pool->first.family;
        bad(fmt::format(
            "backend '{}' has an {} address, but its packets come from an {} source_pool: give it "
            "an {} address or the service a source_pool of {}",
            backend.name, name_of(address.family), name_of(pool), name_of(pool),
            name_of(address.family)));
    }
}

// Says each thing once: by port and next hop, and by service and port.
struct Told {
    std::set<std::pair<PortId, IpAddress>> next_hops;
    std::set<std::pair<std::size_t, PortId>> probes, rooms;
};

// IPv6 has no packets below 1280 bytes that a client could be asked to send instead.
void check_room(Draft& draft, std::size_t service_index, std::size_t backend_index,
                const Egress& egress, Told& told) {
    const ServiceConfig& service = draft.config.services[service_index];
    const BackendConfig& backend = service.backends[backend_index];
    const PortConfig& port = draft.config.ports[index(egress.port)];
    const unsigned outer = outer_length(service, backend.address.family);
    if (outer == 0 || service.key.vip.family != Family::v6 || port.mtu >= min_ipv6_mtu + outer)
        return;
    if (!told.rooms.emplace(service_index, egress.port).second) return;
    draft.problems.add(
        draft.services[service_index].backends[backend_index].address,
        fmt::format(
            "port '{}' has mtu {}, of which the tunnel to backend '{}' takes {}: IPv6 needs "
            "{}, so set the port's mtu to {} or more",
            port.name, port.mtu, backend.name, outer, min_ipv6_mtu, min_ipv6_mtu + outer));
}

void check_tapless(Draft& draft, std::size_t service_index, const BackendPlaces& backend,
                   const Egress& egress, Told& told) {
    const ServiceConfig& service = draft.config.services[service_index];
    const PortConfig& port = draft.config.ports[index(egress.port)];
    if (port.exception_tap) return;
    if (!service.health.empty()) {
        if (!told.probes.emplace(service_index, egress.port).second) return;
        draft.problems.add(
            draft.services[service_index].health,
            fmt::format("probes of service '{}' cannot leave by port '{}', which has "
                        "no exception_tap: give the port one, or leave out health",
                        service.name, port.name));
        return;
    }
    const bool known = std::ranges::find(port.neighbors, egress.next_hop,
                                         &StaticNeighbor::address) != port.neighbors.end();
    if (known || !told.next_hops.emplace(egress.port, egress.next_hop).second) return;
    draft.problems.add(
        backend.address,
        fmt::format("port '{}' has no exception_tap to learn the MAC of {} by: add {{ address = "
                    "\"{}\", mac = \"...\" }} to its neighbor list",
                    port.name, to_string(egress.next_hop), to_string(egress.next_hop)));
}

void check_way(Draft& draft, std::size_t service_index, std::size_t backend_index, Told& told) {
    const ServiceConfig& service = draft.config.services[service_index];
    const BackendConfig& backend = service.backends[backend_index];
    const BackendPlaces& places = draft.services[service_index].backends[backend_index];
    const std::optional<Egress> egress = egress_of(draft.config, backend.address);
    if (!egress) {
        draft.problems.add(
            places.address,
            fmt::format("no route to backend '{}' at {}: no port has an address in "
                        "its network, and none has an {} gateway",
                        backend.name, to_string(backend.address), name_of(backend.address.family)));
        return;
    }
    if (service.forward == Forward::dsr_l2 && egress->next_hop != backend.address) {
        draft.problems.add(
            places.address,
            fmt::format("backend '{}' at {} is behind gateway {}, but dsr-l2 reaches "
                        "only the networks of the ports: use forward = \"ipip\"",
                        backend.name, to_string(backend.address), to_string(egress->next_hop)));
        return;
    }
    check_room(draft, service_index, backend_index, *egress, told);
    check_tapless(draft, service_index, places, *egress, told);
}

}  // namespace

void check_addresses(Draft& draft) {
    const AddressMap own = check_ports(draft);
    const AddressMap vips = check_vips(draft, own);
    for (std::size_t i = 0; i < draft.services.size(); ++i) {
        const ServiceConfig& service = draft.config.services[i];
        for (std::size_t j = 0; j < service.backends.size(); ++j) {
            BackendPlaces& places = draft.services[i].backends[j];
            if (!places.address_ok) continue;
            check_backend_address(service, draft.services[i], service.backends[j], places, own,
                                  vips, draft.problems);
        }
    }
}

void check_egress(Draft& draft) {
    // A port whose addresses are wrong would make every backend look lost.
    if (draft.ports.empty()) return;
    if (!std::ranges::all_of(draft.ports, &PortPlaces::addressing_ok)) return;
    Told told;
    for (std::size_t i = 0; i < draft.services.size(); ++i) {
        if (!draft.services[i].forward_ok) continue;
        for (std::size_t j = 0; j < draft.services[i].backends.size(); ++j) {
            if (draft.services[i].backends[j].address_ok) check_way(draft, i, j, told);
        }
    }
}

}  // namespace weir
