// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dpdk/port.hh"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>
#include <rte_ethdev.h>

#include "lib/dpdk/device.hh"
#include "lib/dpdk/eal.hh"
#include "lib/dpdk/log.hh"
#include "lib/dpdk/output_capture.hh"
#include "lib/dpdk/port_config.hh"

namespace weir {

Result<Port> Port::open(const PortOptions& options, const MbufPools& pools) {
    std::uint16_t id = none;
    if (rte_eth_dev_get_port_by_name(device_name(options.device).c_str(), &id) != 0)
        return Error{explain_missing_port(options.name, options.device, eal_output())};
    Port port;
    port.id_ = id;
    port.name_ = options.name;
    port.device_ = options.device;
    OutputCapture capture;
    auto configured = port.configure(options, pools);
    const std::string output = capture.stop();
    log_captured(output);
    if (!configured)
        return Error{
            explain_port_failure(options.name, options.device, configured.error().message, output)};
    return port;
}

Result<void> Port::configure(const PortOptions& options, const MbufPools& pools) {
    rte_eth_dev_info info{};
    if (const int error = rte_eth_dev_info_get(id_, &info); error != 0)
        return Error{fmt::format("the device does not describe itself: {}", std::strerror(-error))};
    driver_ = info.driver_name != nullptr ? info.driver_name : "";
    const int node = rte_eth_dev_socket_id(id_);
    node_ = node < 0 ? 0 : static_cast<unsigned>(node);

    // Before it is configured, a device without an MTU of its own answers so; others refuse or take
    // it.
    const bool can_set_mtu =
        !dpdk_underrates_mtu(options, info) && rte_eth_dev_set_mtu(id_, options.mtu) != -ENOTSUP;
    auto wanted = port_configuration(options, info, pools.room(), can_set_mtu);
    if (!wanted) return wanted.error();
    PortConfiguration& setup = wanted.value();
    warnings_ = std::move(setup.warnings);
    rx_queues_ = setup.rx_queues;
    tx_queues_ = setup.tx_queues;
    mtu_ = options.mtu;
    rx_ip_checksum_ = (setup.conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM) != 0;
    if (const int error = rte_eth_dev_configure(id_, rx_queues_, tx_queues_, &setup.conf);
        error != 0)
        return Error{fmt::format("{} RX and {} TX queues with MTU {} are refused: {}", rx_queues_,
                                 tx_queues_, mtu_, std::strerror(-error))};
    if (const int error = can_set_mtu ? rte_eth_dev_set_mtu(id_, mtu_) : 0; error != 0)
        return Error{fmt::format(
            "mtu {} cannot be set: {}; lower mtu, or give the interface more: `ip link set dev "
            "INTERFACE mtu {}`",
            mtu_, std::strerror(-error), mtu_)};

    rx_descriptors_ = options.rx_descriptors;
    tx_descriptors_ = options.tx_descriptors;
    if (const int error = rte_eth_dev_adjust_nb_rx_tx_desc(id_, &rx_descriptors_, &tx_descriptors_);
        error != 0)
        return Error{fmt::format("{} RX and {} TX descriptors are refused: {}", rx_descriptors_,
                                 tx_descriptors_, std::strerror(-error))};
    if (auto queues = set_up_queues(*this, setup, info, pools.on(node_)); !queues) return queues;

    rte_ether_addr mac{};
    rte_eth_macaddr_get(id_, &mac);
    std::ranges::copy(mac.addr_bytes, mac_.bytes.begin());
    if (options.all_multicast)
        rte_eth_allmulticast_enable(id_);  // a driver that cannot is tolerated
    for (const unsigned poller : options.poller_nodes)
        if (node >= 0 && poller != node_)
            warnings_.push_back(fmt::format(
                "port {} is on NUMA node {}, but polled from node {}: choose lcores of node {}",
                name_, node_, poller, node_));
    return {};
}

Port::Port(Port&& other) noexcept {
    *this = std::move(other);
}

Port& Port::operator=(Port&& other) noexcept {
    if (this == &other) return *this;
    close();
    id_ = std::exchange(other.id_, none);
    name_ = std::move(other.name_);
    device_ = std::move(other.device_);
    driver_ = std::move(other.driver_);
    mac_ = other.mac_;
    node_ = other.node_;
    rx_queues_ = other.rx_queues_;
    tx_queues_ = other.tx_queues_;
    rx_descriptors_ = other.rx_descriptors_;
    tx_descriptors_ = other.tx_descriptors_;
    mtu_ = other.mtu_;
    rx_ip_checksum_ = other.rx_ip_checksum_;
    started_ = std::exchange(other.started_, false);
    warnings_ = std::move(other.warnings_);
    base_ = other.base_;
    last_ = other.last_;
    return *this;
}

Port::~Port() {
    close();
}

Result<void> Port::start() {
    if (started_) return {};
    OutputCapture capture;
    const int error = rte_eth_dev_start(id_);
    const std::string output = capture.stop();
    log_captured(output);
    if (error != 0)
        return Error{explain_port_failure(
            name_, device_, fmt::format("it does not start: {}", std::strerror(-error)), output)};
    started_ = true;
    return {};
}

void Port::stop() {
    if (!std::exchange(started_, false)) return;
    rte_eth_dev_stop(id_);
}

void Port::close() {
    if (id_ == none) return;
    OutputCapture capture;  // libxdp complains about what it may not ask, and detaches nevertheless
    stop();
    rte_eth_dev_close(id_);
    id_ = none;
    log_captured(capture.stop());
}

bool Port::link_up() const {
    rte_eth_link link{};
    return id_ != none && rte_eth_link_get_nowait(id_, &link) == 0 &&
           link.link_status == RTE_ETH_LINK_UP;
}

PortStats Port::stats() const {
    rte_eth_stats raw{};
    const bool read = id_ != none && rte_eth_stats_get(id_, &raw) == 0;
    PortStats sum;
    const auto count = [&](std::uint64_t PortStats::*member, std::uint64_t now) {
        if (!read) now = last_.*member;
        if (now < last_.*member) base_.*member += last_.*member;
        last_.*member = now;
        sum.*member = base_.*member + now;
    };
    count(&PortStats::rx_packets, raw.ipackets);
    count(&PortStats::rx_bytes, raw.ibytes);
    count(&PortStats::tx_packets, raw.opackets);
    count(&PortStats::tx_bytes, raw.obytes);
    count(&PortStats::rx_missed, raw.imissed);
    count(&PortStats::rx_errors, raw.ierrors);
    count(&PortStats::rx_nombuf, raw.rx_nombuf);
    count(&PortStats::tx_errors, raw.oerrors);
    return sum;
}

}  // namespace weir
