// SPDX-License-Identifier: BSD-3-Clause
// Fragments through data planes of every shape: they go where their flow goes.
#include <algorithm>
#include <map>
#include <random>

#include <catch2/catch.hpp>

#include "tests/unit/dpdk/loops_support.hh"

using namespace weir;
using namespace weir::test;

namespace {

// Bytes [begin, end) of the segment of 64 bytes that a flow's `id`th datagram has.
Bytes piece(std::uint16_t source_port, std::uint16_t id, std::size_t begin, std::size_t end) {
    const Bytes segment = Tcp{.source = source_port} / filled(44);
    return Ethernet{.destination = "02:00:00:00:00:05", .source = "02:00:00:00:00:c1"} /
           (Ip4{.destination = "203.0.113.10",
                .id = id,
                .fragment = static_cast<std::uint16_t>((end == 64 ? 0 : 0x2000) | begin / 8)} /
            cut(segment, begin, end));
}

// By identification: where the frames went, as MAC addresses.
using Ways = std::map<std::uint16_t, std::vector<Bytes>>;
Ways ways_of(const std::vector<Rig::Sent>& sent) {
    Ways ways;
    for (const Rig::Sent& one : sent)
        ways[static_cast<std::uint16_t>(one.frame[18] << 8 | one.frame[19])].push_back(
            {one.frame.begin(), one.frame.begin() + 6});
    return ways;
}

}  // namespace

TEST_CASE("loops: fragments go where the whole packets of their flow go, in every shape",
          "[dpdk][loops][fragments]") {
    for (const Shape& shape : shapes) {
        INFO(shape.name);
        Rig rig(shape.options);
        constexpr std::uint16_t flows = 200;
        std::map<std::uint16_t, Bytes> whole;
        for (std::uint16_t flow = 0; flow < flows; ++flow) {
            rig.receive(0, client_frame(static_cast<std::uint16_t>(2000 + flow)));
            rig.settle();
            const auto sent = rig.sent();
            REQUIRE(sent.size() == 1);
            whole[flow] = {sent[0].frame.begin(), sent[0].frame.begin() + 6};
        }
        std::mt19937 random(20261121);
        std::vector<Bytes> pieces;
        for (std::uint16_t flow = 0; flow < flows; ++flow) {
            const auto port = static_cast<std::uint16_t>(2000 + flow);
            for (const auto& [begin, end] : {std::pair{0, 24}, {24, 48}, {48, 64}})
                pieces.push_back(piece(port, flow, static_cast<std::size_t>(begin),
                                       static_cast<std::size_t>(end)));
        }
        // Some ten datagrams at a time, in any order.
        for (auto part = pieces.begin(); part != pieces.end(); part += 30)
            std::shuffle(part, part + 30, random);
        const std::uint64_t before = rig.sums().sent;
        for (const Bytes& one : pieces) {
            rig.receive(0, one);
            if (random() % 7 == 0) rig.settle();
        }
        rig.settle();
        const Ways ways = ways_of(rig.sent());
        CHECK(rig.sums().sent - before == pieces.size());
        REQUIRE(ways.size() == flows);
        for (std::uint16_t flow = 0; flow < flows; ++flow)
            CHECK(ways.at(flow) == std::vector<Bytes>(3, whole[flow]));
        std::size_t entries = 0;  // one a flow, at its owner
        for (const auto& lcore : rig.engine->lcores())
            entries += lcore->flows ? lcore->flows->size() : 0;
        CHECK(entries == flows);
        const Rig::Sums sums = rig.sums();
        CHECK(sums.received == sums.sent + sums.punted + sums.dropped);
        CHECK(sums.handed_over == sums.handed_in);
    }
}

TEST_CASE("loops: fragments that wait are dropped after a second, and freed at the end",
          "[dpdk][loops][fragments]") {
    for (const Shape& shape : shapes) {
        INFO(shape.name);
        Rig rig(shape.options);
        rig.settle();
        const unsigned before = rig.pool.in_use();  // the exception path's spare
        for (std::uint16_t flow = 0; flow < 50; ++flow)
            rig.receive(0, piece(static_cast<std::uint16_t>(2000 + flow), flow, 24, 64));
        rig.settle();
        CHECK(rig.sums().dropped == 0);
        CHECK(rig.pool.in_use() == before + 50);
        for (std::uint32_t i = 0; i <= FragmentTable::timeout + 64; ++i) {
            rig.now = rig.now + 1;
            rig.turn_lcores();
        }
        CHECK(rig.dropped(DropReason::fragment) == 50);
        CHECK(rig.pool.in_use() == before);
        rig.receive(0, piece(2000, 99, 24, 64));
        rig.settle();
        CHECK(rig.pool.in_use() == before + 1);
        rig.engine.reset();
        CHECK(rig.pool.in_use() == 0);
    }
}
