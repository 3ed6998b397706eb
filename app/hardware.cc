// SPDX-License-Identifier: BSD-3-Clause
#include "app/hardware.hh"

#include <algorithm>

#include <fmt/format.h>
#include <rte_ethdev.h>

#include "lib/dpdk/af_packet_guard.hh"
#include "lib/dpdk/device.hh"
#include "lib/dpdk/memory.hh"
#include "lib/dpdk/port_config.hh"

namespace weir {
namespace {

Result<Profile> profile_of(const PortConfig& port, const std::string& driver) {
    return choose_profile(profile_directory(), port.profile, driver);
}

Result<std::string> driver_of(const PreparedPort& port) {
    std::uint16_t id = 0;
    rte_eth_dev_info info{};
    const std::string name = device_name(port.device);
    if (rte_eth_dev_get_port_by_name(name.c_str(), &id) != 0 ||
        rte_eth_dev_info_get(id, &info) != 0)
        return Error{explain_missing_port(port.config.name, port.device, eal_output())};
    return std::string(info.driver_name);
}

std::vector<unsigned> poller_nodes(const Plan& plan) {
    std::vector<unsigned> nodes;
    const bool rx = std::any_of(plan.lcores.begin(), plan.lcores.end(),
                                [](const LcorePlan& lcore) { return lcore.rx >= 0; });
    for (const LcorePlan& lcore : plan.lcores)
        if (rx ? lcore.rx >= 0 : lcore.worker >= 0) nodes.push_back(node_of_cpu(lcore.cpu));
    return nodes;
}

std::vector<unsigned> lcore_nodes(const Plan& plan) {
    std::vector<unsigned> nodes;
    for (const LcorePlan& lcore : plan.lcores)
        nodes.push_back(node_of_cpu(lcore.cpu));
    return nodes;
}

}  // namespace

Result<std::vector<PreparedPort>> prepare_ports(const Config& config) {
    std::vector<PreparedPort> prepared;
    for (const PortConfig& port : config.ports) {
        PreparedPort one{.config = port, .device = port.device, .profile = std::nullopt};
        if (!is_pci_device(port.device)) {
            auto profile = profile_of(port, vdev_driver(port.device));
            if (!profile) return profile.error();
            one.device = with_default_arguments(port.device, profile.value().devargs);
            one.profile = std::move(profile).value();
        }
        if (const auto found = probe_device(port.name, one.device); !found) return found.error();
        if (one.profile && one.profile->kernel_sees_frames) {
            const auto guard = check_ingress_dropped(device_argument(one.device, "iface"));
            if (!guard) return Error{fmt::format("port {}: {}", port.name, guard.error().message)};
        }
        prepared.push_back(std::move(one));
    }
    return prepared;
}

EalOptions eal_options(const Config& config, const Plan& plan,
                       const std::vector<PreparedPort>& ports,
                       const std::vector<std::string>& extra) {
    EalOptions options;
    switch (config.system.memory.mode) {
        case MemoryMode::in_memory:
            options.memory = EalOptions::Memory::in_memory;
            break;
        case MemoryMode::shared:
            options.memory = EalOptions::Memory::shared;
            break;
        case MemoryMode::no_huge:
            options.memory = EalOptions::Memory::no_huge;
            break;
    }
    options.memory_bytes = std::max(plan.dpdk_bytes, config.system.memory.hugepages);
    options.lcores.clear();
    for (const LcorePlan& lcore : plan.lcores) {
        if (!options.lcores.empty()) options.lcores += ',';
        options.lcores += fmt::format("{}@{}", lcore.lcore, lcore.cpu);
        if (lcore.control) options.main_lcore = lcore.lcore;
    }
    for (const PreparedPort& port : ports)
        options.devices.push_back(port.device);
    options.extra = extra;
    options.debug = config.system.log_level == LogLevel::debug;
    return options;
}

Result<std::unique_ptr<Hardware>> Hardware::open(const Config& config, const Plan& plan,
                                                 const std::vector<PreparedPort>& prepared) {
    std::unique_ptr<Hardware> hardware(new Hardware);
    PoolOptions pools;
    pools.nodes = lcore_nodes(plan);
    pools.mbufs = plan.mbufs;
    pools.control_mbufs = plan.control_mbufs;
    pools.room = static_cast<std::uint16_t>(plan.mbuf_room);
    auto made = MbufPools::create(pools);
    if (!made) return made.error();
    hardware->pools_ = std::move(made).value();
    for (std::size_t number = 0; number < prepared.size(); ++number) {
        if (auto done = hardware->open_port(prepared[number], plan, number); !done)
            return done.error();
        if (auto done = hardware->open_tap(config.ports[number], number); !done)
            return done.error();
    }
    return hardware;
}

Hardware::~Hardware() {
    taps_.clear();  // before their ports: the kernel must not send where nobody listens
    ports_.clear();
}

Result<void> Hardware::open_port(const PreparedPort& prepared, const Plan& plan,
                                 std::size_t number) {
    std::optional<Profile> profile = prepared.profile;
    if (!profile) {
        const auto driver = driver_of(prepared);
        if (!driver) return driver.error();
        auto found = profile_of(prepared.config, driver.value());
        if (!found) return found.error();
        profile = std::move(found).value();
    }
    const PortPlan& wanted = plan.ports.at(number);
    const PortConfig& config = prepared.config;
    PortOptions options;
    options.name = config.name;
    options.device = prepared.device;
    options.rx_queues = static_cast<std::uint16_t>(wanted.rx_queues);
    options.tx_queues = static_cast<std::uint16_t>(wanted.tx_queues);
    options.max_queues = profile->max_queues;
    options.rx_descriptors =
        config.rx_descriptors != 0 ? config.rx_descriptors : profile->rx_descriptors;
    options.tx_descriptors =
        config.tx_descriptors != 0 ? config.tx_descriptors : profile->tx_descriptors;
    options.mtu = config.mtu;
    options.max_mtu = profile->max_mtu;
    options.rss = profile->rss;
    options.all_multicast = profile->all_multicast;
    options.offloads_wanted = profile->offloads_wanted;
    options.offloads_required = profile->offloads_required;
    options.poller_nodes = poller_nodes(plan);
    auto port = Port::open(options, *pools_);
    if (!port) return port.error();
    warnings_.insert(warnings_.end(), port.value().warnings().begin(),
                     port.value().warnings().end());
    ports_.push_back(std::move(port).value());
    profiles_.push_back(std::move(*profile));
    return {};
}

Result<void> Hardware::open_tap(const PortConfig& port, std::size_t number) {
    taps_.emplace_back();
    if (!port.exception_tap) return {};
    TapOptions options;
    options.name = *port.exception_tap;
    options.mac = ports_[number].mac();
    options.mtu = port.mtu;
    options.addresses = port.addresses;
    options.gateways = port.gateways;
    options.metric += static_cast<std::uint32_t>(number);
    options.persist = port.exception_tap_persist;
    auto tap = Tap::create(options);
    if (!tap) return Error{fmt::format("port {}: {}", port.name, tap.error().message)};
    warnings_.insert(warnings_.end(), tap.value().warnings().begin(), tap.value().warnings().end());
    taps_.back().emplace(std::move(tap).value());
    return {};
}

Result<void> Hardware::start() {
    for (Port& port : ports_)
        if (auto started = port.start(); !started) return started;
    return {};
}

Result<void> Hardware::set_vips(const std::vector<IpAddress>& vips) {
    Result<void> first;
    for (auto& tap : taps_) {
        if (!tap) continue;
        if (auto done = tap->set_vips(vips); !done && first) first = done;
    }
    return first;
}

std::vector<EnginePort> Hardware::engine_ports(const Config& config) const {
    std::vector<EnginePort> ports;
    for (std::size_t number = 0; number < ports_.size(); ++number) {
        const Port& port = ports_[number];
        EnginePort one;
        one.name = port.name();
        one.device = port.id();
        one.rx_queues = port.rx_queues();
        one.tx_queues = port.tx_queues();
        one.vlan = config.ports[number].vlan;
        one.tap = taps_[number] ? taps_[number]->fd() : -1;
        ports.push_back(one);
    }
    return ports;
}

}  // namespace weir
