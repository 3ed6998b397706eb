// SPDX-License-Identifier: BSD-3-Clause
// ICMP errors of our own: how many, and what becomes of the bytes. Which packets get one is told by
// the packet cases.
#include <random>

#include <catch2/catch.hpp>

#include "lib/dataplane/answer.hh"
#include "lib/wire/icmp.hh"
#include "tests/unit/dataplane/fixture.hh"

using namespace weir;
using namespace weir::test;

namespace {

Bytes expired_frame(std::size_t data = 20) {
    return Ethernet{.destination = "02:00:00:00:00:05", .source = "02:00:00:00:00:c1"} /
           (Ip4{.destination = "203.0.113.10", .ttl = 1} / (Tcp{.source = 1000} / filled(data)));
}

unsigned answers(Worker1& worker, const Tables& tables, unsigned packets, Tick now) {
    unsigned count = 0;
    for (unsigned i = 0; i < packets; ++i) {
        const Verdict verdict = worker.run(tables, expired_frame(), now);
        REQUIRE(!verdict.is_sent());
        REQUIRE(verdict.reason == DropReason::ttl_expired);
        count += verdict.action == Action::answer ? 1 : 0;
    }
    return count;
}

}  // namespace

TEST_CASE("answer: no more than the configured rate, which a reload may change",
          "[dataplane][icmp]") {
    World1 world(2);
    Worker1 worker;
    world.tables.icmp_errors_per_second = 1'000;
    CHECK(answers(worker, world.tables, 500, Tick{1000}) == 50);
    CHECK(answers(worker, world.tables, 500, Tick{1020}) == 20);
    CHECK(answers(worker, world.tables, 500, Tick{9000}) == 50);
    world.tables.icmp_errors_per_second = 10;
    CHECK(answers(worker, world.tables, 500, Tick{9001}) == 10);
    CHECK(answers(worker, world.tables, 500, Tick{9101}) == 1);
    world.tables.icmp_errors_per_second = 0;
    CHECK(answers(worker, world.tables, 500, Tick{90'000}) == 0);
    world.tables.icmp_errors_per_second = 1'000;
    CHECK(answers(worker, world.tables, 500, Tick{90'001}) == 50);
}

TEST_CASE("answer: what must not be answered costs no token", "[dataplane][icmp]") {
    World1 world(2);
    Worker1 worker;
    const Bytes later =
        Ethernet{.destination = "02:00:00:00:00:05", .source = "02:00:00:00:00:c1"} /
        (Ip4{.destination = "203.0.113.10", .ttl = 1, .fragment = 5} / filled(20));
    for (int i = 0; i < 1000; ++i)
        REQUIRE(worker.run(world.tables, later).action == Action::drop);
    CHECK(answers(worker, world.tables, 100, Tick{1000}) == 50);
}

TEST_CASE("answer: without room in front the packet is dropped as it is", "[dataplane][icmp]") {
    World1 world(2);
    Worker1 worker;
    // 20 + 8 bytes of headers.
    CHECK(worker.run(world.tables, expired_frame(), Tick{1000}, 27).action == Action::drop);
    CHECK(worker.sent == expired_frame());
    CHECK(worker.run(world.tables, expired_frame(), Tick{1000}, 28).action == Action::answer);
}

TEST_CASE("answer: an IPv6 sender is never told less than 1280 bytes", "[dataplane][icmp]") {
    const auto fits = [](std::uint16_t length, std::uint32_t mtu) {
        Bytes frame =
            Ethernet{
                .destination = "02:00:00:00:00:05", .source = "02:00:00:00:00:c1", .type = 0x86dd} /
            (Ip6{.destination = "2001:db8:443::10"} /
             (Tcp{} / filled(static_cast<std::size_t>(length) - 60)));
        frame.insert(frame.begin(), 128, 0);
        Packet packet{.data = frame.data() + 128,
                      .contiguous = static_cast<std::uint32_t>(frame.size() - 128),
                      .length = static_cast<std::uint32_t>(frame.size() - 128),
                      .headroom = 128};
        const Refusal refusal{.type = IcmpErrorType::too_big,
                              .family = Family::v6,
                              .l3_offset = 14,
                              .ip_length = length,
                              .mtu = mtu};
        if (!deserves_answer(packet, refusal)) return std::uint32_t{0};
        REQUIRE(make_answer(PortTable{}, refusal, packet));
        return reinterpret_cast<const be32*>(packet.data + 14 + 40 + 4)->host();
    };
    CHECK(fits(1500, 1460) == 1460);
    CHECK(fits(1461, 1280) == 1280);
    CHECK(fits(1281, 1240) == 1280);
    CHECK(fits(1280, 1240) == 0);  // nobody can send less: the outer packet would have to be cut
}

TEST_CASE("answer: our own reader finds it sound, and about the packet that it answers",
          "[dataplane][icmp][property]") {
    std::mt19937 random(42);
    World1 world(2);
    world.tables.icmp_errors_per_second = 1'000'000;
    Worker1 worker;
    for (int round = 0; round < 2000; ++round) {
        const Bytes frame = expired_frame(random() % 1460);
        REQUIRE(worker.run(world.tables, frame, Tick{1000}).action == Action::answer);
        const Parsed parsed =
            parse(worker.sent, static_cast<std::uint32_t>(worker.sent.size()), {});
        REQUIRE(parsed.l3 == L3Status::ip);
        REQUIRE(parsed.protocol == proto_icmp);
        REQUIRE(parsed.ip_length == std::min<std::size_t>(576, frame.size() - 14 + 28));
        REQUIRE(icmp_sum_is_good(worker.sent, parsed));
        const IcmpMessage message = read_icmp(worker.sent, parsed);
        REQUIRE(message.about_destination);
        REQUIRE(message.embedded.source_port == 1000);
        REQUIRE(std::equal(worker.sent.begin() + message.embedded_offset, worker.sent.end(),
                           frame.begin() + 14));
    }
}
