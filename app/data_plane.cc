// SPDX-License-Identifier: BSD-3-Clause
#include "app/data_plane.hh"

#include "lib/dpdk/counters_view.hh"

namespace weir {

RunningDataPlane::RunningDataPlane(Engine& engine, Hardware& hardware, const Config& config)
    : engine_(engine), hardware_(hardware), ports_(config.ports) {}

void RunningDataPlane::publish(std::unique_ptr<const Tables> tables) {
    engine_.publisher().publish(std::move(tables));
}

const Tables* RunningDataPlane::current() const {
    return engine_.publisher().current();
}

bool RunningDataPlane::settled() const {
    return engine_.publisher().settled();
}

void RunningDataPlane::fill(InstanceView& view) const {
    view.ports.clear();
    for (std::size_t number = 0; number < ports_.size(); ++number)
        view.ports.push_back(port_view(number));
    for (const PoolUse& pool : hardware_.pools().use())
        view.pools.push_back({pool.name, pool.free, pool.size});
    fill_counters(engine_, view);
}

PortView RunningDataPlane::port_view(std::size_t number) const {
    const Port& port = hardware_.ports()[number];
    const PortConfig& config = ports_[number];
    const PortStats stats = port.stats();
    PortView view;
    view.name = port.name();
    view.device = config.device;
    view.driver = port.driver();
    view.profile = hardware_.profiles()[number].driver;
    view.mac = to_string(port.mac());
    view.tap = config.exception_tap.value_or("");
    view.up = port.link_up();
    view.mtu = port.mtu();
    view.vlan = config.vlan;
    view.rx_queues = port.rx_queues();
    view.tx_queues = port.tx_queues();
    view.numa = port.node();
    view.rx_packets = stats.rx_packets;
    view.rx_bytes = stats.rx_bytes;
    view.tx_packets = stats.tx_packets;
    view.tx_bytes = stats.tx_bytes;
    view.rx_missed = stats.rx_missed;
    view.rx_nombuf = stats.rx_nombuf;
    for (const IpPrefix& address : config.addresses)
        view.addresses.push_back(to_string(address));
    return view;
}

TrafficView RunningDataPlane::service_traffic(ServiceId id) const {
    return weir::service_traffic(engine_, id);
}

TrafficView RunningDataPlane::backend_traffic(BackendId id) const {
    return weir::backend_traffic(engine_, id);
}

std::vector<FlowMailbox*> RunningDataPlane::flow_mailboxes() {
    return engine_.flow_mailboxes();
}

std::vector<StationMailbox*> RunningDataPlane::station_mailboxes() {
    return engine_.station_mailboxes();
}

Result<void> RunningDataPlane::set_vips(const std::vector<IpAddress>& vips) {
    return hardware_.set_vips(vips);
}

Tick RunningDataPlane::now() const {
    return engine_.clock().now();
}

}  // namespace weir
