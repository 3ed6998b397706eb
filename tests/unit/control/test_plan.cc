// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <set>
#include <string>

#include <catch2/catch.hpp>

#include "lib/control/plan.hh"
#include "lib/dataplane/counters.hh"
#include "lib/flow/table.hh"
#include "tests/unit/control/config_fixture.hh"

namespace weir {

namespace {

Config two_ports() {
    ConfigResult result = parse_config(valid_config, "weir.toml");
    REQUIRE(result.config.has_value());
    return *std::move(result.config);
}

std::vector<std::string> ring_names(const Plan& plan) {
    std::vector<std::string> names;
    for (const RingPlan& ring : plan.rings)
        names.push_back(ring.name);
    return names;
}

bool has(const std::vector<std::string>& lines, std::string_view part) {
    return std::ranges::any_of(
        lines, [&](const std::string& line) { return line.find(part) != std::string::npos; });
}

std::uint64_t bytes_of(const Plan& plan, std::string_view purpose) {
    for (const MemoryItem& item : plan.memory) {
        if (item.purpose.find(purpose) != std::string::npos) return item.bytes;
    }
    FAIL("no memory item " << purpose);
    return 0;
}

}  // namespace

TEST_CASE("plan: control first, then RX lcores, then workers, numbers dense", "[plan]") {
    Config config = two_ports();
    config.system.control_lcore = 2;
    config.system.rx_lcores = {1, 7};
    config.system.worker_lcores = {7, 2, 5};
    const std::vector<LcorePlan> lcores = make_plan(config).lcores;
    REQUIRE(lcores.size() == 5);
    const auto is = [](const LcorePlan& lcore, unsigned number, unsigned cpu, bool control, int rx,
                       int worker) {
        return lcore.lcore == number && lcore.cpu == cpu && lcore.control == control &&
               lcore.rx == rx && lcore.worker == worker;
    };
    CHECK(is(lcores[0], 0, 2, true, -1, -1));
    CHECK(is(lcores[1], 1, 1, false, 0, -1));
    CHECK(is(lcores[2], 2, 7, false, 1, 0));   // takes turns
    CHECK(is(lcores[3], 3, 2, false, -1, 1));  // beside control: an lcore of its own
    CHECK(is(lcores[4], 4, 5, false, -1, 2));
    const std::vector<std::string> warnings = make_plan(config).warnings;
    CHECK(has(warnings, "CPU 2 runs control beside a polling lcore"));
    CHECK(has(warnings, "CPU 7 stands in rx_lcores and worker_lcores"));
}

TEST_CASE("plan: queues follow pollers and senders, and the key caps both", "[plan]") {
    Config config = two_ports();
    CHECK(make_plan(config).ports[0].rx_queues == 2);  // workers poll
    CHECK(make_plan(config).ports[0].tx_queues == 3);  // workers and control send
    config.system.rx_lcores = {3};
    CHECK(make_plan(config).ports[0].rx_queues == 1);
    CHECK(make_plan(config).ports[0].tx_queues == 3);
    config.ports[0].queues = 2;
    CHECK(make_plan(config).ports[0].rx_queues == 1);
    CHECK(make_plan(config).ports[0].tx_queues == 2);
    config.ports[0].queues = 0;
    config.ports[0].device = "net_memif0,role=client";
    CHECK(make_plan(config).ports[0].tx_queues == 1);  // as many as the other end
    config.ports[0].rx_descriptors = 256;
    CHECK(make_plan(config).ports[0].rx_descriptors == 256);
    CHECK(make_plan(config).ports[0].tx_descriptors == default_tx_descriptors);
}

TEST_CASE("plan: rings for each pair of lcores, one punt ring for each worker and class",
          "[plan]") {
    Config config = two_ports();
    CHECK(ring_names(make_plan(config)) ==
          std::vector<std::string>{
              "worker0-worker1", "worker1-worker0", "worker0-fragments-worker1",
              "worker1-fragments-worker0", "worker0-punt-neighbor", "worker0-punt-probe_reply",
              "worker0-punt-vip_icmp", "worker0-punt-other", "worker1-punt-neighbor",
              "worker1-punt-probe_reply", "worker1-punt-vip_icmp", "worker1-punt-other"});
    config.system.rx_lcores = {1, 3, 4};
    const Plan plan = make_plan(config);
    CHECK(plan.rings.size() == 3 * 2 + 2 + 2 * 4);
    CHECK(plan.rings.front().name == "rx0-worker0");
    CHECK(plan.rings.front().slots == handover_ring_slots);
    CHECK(plan.rings.back().slots == punt_ring_slots);
    config.system.rx_lcores.clear();
    config.system.worker_lcores = {1};
    CHECK(make_plan(config).rings.size() == 4);
}

TEST_CASE("plan: buffers fit the frames of every port", "[plan]") {
    Config config = two_ports();
    config.ports[0].device = config.ports[1].device = "net_ring0";
    config.ports[1].mtu = 1900;
    CHECK(make_plan(config).mbuf_room == 2176);
    config.ports[1].mtu = 9000;
    const std::uint32_t room = make_plan(config).mbuf_room;
    CHECK(room >= 9000 + 14 + 4 + 128 + 64);
    CHECK(room % 64 == 0);
    config.ports[1].mtu = 1800;
    config.ports[1].device = "net_af_xdp1,iface=x";
    CHECK(make_plan(config).mbuf_room >= 1800 + 398);
    config.ports[1].device = "net_af_packet1,iface=x,framesz=9216,blocksz=36864";
    CHECK(make_plan(config).mbuf_room >= 9216 + 128);
}

TEST_CASE("plan: buffers cover what descriptors and rings hold; a smaller wish is warned of",
          "[plan]") {
    Config config = two_ports();
    const std::uint32_t mbufs = make_plan(config).mbufs;
    CHECK(mbufs >= 2 * (2 + 3) * 1024 + 2 * handover_ring_slots + 2 * 4 * punt_ring_slots);
    config.ports[0].rx_descriptors = 8192;
    CHECK(make_plan(config).mbufs > mbufs);
    config.system.memory.mbufs = 4096;
    const Plan small = make_plan(config);
    CHECK(small.mbufs == 4096);
    CHECK(has(small.warnings, "memory.mbufs = 4096 is less than the "));
    config.system.worker_lcores = {1};
    config.ports.resize(1);
    config.ports[0] = PortConfig();
    config.ports[0].device = "net_null0";
    config.ports[0].queues = 1;
    config.system.memory.mbufs = 0;
    CHECK(make_plan(config).mbufs >= 8192);
}

TEST_CASE("plan: the tables for IPv6 and port ranges are large where they are needed", "[plan]") {
    Config config = two_ports();
    ServiceConfig service;
    service.key = {*parse_ip("203.0.113.1"), ServiceProtocol::any, 80, 80};
    config.services = {service};
    const std::uint32_t all = config.conntrack.entries_per_worker, reserve = 32'768;
    CHECK(flow_sizes(config).narrow == all);
    CHECK(flow_sizes(config).wide == reserve);
    CHECK(flow_sizes(config).ranges == reserve);
    service.key.vip = *parse_ip("2001:db8::1");
    config.services.push_back(service);
    CHECK(flow_sizes(config).wide == all);
    CHECK(flow_sizes(config).ranges == reserve);
    service.key.last_port = 81;
    config.services = {service};
    CHECK(flow_sizes(config).wide == reserve);
    CHECK(flow_sizes(config).ranges == all);
}

TEST_CASE("plan: memory by purpose adds up", "[plan]") {
    Config config = two_ports();
    const Plan plan = make_plan(config);
    std::uint64_t dpdk = 0, process = 0;
    for (const MemoryItem& item : plan.memory)
        (item.dpdk ? dpdk : process) += item.bytes;
    CHECK(plan.dpdk_bytes >= dpdk);
    CHECK(plan.dpdk_bytes - dpdk < (2u << 20));
    CHECK(plan.dpdk_bytes % (2u << 20) == 0);
    CHECK(plan.process_bytes == process);
    CHECK(plan.resident_bytes == config.system.memory.hugepages + plan.process_bytes);
    config.system.memory.hugepages = 0;
    CHECK(make_plan(config).resident_bytes == plan.dpdk_bytes + plan.process_bytes);
    // Both in pages of 2 MiB.
    const std::uint64_t tables = FlowTable::footprint(flow_sizes(config)), page = 2u << 20;
    CHECK(bytes_of(plan, "connection tables") == 2 * ((tables + page - 1) / page * page));
    CHECK(bytes_of(plan, "counters") >= 2 * sizeof(WorkerTraffic));
    CHECK(bytes_of(plan, "counters") < 2 * (sizeof(WorkerTraffic) + page));
    const std::uint64_t pool = bytes_of(plan, "on each NUMA node");
    CHECK(pool > std::uint64_t{plan.mbufs} * (plan.mbuf_room + 128 + 64));
    CHECK(pool < std::uint64_t{plan.mbufs} * (plan.mbuf_room + 128 + 64) * 5 / 4 + (4u << 20));
    config.conntrack.entries_per_worker *= 2;
    CHECK(make_plan(config).process_bytes > plan.process_bytes);
    CHECK(make_plan(config).dpdk_bytes == plan.dpdk_bytes);
}

TEST_CASE("plan: a tunnel without room in the MTU is warned of once for a port", "[plan]") {
    Config config = two_ports();
    CHECK_FALSE(has(make_plan(config).warnings, "tunnel"));
    config.ports[1].mtu = 1519;
    config.services[1].backends.push_back(config.services[1].backends[0]);
    const std::vector<std::string> warnings = make_plan(config).warnings;
    CHECK(warnings ==
          std::vector<std::string>{
              "service 'tunnel': packets above 1499 bytes do not fit the tunnel through "
              "port 'lan0' and are dropped as too_big; set its mtu to 1520 or more, and "
              "that of the network behind"});
}

TEST_CASE("plan: the text names every lcore, port, ring and byte", "[plan]") {
    Config config = two_ports();
    config.system.rx_lcores = {3};
    const Plan plan = make_plan(config);
    const std::string text = to_string(plan);
    for (const std::string part :
         {"  lcore 0 on CPU 0: control\n", "  lcore 1 on CPU 3: rx 0\n",
          "  lcore 3 on CPU 2: worker 1\n",
          "  wan0 (net_af_xdp0,iface=veth0): 1 RX queue of 1024 descriptors, 3 TX queues of 1024 "
          "descriptors\n",
          "  2 of 2048 slots: rx0-worker0 .. rx0-worker1\n",
          "  8 of 512 slots: worker0-punt-neighbor .. worker1-punt-other\n"}) {
        INFO(text);
        CHECK(text.find(part) != std::string::npos);
    }
    CHECK(text.find(std::to_string(plan.dpdk_bytes)) != std::string::npos);
    CHECK(text.find(std::to_string(plan.process_bytes)) != std::string::npos);
    CHECK(text.find("warning: ") == std::string::npos);
    // hugepages/reserve reads these two lines.
    CHECK(text.find("\nmemory of DPDK, huge pages\n") != std::string::npos);
    CHECK(text.find(fmt::format("{} bytes", plan.dpdk_bytes)) != std::string::npos);
    config.system.memory.mode = MemoryMode::no_huge;
    CHECK(to_string(make_plan(config)).find("\nmemory of DPDK, ordinary pages\n") !=
          std::string::npos);
    config.system.control_lcore = 3;
    CHECK(to_string(make_plan(config)).find("\nwarning: CPU 3 runs control") != std::string::npos);
}

}  // namespace weir
