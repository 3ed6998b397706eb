// SPDX-License-Identifier: BSD-3-Clause
// Packets that leave in fragments, through data planes of every shape.
#include <algorithm>
#include <map>
#include <set>

#include <catch2/catch.hpp>

#include "tests/unit/dpdk/loops_support.hh"

using namespace weir;
using namespace weir::test;

namespace {

// One that lan0, of MTU 1500, has to cut; its client has no id for it.
Bytes long_frame(std::uint16_t source_port, std::size_t size, std::uint16_t id = 0) {
    return Ethernet{.destination = "02:00:00:00:00:05", .source = "02:00:00:00:00:c1"} /
           (Ip4{.destination = "203.0.113.10", .id = id, .fragment = 0} /
            (Tcp{.source = source_port} / filled(size - 40)));
}

std::uint16_t word(const Bytes& frame, std::size_t at) {
    return static_cast<std::uint16_t>(frame.at(at) << 8 | frame.at(at + 1));
}

// What a receiver puts together of fragments in their order (tags: of lan0); empty when they do
// not fit each other.
Bytes reassembled(const std::vector<Bytes>& frames, std::size_t link) {
    Bytes payload;
    for (const Bytes& frame : frames) {
        const std::uint16_t fragment = word(frame, link + 6);
        const bool last = &frame == &frames.back();
        const bool fits = (fragment & 0x1fff) * std::size_t{8} == payload.size() &&
                          ((fragment & 0x2000) == 0) == last &&
                          word(frame, link + 2) == frame.size() - link &&
                          internet_checksum(cut(frame, link, link + 20)) == 0;
        if (!fits) return {};
        payload = payload + cut(frame, link + 20, frame.size());
    }
    return payload;
}

}  // namespace

TEST_CASE("loops: too long packets leave in fragments, and the counters say so",
          "[dpdk][loops][pieces][fault-20]") {
    for (const Shape& shape : shapes) {
        INFO(shape.name);
        Rig rig(shape.options);
        constexpr unsigned count = 60;
        std::map<std::uint16_t, Bytes> segments;  // by source port
        for (unsigned i = 0; i < count; ++i) {
            const auto port = static_cast<std::uint16_t>(3000 + i);
            const Bytes frame = long_frame(port, 1501 + i * 9 % 500);
            segments[port] = cut(frame, 34, frame.size());
            rig.receive(0, frame);
            rig.receive(0, client_frame(port));
        }
        rig.settle();
        std::map<std::uint16_t, std::vector<Bytes>> by_id;
        for (const Rig::Sent& one : rig.sent()) {
            REQUIRE(one.port == 1);
            REQUIRE(one.frame.size() <= 1514);
            if ((word(one.frame, 20) & 0x3fff) != 0)
                by_id[word(one.frame, 18)].push_back(one.frame);
        }
        CHECK(by_id.size() == count);
        for (const auto& [id, frames] : by_id) {
            REQUIRE(frames.size() == 2);
            CHECK(reassembled(frames, 14) == segments.at(word(frames[0], 34)));
        }
        const Rig::Sums sums = rig.sums();
        CHECK(sums.fragmented == count);
        CHECK(sums.sent == 2 * count);
        CHECK(sums.injected == count);
        CHECK(sums.received == sums.sent + sums.punted + sums.dropped);
        CHECK(rig.pool.in_use() == 1);  // the exception path's spare
    }
}

TEST_CASE("loops: a chain of segments, a tag, and many fragments", "[dpdk][loops][pieces]") {
    Rig rig({.lan_vlan = 100});
    const Bytes frame = long_frame(3000, 5700, 0x4711);
    std::vector<Bytes> segments;
    for (std::size_t at = 0; at < frame.size(); at += 700)
        segments.push_back(cut(frame, at, std::min(at + 700, frame.size())));
    REQUIRE(rig.ports[0]->put(0, rig.pool.make_chain(segments)));
    rig.settle();
    std::vector<Bytes> frames;
    for (const Rig::Sent& one : rig.sent()) {
        CHECK(cut(one.frame, 12, 18) == Bytes{0x81, 0x00, 0, 100, 0x08, 0x00});
        CHECK(one.frame.size() <= 1518);
        CHECK(word(one.frame, 22) == 0x4711);
        frames.push_back(one.frame);
    }
    CHECK(frames.size() == 4);
    CHECK(reassembled(frames, 18) == cut(frame, 34, frame.size()));
    CHECK(rig.pool.in_use() == 1);
}

TEST_CASE("loops: without mbufs for all fragments none leaves", "[dpdk][loops][pieces]") {
    Rig rig({});
    const Bytes frame = long_frame(3000, 5000);
    const auto chain = [&] {
        return rig.pool.make_chain(
            {cut(frame, 0, 2000), cut(frame, 2000, 4000), cut(frame, 4000, frame.size())});
    };
    REQUIRE(rig.ports[0]->put(0, chain()));
    std::vector<rte_mbuf*> taken;
    for (rte_mbuf* one = rte_pktmbuf_alloc(rig.pool.pool); one != nullptr;
         one = rte_pktmbuf_alloc(rig.pool.pool))
        taken.push_back(one);
    for (int i = 0; i < 2; ++i) {  // of three
        rte_pktmbuf_free(taken.back());
        taken.pop_back();
    }
    rig.settle();
    CHECK(rig.sent().empty());
    CHECK(rig.dropped(DropReason::mbuf_exhausted) == 1);
    CHECK(rig.sums().fragmented == 0);
    rte_pktmbuf_free_bulk(taken.data(), static_cast<unsigned>(taken.size()));
    CHECK(rig.pool.in_use() == 1);
    REQUIRE(rig.ports[0]->put(0, chain()));
    rig.settle();
    CHECK(rig.sent().size() == 4);
}

TEST_CASE("loops: with DF nothing is cut, and the sender is told", "[dpdk][loops][pieces]") {
    Rig rig({});
    Bytes frame = Ethernet{.destination = "02:00:00:00:00:05", .source = "02:00:00:00:00:c1"} /
                  (Ip4{.destination = "203.0.113.10", .fragment = 0x4000} /
                   (Tcp{.source = 3000} / filled(1461)));
    rig.receive(0, frame);
    rig.settle();
    const auto sent = rig.sent();
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].port == 0);
    CHECK(rig.dropped(DropReason::too_big) == 1);
    CHECK(rig.sums().fragmented == 0);
}
