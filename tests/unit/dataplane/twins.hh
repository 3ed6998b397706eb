// SPDX-License-Identifier: BSD-3-Clause
// What two pipelines made of the same bursts, to be compared: verdicts, bytes, entries, counters.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <tuple>
#include <vector>

#include "tests/packet/same_verdict.hh"
#include "tests/unit/dataplane/fixture.hh"

namespace weir::test {

// A whole frame, as a port without offloads gives it.
inline Packet packet_of(Bytes& frame) {
    const auto length = static_cast<std::uint32_t>(frame.size());
    return {.data = frame.data(), .contiguous = length, .length = length};
}

// Frames in buffers of their exact size, behind some headroom.
struct Burst {
    static constexpr std::uint16_t headroom = 64;
    std::vector<std::unique_ptr<std::uint8_t[]>> buffers;
    std::vector<Packet> packets;
    std::vector<Verdict> verdicts;

    void add(const Packet& like) {
        buffers.emplace_back(new std::uint8_t[headroom + like.contiguous]());
        std::copy_n(like.data, like.contiguous, buffers.back().get() + headroom);
        packets.push_back(like);
        packets.back().data = buffers.back().get() + headroom;
        packets.back().headroom = headroom;
        verdicts.emplace_back();
    }
    void add(Bytes frame) { add(packet_of(frame)); }
    void run(Worker1& worker, const Tables& tables, Tick now) {
        worker.pipeline.process(tables, packets, verdicts, now);
    }
};

// As it left. The frame's end may lie behind what is contiguous.
inline bool same_bytes(const Burst& a, const Burst& b, std::size_t i) {
    const Packet &x = a.packets[i], &y = b.packets[i];
    const auto front = x.data - a.buffers[i].get();
    if (x.length != y.length || front != y.data - b.buffers[i].get()) return false;
    const auto size =
        static_cast<std::size_t>(Burst::headroom + x.contiguous) - static_cast<std::size_t>(front);
    return std::memcmp(x.data, y.data, size) == 0;
}

using Entry =
    std::tuple<std::array<std::uint8_t, 16>, std::uint16_t, std::uint32_t, int, std::uint32_t>;
inline std::vector<Entry> entries(const Worker1& worker, Tick now) {
    std::vector<Entry> all;
    std::vector<FlowRecord> records(64);
    for (std::uint32_t cursor = 0; cursor < worker.table.lines();) {
        const std::size_t count = worker.table.copy(cursor, records, now);
        for (std::size_t i = 0; i < count; ++i) {
            all.emplace_back(records[i].client, records[i].client_port, records[i].backend,
                             static_cast<int>(records[i].state),
                             static_cast<std::uint32_t>(records[i].expires));
        }
    }
    std::sort(all.begin(), all.end());
    return all;
}

// The counters of `services` services and `backends` backends from these ids on.
inline std::vector<std::uint64_t> counts(const Worker1& worker, std::size_t service,
                                         std::size_t services, std::size_t backend,
                                         std::size_t backends) {
    std::vector<std::uint64_t> all{worker.counters.flow_insert_failed.read()};
    const auto add = [&](const TrafficCounters& traffic) {
        for (const Counter* counter :
             {&traffic.packets, &traffic.bytes, &traffic.new_flows, &traffic.active_flows})
            all.push_back(counter->read());
    };
    for (std::size_t i = 0; i < services; ++i)
        add(worker.traffic->services[service + i]);
    for (std::size_t i = 0; i < backends; ++i)
        add(worker.traffic->backends[backend + i]);
    return all;
}

}  // namespace weir::test
