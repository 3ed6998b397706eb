// SPDX-License-Identifier: BSD-3-Clause
// What Port::open() decides: from what is wanted and what the device can do to one configuration.
// Of port.cc and its tests; nobody else needs it.
#pragma once

#include <string>
#include <vector>

#include <rte_ethdev.h>

#include "lib/dpdk/port.hh"

namespace weir {

struct PortConfiguration {
    rte_eth_conf conf{};
    std::uint16_t rx_queues = 0, tx_queues = 0;
    std::vector<std::string> warnings;
};

// `room`: data bytes of an mbuf, headroom included. Fails when the MTU cannot be had or a required
// offload is missing; the sentence lacks the port's name. `can_set_mtu`: false for a vdev whose MTU
// cannot be set; such a one is taken to carry what it is given. Pure.
Result<PortConfiguration> port_configuration(const PortOptions& options,
                                             const rte_eth_dev_info& info, std::uint16_t room,
                                             bool can_set_mtu = true);

// True when DPDK would refuse an MTU that the device can carry: its driver names no MTU limit, only
// the default frame of 1518 bytes (AF_PACKET), and the profile says that it takes more. Pure.
[[nodiscard]] bool dpdk_underrates_mtu(const PortOptions& options, const rte_eth_dev_info& info);

// The offload flag of "rx_ipv4_cksum" or "tx_multi_segs": DPDK's name in lower case behind the
// direction. 0: unknown name, or of the other direction. Pure.
[[nodiscard]] std::uint64_t offload_flag(const std::string& name, bool rx);

Result<void> set_up_queues(const Port& port, const PortConfiguration& setup,
                           const rte_eth_dev_info& info, rte_mempool* pool);

// Sentences with the mending command, from what DPDK printed meanwhile. Pure.
[[nodiscard]] std::string explain_missing_port(const std::string& port, const std::string& device,
                                               const std::string& eal_output);
[[nodiscard]] std::string explain_port_failure(const std::string& port, const std::string& device,
                                               const std::string& what, const std::string& output);

}  // namespace weir
