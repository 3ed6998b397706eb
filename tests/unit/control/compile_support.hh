// SPDX-License-Identifier: BSD-3-Clause
// Configurations by hand and a deep comparison of tables, for the tests of registry and compile.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lib/control/compile.hh"

namespace weir::test {

inline IpAddress ip(std::string_view text) {
    return parse_ip(text).value();
}
inline IpPrefix prefix(std::string_view text) {
    return parse_prefix(text).value();
}
inline KernelRoute route(std::string_view to, unsigned port, std::string_view gateway,
                         std::uint32_t metric = 0) {
    return {prefix(to), metric, static_cast<PortId>(port), ip(gateway)};
}
inline MacAddress mac(std::uint8_t last) {
    return {{2, 0, 0, 0, 0, last}};
}

// Two ports: wan0 (198.51.100.0/24, 2001:db8:1::/64) with gateways of both families, and lan0
// (10.0.0.0/16, fd00:5::/64) without.
inline Config two_ports() {
    Config config;
    PortConfig wan, lan;
    wan.name = "wan0";
    wan.addresses = {prefix("198.51.100.5/24"), prefix("2001:db8:1::5/64")};
    wan.gateways = {ip("198.51.100.1"), ip("2001:db8:1::1")};
    lan.name = "lan0";
    lan.mtu = 9000;
    lan.vlan = 7;
    lan.addresses = {prefix("10.0.0.5/16"), prefix("fd00:5::5/64")};
    config.ports = {wan, lan};
    config.system.hash_seed = 0x5765697200000001;
    config.health["web"] = HealthConfig{};
    return config;
}

// A service on 203.0.113.0/24 with backends "b0", "b1", ... at 10.0.x.y.
inline ServiceConfig service(const std::string& name, std::uint8_t vip, std::size_t backends,
                             Forward forward = Forward::dsr_l2) {
    ServiceConfig result;
    result.name = name;
    result.key = {IpAddress{{203, 0, 113, vip}, Family::v4}, ServiceProtocol::tcp, 443, 443};
    result.forward = forward;
    result.table_size = 251;
    result.health = "web";
    for (std::size_t i = 0; i < backends; ++i) {
        BackendConfig backend;
        backend.name = "b" + std::to_string(i);
        backend.address = IpAddress{{10, 0, vip, static_cast<std::uint8_t>(10 + i)}, Family::v4};
        result.backends.push_back(backend);
    }
    return result;
}

inline World world_of(Config config, std::uint64_t generation = 1) {
    World world;
    world.config = std::make_shared<const Config>(std::move(config));
    world.ports = {{mac(0xa0), true}, {mac(0xa1), false}};
    world.generation = generation;
    return world;
}

inline bool same(const OuterTemplate& a, const OuterTemplate& b) {
    return a.bytes == b.bytes && a.length == b.length && a.entropy_bits == b.entropy_bits &&
           a.entropy_mask == b.entropy_mask && a.checksum_seed == b.checksum_seed;
}

inline bool same(const BackendEntry& a, const BackendEntry& b) {
    const bool redirected = a.rewrite == Rewrite::destination;
    return a.rewrite == b.rewrite && a.gue_port == b.gue_port &&
           (redirected ? a.target.address == b.target.address && a.target.dscp == b.target.dscp
                       : same(a.outer, b.outer)) &&
           a.id == b.id && a.next_hop == b.next_hop && a.service == b.service &&
           a.keeps_flows == b.keeps_flows;
}

inline bool same(const ServiceTable& a, const ServiceTable& b) {
    return a.id == b.id && a.key == b.key && a.forward == b.forward && a.name == b.name &&
           a.slots == b.slots && a.configured == b.configured && a.members == b.members &&
           a.live == b.live && a.backend_names == b.backend_names &&
           (a.quic == b.quic || (a.quic && b.quic && *a.quic == *b.quic)) &&
           std::ranges::equal(a.seats, b.seats,
                              [](const auto& x, const auto& y) { return same(x, y); });
}

// Index by index: each answer of `a` names the service that the answer of `b` names, by id.
inline bool same_index(const Tables& a, const Tables& b, const Config& config) {
    const auto alike = [&](const IpAddress& to, std::uint8_t protocol, int port) {
        const auto p = static_cast<std::uint16_t>(port);
        const ServiceMatch x = a.index.find(to, protocol, p), y = b.index.find(to, protocol, p);
        constexpr std::uint32_t none = ServiceHit::none;
        if (x.role != y.role || (x.place == none) != (y.place == none)) return false;
        // Each index must count the places of its own tables.
        return x.place == none || a.services.at(x.place)->id == b.services.at(y.place)->id;
    };
    for (const ServiceConfig& s : config.services) {
        for (const std::uint8_t protocol : {std::uint8_t{6}, std::uint8_t{17}, std::uint8_t{1}}) {
            for (const int port : {s.key.first_port - 1, s.key.first_port + 0, s.key.last_port + 0,
                                   s.key.last_port + 1}) {
                if (!alike(s.key.vip, protocol, port)) return false;
            }
        }
        for (const BackendConfig& backend : s.backends) {
            if (a.index.is_probe_reply(backend.address, 443) !=
                b.index.is_probe_reply(backend.address, 443))
                return false;
        }
    }
    for (const PortConfig& port : config.ports) {
        for (const IpPrefix& own : port.addresses) {
            if (!alike(own.address, 6, 22)) return false;
        }
    }
    return true;
}

// All but the version. `config`: what both were compiled from.
inline bool same(const Tables& a, const Tables& b, const Config& config) {
    if (a.generation != b.generation || a.hash_seed != b.hash_seed || a.when_full != b.when_full ||
        a.sloppy_tcp != b.sloppy_tcp || a.expire_nodest_conn != b.expire_nodest_conn ||
        a.timeouts.tcp_syn != b.timeouts.tcp_syn ||
        a.timeouts.tcp_established != b.timeouts.tcp_established ||
        a.timeouts.tcp_fin != b.timeouts.tcp_fin || a.timeouts.udp != b.timeouts.udp ||
        a.timeouts.icmp != b.timeouts.icmp)
        return false;
    if (!std::ranges::equal(a.services, b.services,
                            [](const auto& x, const auto& y) { return same(*x, *y); }))
        return false;
    if (!std::ranges::equal(a.backends, b.backends, [](const auto* x, const auto* y) {
            return x == nullptr || y == nullptr ? x == y : same(*x, *y);
        }))
        return false;
    if (!std::ranges::equal(a.next_hops, b.next_hops, [](const NextHop& x, const NextHop& y) {
            return x.destination == y.destination && x.source == y.source && x.port == y.port &&
                   x.plain_mtu == y.plain_mtu && x.resolved == y.resolved;
        }))
        return false;
    if (!std::ranges::equal(a.ports, b.ports, [](const PortTable& x, const PortTable& y) {
            return x.mac == y.mac && x.vlan == y.vlan && x.mtu == y.mtu && x.has_tap == y.has_tap;
        }))
        return false;
    if ((a.nat == nullptr) != (b.nat == nullptr)) return false;
    if (a.nat != nullptr && !(a.nat->routes() == b.nat->routes())) return false;
    return same_index(a, b, config);
}

// What must hold of any tables by themselves: entries by id are the seats' own, and slots lead to
// live seats alone.
inline bool sound(const Tables& tables) {
    std::size_t entries = 0, seats = 0;
    for (const BackendEntry* entry : tables.backends)
        entries += entry != nullptr ? 1 : 0;
    for (const auto& service : tables.services) {
        seats += service->seats.size();
        for (const BackendEntry& entry : service->seats) {
            if (tables.backend(entry.id, service->id) != &entry) return false;
        }
        for (const Seat seat : service->slots) {
            if (seat != no_seat && !service->live[seat]) return false;
        }
    }
    return entries == seats;
}

}  // namespace weir::test
