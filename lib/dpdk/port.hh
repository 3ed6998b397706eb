// SPDX-License-Identifier: BSD-3-Clause
// Port: one ethdev, opened by the name of its device, configured once, closed by the destructor.
//
// Life: probe_device() before EAL for each configured device; Port::open() after EAL; start() when
// the first tables are published; stop(); close(). All of it on the control thread. Workers only
// use id() and the queues that they own, with rte_eth_rx_burst() and rte_eth_tx_burst().
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/dpdk/pool.hh"
#include "lib/wire/address.hh"
#include "lib/wire/result.hh"

namespace weir {

struct PortOptions {
    std::string name;                            // of [[port]], for messages
    std::string device;                          // PCI address or vdev, with arguments
    std::uint16_t rx_queues = 1, tx_queues = 1;  // wanted; >= 1
    std::uint16_t max_queues = 0;                // of the profile; 0: what the device says
    std::uint16_t rx_descriptors = 1024, tx_descriptors = 1024;
    std::uint16_t mtu = 1500;
    std::uint16_t max_mtu = 0;  // of the profile; 0: what the device says
    bool rss = false;
    bool all_multicast = true;
    // Every buffer that is sent comes from one pool, once, with one reference: allows fast free.
    bool single_pool = false;
    std::vector<std::string> offloads_wanted;    // "rx_ipv4_cksum", "tx_multi_segs": DPDK's names
    std::vector<std::string> offloads_required;  // in lower case with the direction; missing: fatal
    std::vector<unsigned> poller_nodes;  // NUMA nodes of the lcores that will poll it; for warnings
};

struct PortStats {
    std::uint64_t rx_packets = 0, rx_bytes = 0, tx_packets = 0, tx_bytes = 0;
    std::uint64_t rx_missed = 0, rx_errors = 0, rx_nombuf = 0, tx_errors = 0;
};

// Before EAL: is the interface, file, socket or PCI device there, and free for DPDK? EAL alone may
// start without it and say nothing. `sysfs` is "/sys" except in tests. Interfaces are looked for in
// the network namespace of the calling thread.
Result<void> probe_device(const std::string& port, const std::string& device,
                          const std::string& sysfs = "/sys");

class Port {
public:
    // Finds the port of `options.device` and configures it: queues = min(wanted, possible), MTU,
    // offloads, RSS, all-multicast; never promiscuous. Buffers come from the pool of the port's
    // NUMA node. Does not start it. EAL must run; `pools` must outlive the port.
    static Result<Port> open(const PortOptions& options, const MbufPools& pools);
    Port(Port&& other) noexcept;
    Port& operator=(Port&& other) noexcept;
    ~Port();  // close()

    Result<void> start();
    void stop();   // no lcore may use the queues any more
    void close();  // stops; gives back descriptors; idempotent

    [[nodiscard]] std::uint16_t id() const noexcept { return id_; }  // DPDK's port id
    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    [[nodiscard]] const std::string& driver() const noexcept { return driver_; }  // "net_memif"
    [[nodiscard]] const MacAddress& mac() const noexcept { return mac_; }
    [[nodiscard]] unsigned node() const noexcept { return node_; }  // NUMA; 0 where unknown
    [[nodiscard]] std::uint16_t rx_queues() const noexcept { return rx_queues_; }
    [[nodiscard]] std::uint16_t tx_queues() const noexcept { return tx_queues_; }
    [[nodiscard]] std::uint16_t rx_descriptors() const noexcept { return rx_descriptors_; }
    [[nodiscard]] std::uint16_t tx_descriptors() const noexcept { return tx_descriptors_; }
    [[nodiscard]] std::uint16_t mtu() const noexcept { return mtu_; }
    // The NIC marks received packets with the state of their IPv4 header checksum.
    [[nodiscard]] bool rx_ip_checksum() const noexcept { return rx_ip_checksum_; }
    [[nodiscard]] bool link_up() const;  // never waits
    // Since open(). Never goes back, also where a driver starts anew (memif, when its peer leaves).
    [[nodiscard]] PortStats stats() const;
    // Fewer queues than wanted, another NUMA node than its pollers', ...: for the log and status.
    [[nodiscard]] const std::vector<std::string>& warnings() const noexcept { return warnings_; }

private:
    Port() = default;
    Result<void> configure(const PortOptions& options, const MbufPools& pools);

    static constexpr std::uint16_t none = 0xffff;
    std::uint16_t id_ = none;
    std::string name_, device_, driver_;
    MacAddress mac_;
    unsigned node_ = 0;
    std::uint16_t rx_queues_ = 0, tx_queues_ = 0, rx_descriptors_ = 0, tx_descriptors_ = 0,
                  mtu_ = 0;
    bool rx_ip_checksum_ = false, started_ = false;
    std::vector<std::string> warnings_;
    mutable PortStats base_, last_;  // counted before the driver started anew; its last answer
};

}  // namespace weir
