// SPDX-License-Identifier: BSD-3-Clause
#include <catch2/catch.hpp>

#include "lib/dpdk/probe_tracker.hh"
#include "tests/unit/dpdk/loops_support.hh"

using namespace weir;
using namespace weir::test;

namespace {

constexpr const char* own_mac = "02:00:00:00:00:06";
constexpr const char* peer_mac = "02:00:00:00:01:0b";

Bytes probe_out(std::uint16_t local_port, std::uint8_t flags, std::uint16_t vlan = 0,
                const std::string& to = "10.0.0.11") {
    Ethernet ethernet{.destination = peer_mac, .source = own_mac};
    if (vlan != 0) ethernet.tags = {vlan};
    return ethernet / (Ip4{.source = "10.0.0.5", .destination = to} /
                       (Tcp{.source = local_port, .destination = 8080, .flags = flags} / Bytes{}));
}
Bytes probe_in(std::uint16_t local_port, std::uint8_t flags, std::uint16_t vlan = 0) {
    Ethernet ethernet{.destination = own_mac, .source = peer_mac};
    if (vlan != 0) ethernet.tags = {vlan};
    return ethernet / (Ip4{.source = "10.0.0.11", .destination = "10.0.0.5"} /
                       (Tcp{.source = 8080, .destination = local_port, .flags = flags} / Bytes{}));
}
ProbeFlow flow(std::uint16_t local_port) {
    return {*parse_ip("10.0.0.5"), *parse_ip("10.0.0.11"), local_port, 8080};
}
constexpr std::uint8_t syn = 0x02, ack = 0x10, syn_ack = 0x12;

}  // namespace

TEST_CASE("exception path: frames cross both ways; the tag comes off and on", "[dpdk][exception]") {
    const std::uint16_t vlan = GENERATE(std::uint16_t{0}, std::uint16_t{100});
    const unsigned tx_queues = GENERATE(1U, 4U);
    Rig rig({.tx_queues = tx_queues, .lan_vlan = vlan});

    rig.kernel_sends(1, probe_out(4000, syn));
    rig.settle();
    const auto sent = rig.sent();
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].port == 1);
    CHECK(sent[0].frame == probe_out(4000, syn, vlan));
    CHECK(rig.sums().injected == 1);
    CHECK(rig.sums().sent == 0);

    rig.receive(1, probe_in(4000, syn_ack, vlan));
    rig.settle();
    const auto got = rig.kernel_got(1);
    REQUIRE(got.size() == 1);
    CHECK(got[0] == probe_in(4000, syn_ack));
    CHECK(rig.kernel_got(0).empty());
    CHECK(rig.sums().punted_by_class[static_cast<std::size_t>(PuntClass::probe_reply)] == 1);

    const auto& counts = rig.engine->exception_path().counts(PortId{1});
    CHECK(counts.tap_to_port == 1);
    CHECK(counts.port_to_tap == 1);
    CHECK(counts.probe_out == 1);
    CHECK(counts.probe_in == 1);
    CHECK(counts.refused == 0);
    ProbeLedger& ledger = rig.engine->exception_path().ledger();
    const auto crossed = ledger.take(flow(4000));
    CHECK(crossed.out == 1);
    CHECK(crossed.in == 1);
    CHECK(ledger.take(flow(4000)).out == 0);  // forgotten
    CHECK(rig.engine->exception_path().counts(PortId{0}).port_to_tap == 0);
}

TEST_CASE("exception path: a punted chain reaches the kernel whole", "[dpdk][exception]") {
    Rig rig({});
    const Bytes head =
        Ethernet{.destination = "02:00:00:00:00:05", .source = "02:00:00:00:00:c1"} /
        (Ip4{.destination = "203.0.113.10", .protocol = 1} / icmp(8, 0, filled(1200)));
    rte_mbuf* chain = rig.pool.make_chain({Bytes(head.begin(), head.begin() + 400),
                                           Bytes(head.begin() + 400, head.begin() + 900),
                                           Bytes(head.begin() + 900, head.end())});
    REQUIRE(rig.ports[0]->put(0, chain));
    rig.settle();
    const auto got = rig.kernel_got(0);
    REQUIRE(got.size() == 1);
    CHECK(got[0] == head);
}

TEST_CASE("exception path: a turn is bounded, and the rest comes next", "[dpdk][exception]") {
    Rig rig({});
    for (int i = 0; i < 100; ++i)
        rig.kernel_sends(0, arp_frame());
    CHECK(rig.engine->exception_path().run(*rig.tables, rig.now) == ExceptionPath::frames_per_turn);
    rig.settle();
    CHECK(rig.sent().size() == 100);
}

TEST_CASE("exception path: what cannot be sent is refused and counted", "[dpdk][exception]") {
    Rig rig({});
    rig.kernel_sends(0, {1, 2, 3});
    rig.kernel_sends(0, filled(4000));  // longer than an mbuf
    rig.settle();
    CHECK(rig.sent().empty());
    CHECK(rig.engine->exception_path().counts(PortId{0}).refused == 2);
    CHECK(rig.engine->exception_path().counts(PortId{0}).tap_to_port == 0);
}

TEST_CASE("probes: only what our kernel opened to a watched peer counts", "[dpdk][exception]") {
    const auto tables = make_tables();
    ProbeTracker tracker;
    const auto out = [&](const Bytes& frame, std::uint32_t at = 0) {
        return tracker.saw_out(frame, static_cast<std::uint32_t>(frame.size()), tables->index,
                               Tick{1000 + at});
    };
    const auto in = [&](const Bytes& frame) {
        return tracker.saw_in(frame, static_cast<std::uint32_t>(frame.size()));
    };
    CHECK_FALSE(in(probe_in(4000, syn_ack)));                // nobody asked
    CHECK_FALSE(out(probe_out(4000, ack)));                  // not the beginning
    CHECK_FALSE(out(probe_out(4000, syn, 0, "10.0.0.12")));  // not watched
    CHECK_FALSE(out(arp_frame()));
    CHECK(tracker.size() == 0);

    CHECK(out(probe_out(4000, syn)));
    CHECK(in(probe_in(4000, syn_ack)));
    CHECK(out(probe_out(4000, ack)));
    CHECK(out(probe_out(4001, syn), 30'000));
    CHECK_FALSE(in(probe_in(4002, syn_ack)));
    const auto crossed = tracker.take(flow(4000));
    CHECK(crossed.out == 2);
    CHECK(crossed.in == 1);

    // The same connection again, opened later: the old entry's age is not the new one's.
    CHECK(out(probe_out(4000, syn), 40'000));
    tracker.expire(Tick{1000 + 60'001});
    CHECK(tracker.size() == 2);
    tracker.expire(Tick{1000 + 90'001});
    CHECK(tracker.size() == 1);
    tracker.expire(Tick{1000 + 100'001});
    CHECK(tracker.size() == 0);
}

TEST_CASE("probes: the memory is bounded", "[dpdk][exception]") {
    const auto tables = make_tables();
    ProbeTracker tracker;
    for (unsigned round = 0; round < 3; ++round)
        for (unsigned port = 0; port < 65'536; ++port) {
            Bytes frame = probe_out(1, syn);
            frame[29] = static_cast<std::uint8_t>(5 + round);  // our address: 10.0.0.5, .6, .7
            frame[34] = static_cast<std::uint8_t>(port >> 8);
            frame[35] = static_cast<std::uint8_t>(port);
            tracker.saw_out(frame, static_cast<std::uint32_t>(frame.size()), tables->index,
                            Tick{1000});
        }
    CHECK(tracker.size() == ProbeTracker::max_flows);
    CHECK(tracker.take(flow(9)).out == 0);  // the oldest went
}
