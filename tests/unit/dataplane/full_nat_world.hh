// SPDX-License-Identifier: BSD-3-Clause
// World1 as a full-nat service, and a worker with bindings.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tests/unit/dataplane/fixture.hh"

namespace weir::test {

inline const std::string our_mac = "02:00:00:00:00:05", backend_mac = "02:00:00:00:01:0b";
inline constexpr std::uint16_t backend_port = 8080;
inline constexpr std::uint8_t syn = 0x02, ack = 0x10, fin_ack = 0x11, rst = 0x04;

// World1's service with translation of both ends; clients are behind a gateway.
struct FullNatWorld : World1 {
    explicit FullNatWorld(ClientAddress how = ClientAddress::none) : World1(3, Forward::full_nat) {
        std::vector<NatTables::Backend> backends;
        for (BackendEntry& seat : service->seats) {
            seat.rewrite = Rewrite::full_nat;
            seat.settle();
            const auto number = std::to_string(11 + index(seat.id) - 100);
            backends.push_back({seat.id,
                                0,
                                service->key,
                                {*parse_ip("10.0.0." + number), backend_port},
                                {0, 1},
                                how});
        }
        const MacAddress gateway = *parse_mac("02:00:00:00:00:01");
        const auto number = static_cast<std::uint32_t>(tables.next_hops.size());
        tables.next_hops.push_back(make_next_hop(PortId{0}, tables.ports[0], &gateway));
        tables.nat = std::make_shared<const NatTables>(
            backends, std::vector<IpAddress>{*parse_ip("10.0.0.32")},
            Routes({{*parse_prefix("10.0.0.5/16"), PortId{0}}}, {}, NextHopId{number},
                   invalid_next_hop));
        rebuild();
    }
};

// A worker with bindings. `workers`: how many share the ports.
struct FullNatWorker {
    explicit FullNatWorker(std::uint32_t workers = 4096, const WorkerPlace& place = {},
                           std::uint32_t addresses = 1)
        : size{addresses, 0, workers},
          bindings(NatTable::footprint(size) / sizeof(Worker1::Line)),
          nat(std::as_writable_bytes(std::span(bindings)), size, HashSecret{{1, 2, 3, 4}}),
          pipeline(worker.table, worker.counters, *worker.traffic, Pipeline::Lanes::where_available,
                   place, &nat) {}

    // `ports`: of a fragment whose first one is known.
    Verdict run(const Tables& tables, const Bytes& frame, Tick now = Tick{1000},
                const FragmentPorts* ports = nullptr, std::uint16_t headroom = 128) {
        const std::unique_ptr<std::uint8_t[]> bytes(new std::uint8_t[headroom + frame.size()]);
        std::copy(frame.begin(), frame.end(), bytes.get() + headroom);
        const auto length = static_cast<std::uint32_t>(frame.size());
        Packet packet{.data = bytes.get() + headroom,
                      .contiguous = contiguous != 0 ? contiguous : length,
                      .length = length,
                      .headroom = headroom};
        Verdict verdict;
        if (ports == nullptr)
            pipeline.process(tables, {&packet, 1}, {&verdict, 1}, now);
        else
            pipeline.process_fragments(tables, {&packet, 1}, {ports, 1}, {&verdict, 1}, now);
        sent.assign(packet.data, packet.data + packet.length);
        return verdict;
    }

    Worker1 worker;
    NatTable::Size size;
    std::vector<Worker1::Line> bindings;
    NatTable nat;
    Pipeline pipeline;
    Bytes sent;
    std::uint32_t contiguous = 0;  // of each frame; 0: all of it
};

struct Ends {
    std::string source, destination;
    std::uint16_t from = 0, to = 0;
    bool operator==(const Ends&) const = default;
};
// Of a frame without VLAN tag and IPv4 options.
inline Ends ends_of(const Bytes& frame) {
    const auto address = [&](std::size_t at) {
        IpAddress result;
        std::copy_n(frame.begin() + static_cast<std::ptrdiff_t>(at), 4, result.bytes.begin());
        return to_string(result);
    };
    const auto port = [&](std::size_t at) {
        return static_cast<std::uint16_t>(frame.at(at) << 8 | frame.at(at + 1));
    };
    return {address(26), address(30), port(34), port(36)};
}

// What the backend answers to what it got.
inline Bytes answer_to(const Ends& asked, std::uint8_t flags = ack) {
    return Ethernet{.destination = our_mac, .source = backend_mac} /
           (Ip4{.source = asked.destination, .destination = asked.source} /
            (Tcp{.source = asked.to, .destination = asked.from, .flags = flags} / filled(10)));
}

}  // namespace weir::test
