// SPDX-License-Identifier: BSD-3-Clause
// A small balancer by hand: one port, one TCP service on 203.0.113.10:80 with a few backends.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

#include "lib/dataplane/process.hh"
#include "tests/packet/build.hh"

namespace weir::test {

inline constexpr std::uint16_t slots = 251;

// Owns what Tables points into.
struct World1 {
    std::shared_ptr<ServiceTable> service = std::make_shared<ServiceTable>();
    Tables tables;

    explicit World1(std::size_t backends, Forward forward = Forward::dsr_l2,
                    const std::string& vip = "203.0.113.10") {
        service->id = ServiceId{3};
        service->key = {*parse_ip(vip), ServiceProtocol::tcp, 80, 80};
        service->forward = forward;
        service->name = "web";
        PortTable port;
        port.mac.bytes = port_mac;
        port.has_tap = true;
        tables.ports.push_back(port);
        for (std::size_t i = 0; i < backends; ++i) {
            BackendEntry entry;
            const auto address = *parse_ip("10.0.0." + std::to_string(11 + i));
            if (forward == Forward::ipip || forward == Forward::gue) {
                entry.rewrite =
                    forward == Forward::ipip ? Rewrite::ipv4_outer : Rewrite::gue_direct;
                entry.gue_port = 6080;
                entry.outer = make_outer_template({*parse_ip("10.0.0.5"), 32}, address,
                                                  service->key.vip.family, shim_of(entry.rewrite));
            }
            entry.id = BackendId{static_cast<std::uint32_t>(100 + i)};
            entry.next_hop = NextHopId{static_cast<std::uint32_t>(i)};
            entry.service = service->id;
            entry.keeps_flows = true;
            entry.settle();
            service->seats.push_back(entry);
            const MacAddress mac{{2, 0, 0, 0, 1, static_cast<std::uint8_t>(11 + i)}};
            tables.next_hops.push_back(make_next_hop(PortId{0}, tables.ports[0], &mac));
        }
        service->live.assign(backends, true);
        for (std::size_t slot = 0; slot < slots; ++slot)
            service->slots.push_back(static_cast<Seat>(slot % backends));
        tables.hash_seed = 0x5765697200000001;
        rebuild();
    }

    // After a change to `service`.
    void rebuild() {
        tables.services = {service};
        tables.backends.assign(200, nullptr);
        for (const BackendEntry& entry : service->seats)
            tables.backends[index(entry.id)] = &entry;
        const ServiceTable* pointer = service.get();
        const std::array own{*parse_ip("10.0.0.5")};
        const std::array probed{ProbeTarget{*parse_ip("10.0.0.11"), 8080}};
        tables.index = ServiceIndex::build({&pointer, 1}, own, probed);
    }
    // `seat` takes no new flows any more: its slots go to the next seat.
    void take_slots(Seat seat, bool keeps_flows) {
        for (Seat& slot : service->slots)
            if (slot == seat) slot = static_cast<Seat>((seat + 1U) % service->seats.size());
        service->seats[seat].keeps_flows = keeps_flows;
        rebuild();
    }

    static constexpr std::array<std::uint8_t, 6> port_mac{2, 0, 0, 0, 0, 5};
};

// One worker with a table of `entries` flows.
struct Worker1 {
    explicit Worker1(std::uint32_t entries = 1024,
                     Pipeline::Lanes lanes = Pipeline::Lanes::where_available,
                     const WorkerPlace& place = {})
        : memory(FlowTable::footprint(entries) / sizeof(Line) + 1),
          table(std::as_writable_bytes(std::span(memory)).first(FlowTable::footprint(entries)),
                entries, {{11, 22, 33, 44}}),
          pipeline(table, counters, *traffic, lanes, place) {}

    // Runs one frame of exactly this size (plus headroom) and answers its verdict; the frame as it
    // left is in `sent`.
    Verdict run(const Tables& tables, const Bytes& frame, Tick now = Tick{1000},
                std::uint16_t headroom = 128) {
        const std::unique_ptr<std::uint8_t[]> buffer(new std::uint8_t[headroom + frame.size()]);
        std::copy(frame.begin(), frame.end(), buffer.get() + headroom);
        Packet packet{.data = buffer.get() + headroom,
                      .contiguous = static_cast<std::uint32_t>(frame.size()),
                      .length = static_cast<std::uint32_t>(frame.size()),
                      .headroom = headroom};
        Verdict verdict;
        pipeline.process(tables, {&packet, 1}, {&verdict, 1}, now);
        sent.assign(packet.data, packet.data + packet.length);
        return verdict;
    }

    struct alignas(64) Line {
        std::array<std::byte, 64> bytes;
    };
    std::vector<Line> memory;
    FlowTable table;
    LcoreCounters counters;
    std::unique_ptr<WorkerTraffic> traffic = std::make_unique<WorkerTraffic>();
    Pipeline pipeline;
    Bytes sent;
};

inline Bytes client_frame(std::uint16_t source_port, std::uint8_t flags = 0x10,
                          const std::string& source = "198.18.0.7") {
    return Ethernet{.destination = "02:00:00:00:00:05", .source = "02:00:00:00:00:c1"} /
           (Ip4{.source = source, .destination = "203.0.113.10"} /
            (Tcp{.source = source_port, .flags = flags} / filled(10)));
}

}  // namespace weir::test
