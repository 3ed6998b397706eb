// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dpdk/port_config.hh"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>
#include <rte_mbuf.h>

#include "lib/dpdk/device.hh"

namespace weir {

namespace {

// Ethernet header and FCS, and one VLAN tag: beyond the MTU.
constexpr std::uint32_t frame_overhead = RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN + RTE_VLAN_HLEN;

bool same_name(std::string_view ours, std::string_view dpdk) {
    return std::ranges::equal(ours, dpdk, [](char a, char b) {
        return a == static_cast<char>(std::tolower(static_cast<unsigned char>(b)));
    });
}

// Queues that can be had, with a warning when they are fewer than wanted.
std::uint16_t queue_count(const char* direction, std::uint16_t wanted, std::uint16_t device_max,
                          const PortOptions& options, std::vector<std::string>& warnings) {
    std::uint16_t count = std::min(wanted, device_max);
    if (options.max_queues != 0) count = std::min(count, options.max_queues);
    count = std::max<std::uint16_t>(count, 1);
    if (count < wanted)
        warnings.push_back(
            fmt::format("port {}: {} {} queues of {} wanted; the rest is handed over "
                        "rings",
                        options.name, count, direction, wanted));
    return count;
}

Result<void> choose_offloads(const PortOptions& options, const rte_eth_dev_info& info,
                             rte_eth_conf& conf) {
    const auto choose = [&](const std::string& name, bool required) -> Result<void> {
        const std::uint64_t rx = offload_flag(name, true), tx = offload_flag(name, false);
        if (rx == 0 && tx == 0)
            return Error{
                fmt::format("the profile names an unknown offload '{}'; names are DPDK's in lower "
                            "case, such as "
                            "\"rx_ipv4_cksum\" or \"tx_multi_segs\"",
                            name)};
        conf.rxmode.offloads |= rx & info.rx_offload_capa;
        conf.txmode.offloads |= tx & info.tx_offload_capa;
        if (required && ((rx & ~info.rx_offload_capa) != 0 || (tx & ~info.tx_offload_capa) != 0))
            return Error{
                fmt::format("the device lacks the offload '{}' that its profile requires; "
                            "choose another `profile` or device",
                            name)};
        return {};
    };
    conf.rxmode.offloads = info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM;
    for (const std::string& name : options.offloads_wanted)
        if (auto chosen = choose(name, false); !chosen) return chosen;
    for (const std::string& name : options.offloads_required)
        if (auto chosen = choose(name, true); !chosen) return chosen;
    // Fast free puts every buffer back into the pool of the first without looking: wrong with
    // several pools or references.
    conf.txmode.offloads &= ~static_cast<std::uint64_t>(RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE);
    if (options.single_pool)
        conf.txmode.offloads |= info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
    return {};
}

// Frames longer than one buffer arrive in several, where the device can do that.
Result<void> fit_frames(const PortOptions& options, const rte_eth_dev_info& info,
                        std::uint16_t room, bool can_set_mtu, rte_eth_conf& conf) {
    const std::uint16_t max_mtu =
        options.max_mtu != 0 ? std::min(options.max_mtu, info.max_mtu) : info.max_mtu;
    if (max_mtu != 0 && options.mtu > max_mtu)
        return Error{fmt::format("mtu {} is more than the {} that {} can carry; set mtu = {}",
                                 options.mtu, max_mtu, info.driver_name, max_mtu)};
    conf.rxmode.mtu = options.mtu;
    if (!can_set_mtu && info.max_rx_pktlen != 0) {
        // Such a vdev carries what its peer sends; DPDK only compares the figures.
        const std::uint32_t overhead =
            info.max_mtu != UINT16_MAX && info.max_rx_pktlen > info.max_mtu
                ? info.max_rx_pktlen - info.max_mtu
                : RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN;
        conf.rxmode.mtu = std::min(conf.rxmode.mtu, info.max_rx_pktlen - overhead);
    }
    if (options.mtu + frame_overhead + RTE_PKTMBUF_HEADROOM <= room) return {};
    constexpr std::uint64_t scatter = RTE_ETH_RX_OFFLOAD_SCATTER;
    conf.rxmode.offloads |= info.rx_offload_capa & scatter;
    conf.txmode.offloads |= info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
    return {};
}

void choose_rss(const PortOptions& options, const rte_eth_dev_info& info,
                PortConfiguration& setup) {
    constexpr std::uint64_t wanted = RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP;
    const std::uint64_t fields = wanted & info.flow_type_rss_offloads;
    if (!options.rss || setup.rx_queues < 2) return;
    if (fields == 0) {
        setup.warnings.push_back(
            fmt::format("port {}: {} cannot spread packets over its queues (RSS); one queue may "
                        "get all of them",
                        options.name, info.driver_name));
        return;
    }
    setup.conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    setup.conf.rx_adv_conf.rss_conf.rss_hf = fields;
}

}  // namespace

bool dpdk_underrates_mtu(const PortOptions& options, const rte_eth_dev_info& info) {
    return info.max_mtu == UINT16_MAX && info.max_rx_pktlen <= RTE_ETHER_MAX_LEN &&
           options.mtu > RTE_ETHER_MTU && options.mtu <= options.max_mtu;
}

std::uint64_t offload_flag(const std::string& name, bool rx) {
    const std::string_view direction = rx ? "rx_" : "tx_";
    if (!name.starts_with(direction)) return 0;
    const std::string_view rest = std::string_view(name).substr(direction.size());
    for (unsigned bit = 0; bit < 64; ++bit) {
        const std::uint64_t flag = std::uint64_t{1} << bit;
        if (same_name(rest,
                      rx ? rte_eth_dev_rx_offload_name(flag) : rte_eth_dev_tx_offload_name(flag)))
            return flag;
    }
    return 0;
}

Result<PortConfiguration> port_configuration(const PortOptions& options,
                                             const rte_eth_dev_info& info, std::uint16_t room,
                                             bool can_set_mtu) {
    PortConfiguration setup;
    setup.rx_queues =
        queue_count("RX", options.rx_queues, info.max_rx_queues, options, setup.warnings);
    setup.tx_queues =
        queue_count("TX", options.tx_queues, info.max_tx_queues, options, setup.warnings);
    if (auto chosen = choose_offloads(options, info, setup.conf); !chosen) return chosen.error();
    if (auto fits = fit_frames(options, info, room, can_set_mtu, setup.conf); !fits)
        return fits.error();
    choose_rss(options, info, setup);
    return setup;
}

Result<void> set_up_queues(const Port& port, const PortConfiguration& setup,
                           const rte_eth_dev_info& info, rte_mempool* pool) {
    rte_eth_rxconf rx = info.default_rxconf;
    rx.offloads = setup.conf.rxmode.offloads;
    for (std::uint16_t queue = 0; queue < setup.rx_queues; ++queue) {
        const int error =
            rte_eth_rx_queue_setup(port.id(), queue, port.rx_descriptors(), port.node(), &rx, pool);
        if (error != 0)
            return Error{fmt::format("RX queue {} of {} descriptors cannot be set up: {}", queue,
                                     port.rx_descriptors(), std::strerror(-error))};
    }
    rte_eth_txconf tx = info.default_txconf;
    tx.offloads = setup.conf.txmode.offloads;
    for (std::uint16_t queue = 0; queue < setup.tx_queues; ++queue) {
        const int error =
            rte_eth_tx_queue_setup(port.id(), queue, port.tx_descriptors(), port.node(), &tx);
        if (error != 0)
            return Error{fmt::format("TX queue {} of {} descriptors cannot be set up: {}", queue,
                                     port.tx_descriptors(), std::strerror(-error))};
    }
    return {};
}

}  // namespace weir
