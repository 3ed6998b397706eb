// SPDX-License-Identifier: BSD-3-Clause
// A full-nat service whose backend is of the other family than its clients, and what either side
// sends and gets.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/packet/pieces.hh"
#include "tests/unit/dataplane/full_nat_world.hh"

namespace weir::test {

inline bool is_v6(const std::string& address) {
    return address.find(':') != std::string::npos;
}

// One packet, as far as both families can say it.
struct Datagram {
    std::uint8_t protocol = 6, traffic_class = 0, ttl = 64;
    std::uint16_t id = 0;     // IPv4
    std::uint16_t field = 0;  // IPv4: DF, MF and offset
    Bytes options = {};       // IPv4
    std::uint8_t next = 0;    // IPv6: of the first extension header
    Bytes extensions = {};    // IPv6
};
inline Bytes ip_packet(const Datagram& one, const std::string& source,
                       const std::string& destination, const Bytes& payload) {
    if (is_v6(source))
        return Ip6{.source = source,
                   .destination = destination,
                   .next = one.extensions.empty() ? one.protocol : one.next,
                   .hop_limit = one.ttl,
                   .traffic_class = one.traffic_class} /
               (one.extensions + payload);
    return Ip4{.source = source,
               .destination = destination,
               .protocol = one.protocol,
               .ttl = one.ttl,
               .tos = one.traffic_class,
               .id = one.id,
               .fragment = one.field,
               .options = one.options} /
           payload;
}
inline Bytes from(const std::string& mac_address, const Bytes& ip) {
    const auto type = static_cast<std::uint16_t>(ip.at(0) >> 4 == 4 ? 0x0800 : 0x86dd);
    return Ethernet{.destination = our_mac, .source = mac_address, .type = type} / ip;
}

struct FamiliesWorld : World1 {
    // The client's family; `how` its backend is told its address.
    explicit FamiliesWorld(Family clients, ClientAddress how = ClientAddress::none)
        : World1(1, Forward::full_nat, clients == Family::v6 ? "2001:db8::10" : "203.0.113.10"),
          v6(clients == Family::v6),
          client(v6 ? "2001:db8:7::7" : "198.18.0.7"),
          vip(v6 ? "2001:db8::10" : "203.0.113.10"),
          pool(v6 ? "10.0.0.32" : "fd00:5::32"),
          backend(v6 ? "10.0.0.11" : "fd00:5::11") {
        service->key.protocol = ServiceProtocol::any;
        service->seats[0].rewrite = Rewrite::full_nat;
        service->seats[0].settle();
        const MacAddress gateway = *parse_mac("02:00:00:00:00:01");
        const auto number = static_cast<std::uint32_t>(tables.next_hops.size());
        tables.next_hops.push_back(make_next_hop(PortId{0}, tables.ports[0], &gateway));
        tables.port_addresses = {{parse_ip("10.0.0.5"), parse_ip("fd00:5::5")}};
        tables.icmp_errors_per_second = 1000;
        gateway_ = NextHopId{number};
        set_nat(how);
    }
    // Addresses of both families are in the pool; the service has one of them.
    void set_nat(ClientAddress how) {
        const std::uint32_t place = is_v6(pool) ? 1 : 0;
        const std::vector<NatTables::Backend> backends{{service->seats[0].id,
                                                        0,
                                                        service->key,
                                                        {*parse_ip(backend), backend_port},
                                                        {place, 1},
                                                        how}};
        tables.nat = std::make_shared<const NatTables>(
            backends, std::vector<IpAddress>{*parse_ip("10.0.0.32"), *parse_ip("fd00:5::32")},
            Routes({}, {}, gateway_, gateway_));
        rebuild();
    }
    void set_mtu(std::uint16_t mtu) {
        tables.ports[0].mtu = mtu;
        for (NextHop& hop : tables.next_hops) {
            const MacAddress mac{hop.destination.bytes};
            hop = make_next_hop(PortId{0}, tables.ports[0], &mac);
        }
    }

    const bool v6;
    const std::string client, vip;
    std::string pool, backend;

private:
    NextHopId gateway_ = invalid_next_hop;
};

// The conversation of the client's port 4711 with the VIP's port 80.
struct FamiliesTalk {
    explicit FamiliesTalk(Family clients, ClientAddress how = ClientAddress::none)
        : world(clients, how) {}

    Verdict ask(const Datagram& one, const Bytes& payload) {
        return run(from("02:00:00:00:00:c1", ip_packet(one, world.client, world.vip, payload)));
    }
    Verdict reply(const Datagram& one, const Bytes& payload) {
        return run(from(backend_mac, ip_packet(one, world.backend, world.pool, payload)));
    }
    Verdict run(const Bytes& frame) {
        const Verdict verdict = worker.run(world.tables, frame, Tick{1000}, ports, headroom);
        ports = nullptr;
        return verdict;
    }
    // Opens the flow, and learns its port of the pool.
    void open(std::uint8_t protocol = 6) {
        (void)ask({.protocol = protocol, .field = 0x4000},
                  protocol == 6 ? tcp_asked(syn) : udp_asked({}));
        const Bytes ip = sent();
        const std::size_t at = ip.at(0) >> 4 == 4 ? 20 : 40;
        port = static_cast<std::uint16_t>(ip.at(at) << 8 | ip.at(at + 1));
    }
    [[nodiscard]] Bytes sent() const { return {worker.sent.begin() + 14, worker.sent.end()}; }
    // What left, an IPv4 header's identification taken out: it is Weir's.
    [[nodiscard]] Bytes sent_without_id() const {
        Bytes ip = sent();
        if (ip.at(0) >> 4 != 4) return ip;
        id = static_cast<std::uint16_t>(ip.at(4) << 8 | ip.at(5));
        if (internet_checksum(cut(ip, 0, 20)) != 0) return {};
        ip[4] = ip[5] = ip[10] = ip[11] = 0;
        const std::uint16_t sum = internet_checksum(cut(ip, 0, 20));
        ip[10] = static_cast<std::uint8_t>(sum >> 8);
        ip[11] = static_cast<std::uint8_t>(sum);
        return ip;
    }

    [[nodiscard]] Bytes tcp_asked(std::uint8_t flags, const Bytes& data = {}) const {
        return summed(world.client, world.vip, 6,
                      Tcp{.source = 4711, .destination = 80, .flags = flags} / data);
    }
    [[nodiscard]] Bytes tcp_at_backend(std::uint8_t flags, const Bytes& data = {}) const {
        return summed(world.pool, world.backend, 6,
                      Tcp{.source = port, .destination = backend_port, .flags = flags} / data);
    }
    [[nodiscard]] Bytes tcp_reply(std::uint8_t flags, const Bytes& data = {}) const {
        return summed(world.backend, world.pool, 6,
                      Tcp{.source = backend_port, .destination = port, .flags = flags} / data);
    }
    [[nodiscard]] Bytes tcp_at_client(std::uint8_t flags, const Bytes& data = {}) const {
        return summed(world.vip, world.client, 6,
                      Tcp{.source = 80, .destination = 4711, .flags = flags} / data);
    }
    [[nodiscard]] Bytes udp_asked(const Bytes& data) const {
        return summed(world.client, world.vip, 17,
                      Udp{.source = 4711, .destination = 80, .checksum = 0} / data);
    }
    [[nodiscard]] Bytes udp_reply(const Bytes& data) const {
        return summed(world.backend, world.pool, 17,
                      Udp{.source = backend_port, .destination = port, .checksum = 0} / data);
    }
    [[nodiscard]] Bytes udp_at_client(const Bytes& data) const {
        return summed(world.vip, world.client, 17,
                      Udp{.source = 80, .destination = 4711, .checksum = 0} / data);
    }

    FamiliesWorld world;
    FullNatWorker worker{4096, {}, 2};
    std::uint16_t port = 0, headroom = 128;
    const FragmentPorts* ports = nullptr;  // of the next packet
    mutable std::uint16_t id = 0;
};

}  // namespace weir::test
