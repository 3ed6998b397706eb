// SPDX-License-Identifier: BSD-3-Clause
// Packets through whole data planes of every shape, by hand on one thread.
#include <algorithm>
#include <map>
#include <random>
#include <set>

#include <catch2/catch.hpp>

#include "lib/dpdk/mbuf_adapter.hh"
#include "tests/unit/dpdk/loops_support.hh"

using namespace weir;
using namespace weir::test;

namespace {

// Frames of every kind, of which the fixed seed decides; punts stay below their limits.
std::vector<Bytes> mixed_traffic(unsigned count, unsigned seed) {
    std::mt19937 random(seed);
    std::vector<Bytes> frames;
    unsigned punts = 0;
    for (unsigned i = 0; i < count; ++i) {
        const auto port = static_cast<std::uint16_t>(1024 + random() % 500);
        const auto kind = static_cast<unsigned>(random() % 20);
        if (kind < 11) {
            frames.push_back(client_frame(port, random() % 4 == 0 ? 0x02 : 0x10));
        } else if (kind == 11) {
            frames.push_back(client_frame(port, 0x03));  // SYN+FIN
        } else if (kind == 12 && punts++ < 80) {
            frames.push_back(arp_frame());
        } else if (kind == 13 && punts++ < 80) {
            frames.push_back(ping_frame());
        } else if (kind == 14) {  // to our own address
            frames.push_back(Ethernet{"02:00:00:00:00:05", "02:00:00:00:00:c1"} /
                             (Ip4{.destination = "198.51.100.5"} /
                              (Tcp{.source = port, .destination = 22} / filled(4))));
        } else if (kind == 15) {  // a port of the VIP without service
            frames.push_back(Ethernet{"02:00:00:00:00:05", "02:00:00:00:00:c1"} /
                             (Ip4{.destination = "203.0.113.10", .protocol = 17} /
                              (Udp{.source = port} / filled(8))));
        } else if (kind == 16) {
            Bytes junk = client_frame(port);
            junk[random() % junk.size()] ^= static_cast<std::uint8_t>(1 + random() % 255);
            frames.push_back(junk);
        } else {
            Bytes junk(1 + random() % 300);
            for (std::uint8_t& byte : junk)
                byte = static_cast<std::uint8_t>(random());
            frames.push_back(junk);
        }
    }
    return frames;
}

std::multiset<std::pair<unsigned, Bytes>> frames_by_port(const std::vector<Rig::Sent>& sent) {
    std::multiset<std::pair<unsigned, Bytes>> result;
    for (const Rig::Sent& frame : sent)
        result.emplace(frame.port, frame.frame);
    return result;
}

void check_balance(const Rig& rig) {
    const Rig::Sums sums = rig.sums();
    CHECK(sums.received == sums.sent + sums.punted + sums.dropped);
    CHECK(sums.handed_over == sums.handed_in);
}

}  // namespace

TEST_CASE("loops: a packet leaves in the mbuf in which it came", "[dpdk][loops]") {
    for (const Shape& shape : shapes) {
        INFO(shape.name);
        Rig rig(shape.options);
        rte_mbuf* mbuf = rig.pool.make(client_frame(5000));
        const auto* bytes = rte_pktmbuf_mtod(mbuf, const std::uint8_t*);
        REQUIRE(rig.ports[0]->put(0, mbuf));
        rig.settle();
        rte_mbuf* out = nullptr;
        for (unsigned queue = 0; queue < shape.options.tx_queues && out == nullptr; ++queue)
            out = rig.ports[1]->take(queue);
        REQUIRE(out == mbuf);
        CHECK(rte_pktmbuf_mtod(out, const std::uint8_t*) == bytes);
        rte_pktmbuf_free(out);
    }
}

TEST_CASE("loops: the frame leaves as the pipeline made it, also when it grew", "[dpdk][loops]") {
    Rig rig({.lan_vlan = 100});
    const Bytes frame = client_frame(5000);
    const Bytes ip(frame.begin() + 14, frame.end());
    for (const bool chain : {false, true}) {
        rte_mbuf* mbuf = chain ? rig.pool.make_chain({Bytes(frame.begin(), frame.begin() + 40),
                                                      Bytes(frame.begin() + 40, frame.end())})
                               : rig.pool.make(frame);
        REQUIRE(rig.ports[0]->put(0, mbuf));
        rig.settle();
        const auto sent = rig.sent();
        REQUIRE(sent.size() == 1);
        CHECK(Bytes(sent[0].frame.begin() + 6, sent[0].frame.end()) ==
              Bytes(lan_mac.begin(), lan_mac.end()) + Bytes{0x81, 0x00, 0, 100, 0x08, 0x00} + ip);
    }
}

TEST_CASE("loops: every shape of data plane decides alike and loses nothing",
          "[dpdk][loops][property]") {
    const std::vector<Bytes> traffic = mixed_traffic(3000, 4);
    std::multiset<std::pair<unsigned, Bytes>> expected_frames;
    std::multiset<Bytes> expected_kernel;
    Rig::Sums expected;
    for (const Shape& shape : shapes) {
        INFO(shape.name);
        Rig rig(shape.options);
        std::multiset<std::pair<unsigned, Bytes>> frames;
        std::multiset<Bytes> kernel;
        unsigned queue = 0;
        for (std::size_t i = 0; i < traffic.size(); ++i) {
            rig.receive(0, traffic[i], queue++ % shape.options.rx_queues);
            if (i % 97 != 96 && i + 1 != traffic.size()) continue;
            rig.now = rig.now + 10;
            rig.settle();
            frames.merge(frames_by_port(rig.sent()));
            for (const unsigned port : {0U, 1U})
                for (Bytes& frame : rig.kernel_got(port))
                    kernel.insert(frame);
        }
        const Rig::Sums sums = rig.sums();
        CHECK(sums.received == traffic.size());
        CHECK(frames.size() == sums.sent);
        CHECK(kernel.size() == sums.punted);
        CHECK(sums.dropped_by_reason[static_cast<std::size_t>(DropReason::punt_limited)] == 0);
        check_balance(rig);
        CHECK(rig.pool.in_use() == 1);  // the exception path's spare
        if (&shape == &shapes.front()) {
            expected_frames = frames;
            expected_kernel = kernel;
            expected = sums;
            CHECK(sums.sent > 1000);
            CHECK(sums.dropped > 300);
            CHECK(sums.punted > 100);
            continue;
        }
        CHECK(frames == expected_frames);
        CHECK(kernel == expected_kernel);
        CHECK(sums.dropped_by_reason == expected.dropped_by_reason);
        CHECK(sums.punted_by_class == expected.punted_by_class);
    }
}

TEST_CASE("loops: counters balance when every ring and queue is too small",
          "[dpdk][loops][property][fault-27]") {
    for (const Shape& shape : shapes) {
        INFO(shape.name);
        RigOptions options = shape.options;
        options.handover_slots = 16;
        options.punt_slots = 4;
        options.tx_slots = 8;
        options.nic_slots = 64;
        options.flow_entries = 64;
        Rig rig(options);
        std::uint64_t left_by_nic = 0;
        std::mt19937 random(9);
        for (const Bytes& frame : mixed_traffic(4000, 5)) {
            rte_mbuf* mbuf = rig.pool.make(frame);
            const auto queue = static_cast<unsigned>(random() % options.rx_queues);
            if (!rig.ports[0]->put(queue, mbuf)) rte_pktmbuf_free(mbuf);
            if (random() % 3 == 0) rig.kernel_sends(1, arp_frame());
            if (random() % 40 == 0) rig.turn_lcores();
            if (random() % 400 == 0) {  // the NIC sends and control runs only now and then
                left_by_nic += rig.sent().size();
                rig.settle();
                (void)rig.kernel_got(0);
                (void)rig.kernel_got(1);
            }
        }
        rig.settle();
        left_by_nic += rig.sent().size();
        const Rig::Sums sums = rig.sums();
        CHECK(sums.received > 1000);
        CHECK(sums.sent + sums.injected == left_by_nic);
        CHECK(rig.dropped(DropReason::tx_full) > 0);
        CHECK(rig.dropped(DropReason::punt_limited) > 0);
        CHECK(rig.engine->tx_full(PortId{1}) >= rig.dropped(DropReason::tx_full));
        check_balance(rig);
        CHECK(rig.pool.in_use() <= 1);
    }
}

TEST_CASE("loops: an owner that does not keep up costs ring_full and nothing else",
          "[dpdk][loops][fault-27]") {
    Rig rig({.workers = 2, .handover_slots = 64});
    for (std::uint16_t port = 0; port < 1000; ++port) {
        rig.receive(0, client_frame(static_cast<std::uint16_t>(1024 + port)));
        if (port % 32 == 31) rig.lcore(0).loop->turn(*rig.tables, rig.now);  // worker 1 is held up
    }
    rig.lcore(0).loop->turn(*rig.tables, rig.now);
    const std::uint64_t own = rig.lcore(0).loop->counters().sent.read();
    CHECK(own > 400);
    CHECK(own < 600);
    CHECK(rig.dropped(DropReason::ring_full) == 1000 - own - 63);
    rig.settle();
    CHECK(rig.sums().sent == own + 63);
    check_balance(rig);
}

TEST_CASE("loops: two workers with one RX queue share the flows, each with one owner",
          "[dpdk][loops][fault-25]") {
    Rig rig({.workers = 2});
    constexpr unsigned flows = 400, rounds = 5;
    std::map<std::uint16_t, std::set<unsigned>> queues_of_flow;
    for (unsigned round = 0; round < rounds; ++round) {
        for (unsigned flow = 0; flow < flows; ++flow)
            rig.receive(0, client_frame(static_cast<std::uint16_t>(2000 + flow)));
        rig.settle();
        for (const Rig::Sent& sent : rig.sent()) {
            const auto port = static_cast<std::uint16_t>(sent.frame[34] << 8 | sent.frame[35]);
            queues_of_flow[port].insert(sent.queue);  // a queue stands for a worker
        }
    }
    CHECK(queues_of_flow.size() == flows);
    for (const auto& [flow, queues] : queues_of_flow)
        CHECK(queues.size() == 1);
    const LcoreCounters& first = rig.lcore(0).loop->counters();
    const LcoreCounters& second = rig.lcore(1).loop->counters();
    CHECK(first.received.read() == flows * rounds);
    CHECK(second.received.read() == 0);
    CHECK(first.sent.read() > flows * rounds / 3);
    CHECK(second.sent.read() > flows * rounds / 3);
    CHECK(first.sent.read() + second.sent.read() == flows * rounds);
    rig.now = rig.now + 1;
    rig.settle();
    CHECK(first.flow_entries.read() + second.flow_entries.read() == flows);
}

TEST_CASE("loops: each RX queue is polled by one lcore", "[dpdk][loops]") {
    for (const Shape& shape : shapes) {
        INFO(shape.name);
        Rig rig(shape.options);
        const unsigned pollers =
            shape.options.rx_lcores != 0 ? shape.options.rx_lcores : shape.options.workers;
        for (unsigned i = 0; i < rig.engine->lcores().size(); ++i) {
            const LcorePlan& plan = rig.lcore(i).plan;
            const int poller = shape.options.rx_lcores != 0 ? plan.rx : plan.worker;
            for (unsigned queue = 0; queue < shape.options.rx_queues; ++queue)
                for (const unsigned port : {0U, 1U})
                    rig.receive(port, arp_frame(), queue);
            for (int turn = 0; turn < 8; ++turn)
                rig.lcore(i).loop->turn(*rig.tables, rig.now);
            for (unsigned queue = 0; queue < shape.options.rx_queues; ++queue) {
                const bool polls = poller >= 0 && queue % pollers == static_cast<unsigned>(poller);
                CHECK(rig.ports[0]->waiting(queue) == (polls ? 0 : 1));
                CHECK(rig.ports[1]->waiting(queue) == (polls ? 0 : 1));
            }
            rig.settle();
        }
    }
}

TEST_CASE("loops: rings exist only where packets can cross", "[dpdk][loops]") {
    const auto handover_rings = [](const RigOptions& options) {
        Rig rig(options);
        std::set<std::string> labels;
        for (const auto& ring : rig.engine->rings())
            if (ring->label().find("punt") == std::string::npos &&
                ring->label().find("-fragments-") == std::string::npos &&
                ring->label().find("-tx-") == std::string::npos)
                labels.insert(ring->label());
        return labels;
    };
    using Labels = std::set<std::string>;
    CHECK(handover_rings({}) == Labels{});
    CHECK(handover_rings({.workers = 2}) == Labels{"worker0-worker1"});
    CHECK(handover_rings({.workers = 2, .rx_queues = 2}) ==
          Labels{"worker0-worker1", "worker1-worker0"});
    CHECK(handover_rings({.rx_lcores = 1, .shared_cpu = true}) == Labels{"rx0-worker0"});
}

TEST_CASE("loops: three senders share the one TX queue of a port", "[dpdk][loops]") {
    Rig rig({.workers = 2, .rx_queues = 2, .tx_queues = 1});
    for (std::uint16_t flow = 0; flow < 100; ++flow)
        rig.receive(0, client_frame(static_cast<std::uint16_t>(2000 + flow)), flow % 2);
    for (int i = 0; i < 7; ++i)
        rig.kernel_sends(1, arp_frame());
    rig.settle();
    const auto sent = rig.sent();
    CHECK(sent.size() == 107);
    CHECK(std::all_of(sent.begin(), sent.end(),
                      [](const Rig::Sent& s) { return s.port == 1 && s.queue == 0; }));
    const LcoreCounters& owner = rig.lcore(0).loop->counters();
    CHECK(owner.sent.read() == 100);
    CHECK(owner.injected.read() == 7);
    CHECK(rig.lcore(1).loop->counters().sent.read() == 0);
    CHECK(rig.engine->control_counters().injected.read() == 0);
    check_balance(rig);
}

TEST_CASE("loops: an answer counts as a drop and as injected, whoever sends it", "[dpdk][loops]") {
    for (const unsigned tx_queues : {1U, 2U}) {
        Rig rig({.workers = 2, .rx_queues = 2, .tx_queues = tx_queues});
        for (std::uint16_t flow = 0; flow < 40; ++flow) {
            Bytes frame = client_frame(static_cast<std::uint16_t>(2000 + flow));
            rig.receive(0, frame, flow % 2);
            frame[14 + 8] = 1;  // TTL
            frame[14 + 10] = frame[14 + 11] = 0;
            const std::uint16_t sum =
                internet_checksum(Bytes(frame.begin() + 14, frame.begin() + 34));
            frame[14 + 10] = static_cast<std::uint8_t>(sum >> 8);
            frame[14 + 11] = static_cast<std::uint8_t>(sum);
            rig.receive(0, frame, flow % 2);
        }
        rig.settle();
        const auto sent = rig.sent();
        CHECK(std::count_if(sent.begin(), sent.end(),
                            [](const Rig::Sent& s) { return s.port == 0; }) == 40);
        CHECK(sent.size() == 80);
        const Rig::Sums sums = rig.sums();
        CHECK(sums.sent == 40);
        CHECK(sums.injected == 40);
        CHECK(sums.icmp_errors_sent == std::array<std::uint64_t, icmp_error_type_count>{0, 40});
        CHECK(rig.dropped(DropReason::ttl_expired) == 40);
        check_balance(rig);
    }
}

TEST_CASE("tx: each queue has one owner, and all senders reach one", "[dpdk][tx][property]") {
    for (unsigned workers = 1; workers <= 9; ++workers) {
        for (unsigned queues = 1; queues <= 12; ++queues) {
            std::set<unsigned> owned;
            for (unsigned sender = 0; sender <= workers; ++sender) {
                const TxRoute route = tx_route(sender, workers, queues);
                if (route.owner) {
                    CHECK(route.queue < queues);
                    CHECK(owned.insert(route.queue).second);
                } else {
                    CHECK(route.via < workers);
                    CHECK(tx_route(route.via, workers, queues).owner);
                }
            }
        }
    }
}

TEST_CASE("loops: a header split over segments is decided as if it were whole",
          "[dpdk][loops][fault-11]") {
    for (const unsigned workers : {1U, 2U}) {
        Rig rig({.workers = workers});
        std::multiset<Bytes> whole, split;
        for (std::uint16_t flow = 0; flow < 60; ++flow) {
            rig.receive(0, client_frame(static_cast<std::uint16_t>(3000 + flow)));
            rig.settle();
            for (const auto& sent : rig.sent())
                whole.insert(sent.frame);
        }
        for (std::uint16_t flow = 0; flow < 60; ++flow) {
            std::vector<Bytes> parts;
            for (const std::uint8_t byte : client_frame(static_cast<std::uint16_t>(3000 + flow)))
                parts.push_back({byte});
            REQUIRE(rig.ports[0]->put(0, rig.pool.make_chain(parts)));
            rig.settle();
            for (const auto& sent : rig.sent())
                split.insert(sent.frame);
        }
        CHECK(whole.size() == 60);
        CHECK(split == whole);
        rig.now = rig.now + 1;
        rig.settle();
        std::uint64_t flows = 0;
        for (unsigned i = 0; i < workers; ++i)
            flows += rig.lcore(i).loop->counters().flow_entries.read();
        CHECK(flows == 60);
    }
}

TEST_CASE("loops: what is wrong with an mbuf is dropped by its name", "[dpdk][loops]") {
    Rig rig({});
    rte_mbuf* mbuf = rig.pool.make(client_frame(3000));
    mbuf->pkt_len += 1;
    REQUIRE(rig.ports[0]->put(0, mbuf));
    rig.receive(0, {1, 2, 3});
    rig.settle();
    CHECK(rig.dropped(DropReason::l2_truncated) == 2);
    check_balance(rig);
}

TEST_CASE("loops: housekeeping forgets expired flows within seconds, bounded a turn",
          "[dpdk][loops]") {
    Rig rig({.flow_entries = 100'000});
    for (std::uint16_t flow = 0; flow < 3000; ++flow)
        rig.receive(0, client_frame(static_cast<std::uint16_t>(2000 + flow), 0x02));
    rig.settle();
    rig.now = rig.now + 1;
    rig.settle();
    const LcoreCounters& counters = rig.lcore(0).loop->counters();
    REQUIRE(counters.flow_entries.read() == 3000);
    const TrafficCounters& service = rig.lcore(0).traffic->services[3];
    CHECK(service.active_flows.read() == 3000);
    CHECK(service.new_flows.read() == 3000);

    rig.now = rig.now + 31'000;  // a SYN alone lives 30 s
    unsigned most = 0;
    std::uint32_t before = rig.lcore(0).flows->size();
    for (int ms = 0; ms < 5000; ++ms) {
        rig.now = rig.now + 1;
        rig.turn_lcores();
        most = std::max(most, before - rig.lcore(0).flows->size());
        before = rig.lcore(0).flows->size();
    }
    CHECK(rig.lcore(0).flows->size() == 0);
    CHECK(counters.flow_entries.read() == 0);
    CHECK(service.active_flows.read() == 0);
    CHECK(most <= WorkerStep::portion(1'000'000));
}

TEST_CASE("loops: housekeeping comes in small portions, and in larger ones when it is late",
          "[dpdk][loops]") {
    for (const std::uint32_t due : {0u, 1u, 4u})
        CHECK(WorkerStep::portion(due) == due);
    CHECK(WorkerStep::portion(256) == 4);
    CHECK(WorkerStep::portion(1280) == 20);
    CHECK(WorkerStep::portion(1'000'000) == 32);
}

TEST_CASE("loops: the flow mailbox is answered by the worker", "[dpdk][loops]") {
    Rig rig({.workers = 2});
    for (std::uint16_t flow = 0; flow < 500; ++flow)
        rig.receive(0, client_frame(static_cast<std::uint16_t>(2000 + flow)));
    rig.settle();
    std::size_t found = 0;
    for (FlowMailbox* mailbox : rig.engine->flow_mailboxes()) {
        FlowDump dump;
        dump.entries.resize(1000);
        mailbox->post(&dump);
        FlowDump* answer = nullptr;
        for (int turn = 0; turn < 1000 && answer == nullptr; ++turn) {
            rig.turn_lcores();
            answer = mailbox->collect();
        }
        REQUIRE(answer == &dump);
        CHECK(dump.end);
        found += dump.filled;
    }
    CHECK(found == 500);
}
