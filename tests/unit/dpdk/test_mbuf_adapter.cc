// SPDX-License-Identifier: BSD-3-Clause
#include <numeric>
#include <random>

#include <catch2/catch.hpp>

#include "lib/dpdk/mbuf_adapter.hh"
#include "tests/unit/dpdk/loops_support.hh"

using namespace weir;
using namespace weir::test;

namespace {

Bytes counting(std::size_t length) {
    Bytes bytes(length);
    std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
    return bytes;
}

std::vector<Bytes> split(const Bytes& bytes, const std::vector<std::size_t>& lengths) {
    std::vector<Bytes> parts;
    std::size_t at = 0;
    for (const std::size_t length : lengths) {
        parts.emplace_back(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                           bytes.begin() + static_cast<std::ptrdiff_t>(at + length));
        at += length;
    }
    return parts;
}

}  // namespace

TEST_CASE("adapter: a plain mbuf stays the same and is seen as it is", "[dpdk][adapter]") {
    Pool pool(63);
    rte_mbuf* mbuf = pool.make(counting(60));
    mbuf->ol_flags = RTE_MBUF_F_RX_IP_CKSUM_BAD;
    const Prepared prepared = prepare(mbuf, pool.pool);
    REQUIRE(prepared.ok);
    CHECK(prepared.mbuf == mbuf);
    mbuf->port = 3;
    const Packet packet = to_packet(*mbuf);
    CHECK(packet.data == rte_pktmbuf_mtod(mbuf, std::uint8_t*));
    CHECK(packet.contiguous == 60);
    CHECK(packet.length == 60);
    CHECK(packet.headroom == RTE_PKTMBUF_HEADROOM);
    CHECK(packet.port == PortId{3});
    CHECK(packet.ip_checksum == NicChecksum::bad);
    mbuf->ol_flags = RTE_MBUF_F_RX_IP_CKSUM_GOOD;
    CHECK(to_packet(*mbuf).ip_checksum == NicChecksum::good);
    mbuf->ol_flags = RTE_MBUF_F_RX_IP_CKSUM_NONE;
    CHECK(to_packet(*mbuf).ip_checksum == NicChecksum::unknown);
    mbuf->ol_flags = 0;
    CHECK(to_packet(*mbuf).ip_checksum == NicChecksum::unknown);
    rte_pktmbuf_free(mbuf);
    CHECK(pool.in_use() == 0);
}

TEST_CASE("adapter: headers come together however the frame is split",
          "[dpdk][adapter][property][fault-11]") {
    Pool pool(2047);
    std::mt19937 random(2);
    for (int round = 0; round < 300; ++round) {
        const std::size_t length = 1 + random() % 1800;
        const Bytes frame = counting(length);
        std::vector<std::size_t> parts;
        const std::size_t largest = round % 3 == 0 ? 1 : 1 + random() % 200;
        for (std::size_t left = length; left > 0;) {
            const std::size_t part = std::min(left, 1 + random() % largest);
            parts.push_back(part);
            left -= part;
        }
        rte_mbuf* mbuf = pool.make_chain(split(frame, parts));
        const Prepared prepared = prepare(mbuf, pool.pool);
        REQUIRE(prepared.ok);
        CHECK(prepared.mbuf == mbuf);  // there was room: nothing was copied
        CHECK(prepared.mbuf->data_len >= std::min<std::size_t>(length, max_header_bytes));
        REQUIRE(test::bytes_of(prepared.mbuf) == frame);
        CHECK(rte_mbuf_check(prepared.mbuf, 1, nullptr) == 0);
        rte_pktmbuf_free(prepared.mbuf);
        REQUIRE(pool.in_use() == 0);
    }
}

TEST_CASE("adapter: a first segment too small for the headers is copied", "[dpdk][adapter]") {
    Pool small(63, RTE_PKTMBUF_HEADROOM + 32);
    Pool large(63);
    const Bytes frame = counting(200);
    rte_mbuf* mbuf = small.make_chain(split(frame, {32, 32, 32, 32, 32, 32, 8}));
    const Prepared prepared = prepare(mbuf, large.pool);
    REQUIRE(prepared.ok);
    CHECK(prepared.mbuf->pool == large.pool);
    CHECK(prepared.mbuf->nb_segs == 1);
    CHECK(test::bytes_of(prepared.mbuf) == frame);
    CHECK(small.in_use() == 0);
    rte_pktmbuf_free(prepared.mbuf);
}

TEST_CASE("adapter: lengths that contradict the segments are l2_truncated",
          "[dpdk][adapter][fault-10]") {
    Pool pool(63);
    const auto refuses = [&pool](rte_mbuf* mbuf) {
        const Prepared prepared = prepare(mbuf, pool.pool);
        const bool refused = !prepared.ok && prepared.reason == DropReason::l2_truncated;
        rte_pktmbuf_free(prepared.mbuf);
        return refused;
    };
    rte_mbuf* mbuf = pool.make(counting(60));
    mbuf->pkt_len = 61;
    CHECK(refuses(mbuf));
    mbuf = pool.make_chain({counting(20), counting(40)});
    mbuf->pkt_len = 59;
    CHECK(refuses(mbuf));
    mbuf = pool.make_chain({counting(20), counting(40)});
    mbuf->nb_segs = 3;
    CHECK(refuses(mbuf));
    mbuf = pool.make_chain({counting(20), counting(40)});
    mbuf->next->data_len = static_cast<std::uint16_t>(mbuf->next->buf_len);
    mbuf->pkt_len = 20U + mbuf->next->data_len;
    CHECK(refuses(mbuf));
    CHECK(pool.in_use() == 0);
}

TEST_CASE("adapter: what others can see is copied before it is written",
          "[dpdk][adapter][fault-12]") {
    Pool pool(63);
    const Bytes frame = counting(100);
    SECTION("a second reference") {
        rte_mbuf* mbuf = pool.make(frame);
        rte_mbuf_refcnt_update(mbuf, 1);
        const Prepared prepared = prepare(mbuf, pool.pool);
        REQUIRE(prepared.ok);
        REQUIRE(prepared.mbuf != mbuf);
        rte_pktmbuf_mtod(prepared.mbuf, std::uint8_t*)[0] = 0xff;
        CHECK(test::bytes_of(mbuf) == frame);
        rte_pktmbuf_free(prepared.mbuf);
        rte_pktmbuf_free(mbuf);
    }
    SECTION("a clone, and the one that it was cloned from") {
        rte_mbuf* mbuf = pool.make(frame);
        rte_mbuf* clone = rte_pktmbuf_clone(mbuf, pool.pool);
        const Prepared first = prepare(clone, pool.pool);
        REQUIRE(first.ok);
        CHECK(RTE_MBUF_DIRECT(first.mbuf));
        CHECK(test::bytes_of(first.mbuf) == frame);
        const Prepared second = prepare(mbuf, pool.pool);
        CHECK(second.mbuf == mbuf);  // alone again
        rte_pktmbuf_free(first.mbuf);
        rte_pktmbuf_free(second.mbuf);
    }
    SECTION("a shared second segment") {
        rte_mbuf* mbuf = pool.make_chain({counting(10), counting(500)});
        rte_mbuf* tail = mbuf->next;
        rte_mbuf_refcnt_update(tail, 1);
        const Bytes before = test::bytes_of(tail);
        const Prepared prepared = prepare(mbuf, pool.pool);
        REQUIRE(prepared.ok);
        CHECK(test::bytes_of(tail) == before);
        rte_pktmbuf_free(prepared.mbuf);
        rte_pktmbuf_free(tail);
    }
    SECTION("no mbuf left to copy to") {
        Pool empty(1);
        rte_mbuf* taken = rte_pktmbuf_alloc(empty.pool);
        rte_mbuf* mbuf = pool.make(frame);
        rte_mbuf_refcnt_update(mbuf, 1);
        const Prepared prepared = prepare(mbuf, empty.pool);
        CHECK_FALSE(prepared.ok);
        CHECK(prepared.reason == DropReason::mbuf_exhausted);
        CHECK(prepared.mbuf == mbuf);
        rte_pktmbuf_free(mbuf);
        rte_pktmbuf_free(mbuf);
        rte_pktmbuf_free(taken);
    }
    CHECK(pool.in_use() == 0);
}

TEST_CASE("adapter: a VLAN tag that the NIC took off is put back", "[dpdk][adapter]") {
    Pool pool(63);
    const Bytes frame = counting(60);
    rte_mbuf* mbuf = pool.make(frame);
    mbuf->ol_flags = RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
    mbuf->vlan_tci = 0x2064;
    const Prepared prepared = prepare(mbuf, pool.pool);
    REQUIRE(prepared.ok);
    Bytes expected(frame.begin(), frame.begin() + 12);
    expected = expected + Bytes{0x81, 0x00, 0x20, 0x64} + Bytes(frame.begin() + 12, frame.end());
    CHECK(test::bytes_of(prepared.mbuf) == expected);
    CHECK(prepared.mbuf->pkt_len == 64);
    rte_pktmbuf_free(prepared.mbuf);
}

TEST_CASE("adapter: what process() moved, grew or cut is written back", "[dpdk][adapter]") {
    Pool pool(63);
    const Bytes frame = counting(1000);
    const std::vector<std::vector<std::size_t>> splits{{1000}, {400, 300, 300}, {400, 599, 1}};
    for (const auto& parts : splits) {
        for (const int front : {0, 20, -4}) {
            for (const std::uint32_t cut : {0U, 1U, 301U, 620U}) {
                rte_mbuf* mbuf = pool.make_chain(split(frame, parts));
                mbuf->ol_flags = RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_TX_IP_CKSUM;
                Packet packet = to_packet(*mbuf);
                packet.length -= cut;
                packet.contiguous = std::min(packet.contiguous, packet.length);
                packet.data -= front;
                packet.length += static_cast<std::uint32_t>(front);
                for (int i = 0; i < front; ++i)
                    packet.data[i] = 0xee;
                write_back(mbuf, packet);

                Bytes expected = filled(front > 0 ? static_cast<std::size_t>(front) : 0, 0xee) +
                                 Bytes(frame.begin() + (front < 0 ? -front : 0),
                                       frame.end() - static_cast<std::ptrdiff_t>(cut));
                CHECK(test::bytes_of(mbuf) == expected);
                CHECK(rte_mbuf_check(mbuf, 1, nullptr) == 0);
                CHECK(mbuf->ol_flags == 0);
                rte_pktmbuf_free(mbuf);
                REQUIRE(pool.in_use() == 0);
            }
        }
    }
}
