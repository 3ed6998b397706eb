// SPDX-License-Identifier: BSD-3-Clause
#include <array>
#include <filesystem>
#include <vector>

#include <catch2/catch.hpp>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_ring.h>

#include "lib/dpdk/eal.hh"
#include "lib/dpdk/port.hh"
#include "lib/dpdk/port_config.hh"
#include "tests/unit/dpdk/support.hh"

using namespace weir;
using Catch::Matchers::Contains;

namespace {

MbufPools& pools() {
    static MbufPools* const all = [] {
        auto made = MbufPools::create({.nodes = {0, 0},
                                       .mbufs = 8191,
                                       .control_mbufs = 255,
                                       .room = 2176,
                                       .private_bytes = 0,
                                       .prefix = "unit"});
        return new MbufPools(std::move(made).value());  // EAL ends before static objects do
    }();
    return *all;
}

std::string device(const std::string& name) {
    for (const std::string& text : test::devices())
        if (text.starts_with(name)) return text;
    return name;
}

PortOptions options_of(const std::string& name) {
    PortOptions options;
    options.name = "p0";
    options.device = device(name);
    return options;
}

Port open_started(const std::string& name) {
    auto port = Port::open(options_of(name), pools());
    if (!port) FAIL(port.error().message);
    const auto started = port.value().start();
    if (!started) FAIL(started.error().message);
    return std::move(port).value();
}

rte_mbuf* frame_of(char fill) {
    rte_mbuf* frame = rte_pktmbuf_alloc(pools().on(0));
    REQUIRE(frame != nullptr);
    std::fill_n(rte_pktmbuf_append(frame, 60), 60, fill);
    return frame;
}

// Fault 26: what has no packet buffers counts that, leaves the control lcore's alone, and recovers.
void check_without_buffers(const Port& port) {
    std::vector<rte_mbuf*> held;  // by a peer that is stuck
    while (rte_mbuf* frame = rte_pktmbuf_alloc(pools().on(0)))
        held.push_back(frame);
    rte_mbuf* none = nullptr;
    CHECK(rte_eth_rx_burst(port.id(), 0, &none, 1) == 0);
    CHECK(port.stats().rx_nombuf == 1);
    CHECK(port.stats().rx_packets == 0);
    rte_mbuf* const probe = rte_pktmbuf_alloc(pools().control());
    CHECK(probe != nullptr);
    rte_pktmbuf_free(probe);
    rte_pktmbuf_free_bulk(held.data(), static_cast<unsigned>(held.size()));
}

}  // namespace

TEST_CASE("pools: one per node, one for control; their use is counted", "[dpdk]") {
    const auto before = pools().use();
    REQUIRE(before.size() == 2);
    CHECK(before[0].name == "unit_0");
    CHECK(before[0].size == 8191);
    CHECK(before[0].free <= 8191);
    CHECK(before[1].name == "unit_control");
    CHECK(before[1].free == 255);
    CHECK(pools().on(7) == pools().on(0));
    rte_mbuf* frame = rte_pktmbuf_alloc(pools().control());
    CHECK(pools().use()[1].free == 254);
    rte_pktmbuf_free(frame);
    CHECK(rte_pktmbuf_data_room_size(pools().control()) == 2176);
}

TEST_CASE("pools: too large a pool is refused with what mends it", "[dpdk]") {
    const auto made = MbufPools::create({.nodes = {0},
                                         .mbufs = 1'000'000,
                                         .control_mbufs = 255,
                                         .room = 2176,
                                         .private_bytes = 0,
                                         .prefix = "huge"});
    REQUIRE_FALSE(made.ok());
    CHECK_THAT(made.error().message, Contains("memory.mbufs"));
}

TEST_CASE("pools: the plan's estimate covers what a pool takes", "[dpdk]") {
    rte_malloc_socket_stats stats{};
    rte_malloc_get_socket_stats(0, &stats);
    const auto before = stats.heap_allocsz_bytes;
    auto made = MbufPools::create({.nodes = {0},
                                   .mbufs = 20'000,
                                   .control_mbufs = 15,
                                   .room = 2176,
                                   .private_bytes = 0,
                                   .prefix = "measure"});
    REQUIRE(made.ok());
    rte_malloc_get_socket_stats(0, &stats);
    const auto taken = stats.heap_allocsz_bytes - before;
    CHECK(taken <= pool_bytes(20'000, 2176) + pool_bytes(15, 2176));
    CHECK(taken * 100 >= pool_bytes(20'000, 2176) * 90);
}

TEST_CASE("port net_null: opens, receives, counts", "[dpdk]") {
    Port port = open_started("net_null0");
    CHECK(port.driver() == "net_null");
    CHECK(port.rx_queues() == 1);
    CHECK(port.link_up());
    std::array<rte_mbuf*, 32> burst{};
    const auto got = rte_eth_rx_burst(port.id(), 0, burst.data(), burst.size());
    CHECK(got == 32);
    CHECK(rte_eth_tx_burst(port.id(), 0, burst.data(), got) == got);
    CHECK(port.stats().rx_packets == 32);
    CHECK(port.stats().tx_packets == 32);
    rte_eth_stats_reset(port.id());
    CHECK(port.stats().rx_packets == 32);
    CHECK(rte_eth_rx_burst(port.id(), 0, burst.data(), 8) == 8);
    rte_pktmbuf_free_bulk(burst.data(), 8);
    CHECK(port.stats().rx_packets == 40);
    port.close();
    port.close();
    CHECK_FALSE(port.link_up());
}

TEST_CASE("port net_ring: what is sent comes back as the same buffer", "[dpdk]") {
    Port port = open_started("net_ring0");
    rte_mbuf* frame = frame_of('x');
    REQUIRE(rte_eth_tx_burst(port.id(), 0, &frame, 1) == 1);
    rte_mbuf* back = nullptr;
    REQUIRE(rte_eth_rx_burst(port.id(), 0, &back, 1) == 1);
    CHECK(back == frame);
    rte_pktmbuf_free(back);
    Port moved = std::move(port);
    CHECK(moved.link_up());
}

TEST_CASE("port net_pcap: reads one file and writes another", "[dpdk][fault-26]") {
    constexpr unsigned lost = 1;  // the driver reads a frame before it asks for a buffer
    {
        Port port = open_started("net_pcap0");
        check_without_buffers(port);
        std::array<rte_mbuf*, 64> burst{};
        unsigned total = 0;
        for (unsigned round = 0; round < 10; ++round) {
            const auto got = rte_eth_rx_burst(port.id(), 0, burst.data(), burst.size());
            for (unsigned i = 0; i < got; ++i)
                CHECK(*rte_pktmbuf_mtod_offset(burst[i], std::uint8_t*, 59) == lost + total + i);
            total += got;
            CHECK(rte_eth_tx_burst(port.id(), 0, burst.data(), got) == got);
        }
        CHECK(total == 100 - lost);
    }
    CHECK(std::filesystem::file_size(test::directory() + "/out.pcap") == 24 + (100 - lost) * 76);
}

TEST_CASE("port net_memif, net_tap, net_af_packet: open and close", "[dpdk]") {
    for (const char* name : {"net_memif0", "net_tap0", "net_af_packet0"}) {
        CAPTURE(name);
        PortOptions options = options_of(name);
        options.rx_queues = options.tx_queues = 2;
        auto port = Port::open(options, pools());
        if (!port) FAIL(port.error().message);
        CHECK(port.value().rx_queues() == 2);
        const auto started = port.value().start();
        CHECK(started.error().message == "");
    }
}

TEST_CASE("port: fewer queues than wanted is a warning, a far node too", "[dpdk]") {
    PortOptions options = options_of("net_ring1");
    options.rx_queues = 200;
    options.tx_queues = 200;
    options.max_queues = 4;
    auto port = Port::open(options, pools());
    REQUIRE(port.ok());
    CHECK(port.value().rx_queues() <= 4);
    CHECK_THAT(port.value().warnings().front(), Contains("of 200 wanted"));
}

TEST_CASE("port: a missing one says why", "[dpdk]") {
    const auto failed = Port::open(options_of("net_memif1"), pools());
    REQUIRE_FALSE(failed.ok());
    CHECK_THAT(failed.error().message, Contains("Unknown role: wrong"));
    CHECK_THAT(failed.error().message, Contains("port p0"));
    const auto absent = Port::open(options_of("net_null77"), pools());
    REQUIRE_FALSE(absent.ok());
    CHECK_THAT(absent.error().message, Contains("net_null77"));
    CHECK_THAT(explain_missing_port("a", "net_b0",
                                    "x(): Failed one\nvdev: failed to initialize net_a0 "
                                    "device\ny(): Failed two\nvdev: failed to "
                                    "initialize net_b0 device\n"),
               Contains("Failed two"));
    CHECK_THAT(explain_missing_port("a", "0000:01:00.0",
                                    "EAL: Expecting 'PA' IOVA mode but current mode is 'VA', not "
                                    "initializing\n"),
               Contains("--iova-mode=pa"));
    CHECK_THAT(explain_port_failure("a", "net_af_xdp0,iface=hzp0", "RX queue 0 is refused",
                                    "xsk_configure(): Failed to create xsk socket.\n"),
               Contains("ip link set dev hzp0 xdp off"));
}

TEST_CASE("probe: missing interfaces, files, sockets and PCI devices name the mending command",
          "[dpdk]") {
    const auto told = [](const std::string& text, const std::string& sysfs = "/sys") {
        const auto found = probe_device("wan0", text, sysfs);
        return found.ok() ? std::string("ok") : found.error().message;
    };
    CHECK(told("net_af_packet0,iface=lo") == "ok");
    CHECK_THAT(told("net_af_xdp0,iface=hzp0"),
               Contains("no interface 'hzp0' in this network namespace"));
    CHECK_THAT(told("net_af_xdp0"), Contains("iface=NAME"));
    CHECK_THAT(told("net_pcap0,rx_pcap=/no/such.pcap"), Contains("/no/such.pcap"));
    CHECK_THAT(told("net_pcap0,tx_pcap=/no/such.pcap"), Contains("cannot write"));
    CHECK_THAT(told("net_virtio_user0,path=/no/such.sock"), Contains("server=1"));
    CHECK(told("net_virtio_user0,path=/tmp/x.sock,server=1") == "ok");
    CHECK(told("net_memif0,role=server") == "ok");
    CHECK_THAT(told("eth0"), Contains("neither a PCI address"));

    namespace fs = std::filesystem;
    const fs::path sysfs = fs::path(test::directory()) / "pci";
    const auto bind = [&](const char* address, const char* driver) {
        const fs::path where = sysfs / "bus/pci/devices" / address;
        fs::create_directories(where);
        if (driver != nullptr)
            fs::create_symlink(fs::path("../drivers") / driver, where / "driver");
    };
    bind("0000:8a:00.0", "vfio-pci");
    bind("0000:8a:00.1", "ixgbe");
    bind("0000:8a:00.2", nullptr);
    bind("0000:8a:00.3", "mlx5_core");
    CHECK(told("8a:00.0", sysfs) == "ok");
    CHECK(told("0000:8a:00.3,dv_flow_en=1", sysfs) == "ok");
    CHECK_THAT(told("0000:8a:00.1", sysfs), Contains("--bind=vfio-pci 0000:8a:00.1"));
    CHECK_THAT(told("0000:8a:00.1", sysfs), Contains("ixgbe"));
    CHECK_THAT(told("0000:8a:00.2", sysfs), Contains("no driver"));
    CHECK_THAT(told("0000:8b:00.0", sysfs), Contains("no PCI device 0000:8b:00.0"));
}

TEST_CASE("port configuration: offloads, MTU and RSS follow the device", "[dpdk]") {
    rte_eth_dev_info info{};
    info.driver_name = "net_x";
    info.max_rx_queues = info.max_tx_queues = 4;
    info.max_mtu = 9000;
    info.rx_offload_capa = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_SCATTER;
    info.tx_offload_capa = RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE | RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
    info.flow_type_rss_offloads = RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_TCP;
    PortOptions options;
    options.name = "p";
    options.rx_queues = options.tx_queues = 4;
    options.rss = true;

    auto made = port_configuration(options, info, 2176);
    REQUIRE(made.ok());
    CHECK(made.value().conf.rxmode.mq_mode == RTE_ETH_MQ_RX_RSS);
    CHECK(made.value().conf.rx_adv_conf.rss_conf.rss_hf == info.flow_type_rss_offloads);
    CHECK(made.value().conf.rxmode.offloads == RTE_ETH_RX_OFFLOAD_IPV4_CKSUM);
    CHECK(made.value().conf.txmode.offloads == 0);
    CHECK(made.value().warnings.empty());

    SECTION("fast free only with a single pool, whatever a profile says") {
        options.offloads_wanted = {"tx_mbuf_fast_free"};
        CHECK(port_configuration(options, info, 2176).value().conf.txmode.offloads == 0);
        options.single_pool = true;
        CHECK(port_configuration(options, info, 2176).value().conf.txmode.offloads ==
              RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE);
    }
    SECTION("frames longer than a buffer need several") {
        options.mtu = 9000;
        const auto jumbo = port_configuration(options, info, 2176);
        REQUIRE(jumbo.ok());
        CHECK((jumbo.value().conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_SCATTER) != 0);
        CHECK((jumbo.value().conf.txmode.offloads & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) != 0);
        options.max_mtu = 1700;
        const auto refused = port_configuration(options, info, 2176);
        REQUIRE_FALSE(refused.ok());
        CHECK_THAT(refused.error().message, Contains("set mtu = 1700"));
    }
    SECTION("an MTU that DPDK underrates is the profile's to allow") {
        info.max_mtu = UINT16_MAX;
        info.max_rx_pktlen = 1518;
        options.mtu = 1560;
        CHECK_FALSE(dpdk_underrates_mtu(options, info));
        options.max_mtu = 1900;
        CHECK(dpdk_underrates_mtu(options, info));
        const auto lowered = port_configuration(options, info, 2176, false);
        REQUIRE(lowered.ok());
        CHECK(lowered.value().conf.rxmode.mtu == 1500);
        options.mtu = 1500;
        CHECK_FALSE(dpdk_underrates_mtu(options, info));
        options.mtu = 1560;
        info.max_rx_pktlen = 9728;
        CHECK_FALSE(dpdk_underrates_mtu(options, info));
    }
    SECTION("a wanted offload may be missing, a required one not, an unknown one never") {
        options.offloads_wanted = {"rx_timestamp"};
        CHECK(port_configuration(options, info, 2176).ok());
        options.offloads_required = {"rx_timestamp"};
        const auto refused = port_configuration(options, info, 2176);
        REQUIRE_FALSE(refused.ok());
        CHECK_THAT(refused.error().message, Contains("rx_timestamp"));
        options.offloads_required = {};
        options.offloads_wanted = {"rx_nonsense"};
        CHECK_FALSE(port_configuration(options, info, 2176).ok());
    }
    SECTION("no RSS with one queue; a warning where the device has none") {
        options.rx_queues = 1;
        CHECK(port_configuration(options, info, 2176).value().conf.rxmode.mq_mode ==
              RTE_ETH_MQ_RX_NONE);
        options.rx_queues = 2;
        info.flow_type_rss_offloads = 0;
        CHECK(port_configuration(options, info, 2176).value().warnings.size() == 1);
    }
}

TEST_CASE("packet buffers lie without gaps, as AF_XDP takes them for its memory", "[dpdk][pool]") {
    // 2000 buffers of more than half a page: with a gap at each page they would take twice as much.
    auto made = MbufPools::create({.mbufs = 2000, .control_mbufs = 64, .prefix = "packed"});
    REQUIRE(made.ok());
    rte_mempool* pool = made.value().on(0);
    const auto* first = static_cast<const char*>(STAILQ_FIRST(&pool->mem_list)->addr);
    const std::uint64_t frame = pool->header_size + pool->elt_size + pool->trailer_size;
    std::uint64_t outside = 0;
    std::vector<rte_mbuf*> mbufs(pool->populated_size);
    REQUIRE(rte_pktmbuf_alloc_bulk(pool, mbufs.data(), static_cast<unsigned>(mbufs.size())) == 0);
    for (const rte_mbuf* mbuf : mbufs) {
        const auto offset = reinterpret_cast<const char*>(mbuf) - first;
        if (offset < 0 ||
            static_cast<std::uint64_t>(offset) + pool->elt_size > pool->populated_size * frame)
            ++outside;
    }
    CHECK(outside == 0);
    rte_pktmbuf_free_bulk(mbufs.data(), static_cast<unsigned>(mbufs.size()));
}
