// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/control/sample_view.hh"

#include <fmt/format.h>

#include "lib/control/metrics.hh"

namespace weir::test {
namespace {

TrafficView traffic(std::uint64_t base) {
    return {base + 1, base + 2, base + 3, base + 4};
}

BackendView backend(std::string name, std::string state, std::uint64_t base) {
    BackendView view;
    view.name = std::move(name);
    view.address = *parse_ip("10.0.1.11");
    view.weight = 70;
    view.quic_server_id = {0x0a, 0xb0};
    view.state = std::move(state);
    view.configured = "active";
    view.check_detail = "HTTP 200";
    view.takes_new = view.keeps_flows = view.resolved = true;
    view.slots = 21846;
    view.next_hop = "10.0.1.11";
    view.port = "lan0";
    view.traffic = traffic(base);
    return view;
}

HealthView health(std::string backend_name) {
    HealthView view;
    view.service = "web";
    view.backend = std::move(backend_name);
    view.check = "web";
    view.detail = "HTTP 200";
    view.state = "up";
    view.streak = 9;
    view.successes = 90;
    view.failures = 10;
    view.transitions = 2;
    view.last_seconds = 0.0021;
    view.since_seconds = 61.5;
    view.duration_buckets.assign(probe_duration_bounds.size() + 1, 100);
    view.duration_buckets[0] = 40;
    view.duration_sum = 0.25;
    return view;
}

WorkerView worker(std::string name, bool is_worker) {
    WorkerView view;
    view.name = std::move(name);
    view.lcore = 1;
    view.cpu = 2;
    view.polls_nic = true;
    view.is_worker = is_worker;
    view.received = 1001;
    view.handed_over = 1002;
    view.handed_in = 1003;
    view.sent = 1004;
    view.punted = 1005;
    view.dropped = 1006;
    view.loops = 1007;
    view.busy_loops = 1008;
    view.busy_seconds = 12.5;
    view.seconds_since_loop = 0.001;
    view.last_loop_timestamp = 1700000000.25;
    view.flow_entries = 1009;
    view.flow_capacity = 1'048'576;
    view.flow_insert_failed = 1010;
    return view;
}

PortView port() {
    PortView view;
    view.name = "lan0";
    view.device = "net_af_xdp0,iface=veth0";
    view.driver = "net_af_xdp";
    view.profile = "net_af_xdp";
    view.mac = "02:00:00:00:00:01";
    view.tap = "lan0x";
    view.up = true;
    view.mtu = 1500;
    view.rx_queues = view.tx_queues = 1;
    view.rx_packets = 2001;
    view.rx_bytes = 2002;
    view.tx_packets = 2003;
    view.tx_bytes = 2004;
    view.rx_missed = 2005;
    view.rx_nombuf = 2006;
    view.tx_full = 2007;
    view.tap_to_port = 2008;
    view.port_to_tap = 2009;
    view.probe_out = 2010;
    view.probe_in = 2011;
    view.addresses = {"10.0.0.5/16", "fd00:5::5/64"};
    return view;
}

}  // namespace

InstanceView sample_view() {
    InstanceView view;
    view.name = "lb1.ams";
    view.version = "0.1.0";
    view.dpdk_version = "DPDK 22.11.11";
    view.config_path = "/etc/weir/weir.toml";
    view.pid = 4711;
    view.start_timestamp = 1700000000.5;
    view.uptime_seconds = 3600.25;
    view.config_generation = 7;
    view.tables_version = 19;
    view.received = 3001;
    view.sent = 3002;
    view.punted = 3003;
    view.dropped = 3004;
    view.injected = 3005;
    view.punted_by_class = {3101, 3102, 3103, 3104};
    view.icmp_errors_sent = {3201, 3202};
    ServiceView web;
    web.name = "web";
    web.vip = "203.0.113.10";
    web.protocol = "tcp";
    web.ports = "443";
    web.forward = "ipip";
    web.health = "web";
    web.family = "ipv4";
    web.table_size = 65537;
    web.quic_configs = {0, 6};
    web.traffic = traffic(4000);
    web.backends = {backend("web-1", "up", 5000), backend("web-2", "down", 6000),
                    backend("web-3", "drain", 7000), backend("web-4", "unknown", 8000),
                    backend("web-5", "disabled", 9000)};
    view.services = {web};
    view.workers = {worker("worker0", true), worker("rx0", false)};
    view.ports = {port()};
    view.neighbors = {{"lan0", "10.0.1.11", "02:00:00:00:00:11", "REACHABLE", "kernel", true},
                      {"lan0", "10.0.1.12", "", "INCOMPLETE", "kernel", false}};
    view.health = {health("web-1"), health("web-2")};
    view.drops = {{"not_ip", "Neither IPv4 nor IPv6.", 8001}, {"no_backend", "None is up.", 8002}};
    view.pools = {{"mbufs0", 8101, 8102}};
    view.rings = {{"handover 0-1", 8201, 8202}};
    view.warnings = {"control and worker0 share CPU 0"};
    return view;
}

}  // namespace weir::test
