// SPDX-License-Identifier: BSD-3-Clause
// InstanceView: every figure that anyone can ask for, as plain values taken at one moment. The
// metrics page, the JSON API, weirctl and DPDK's telemetry are all made from it, so they agree.
// Built on the control lcore; a finished one is immutable and may be read from any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/control/config.hh"
#include "lib/dataplane/verdict.hh"

namespace weir {

struct TrafficView {
    std::uint64_t packets = 0, bytes = 0, new_flows = 0, active_flows = 0;
};

struct HealthView {
    std::string service, backend, check, detail;  // detail: of the last probe
    std::string state;                            // "up" | "down" | "unknown"
    unsigned streak = 0;
    std::uint64_t successes = 0, failures = 0, transitions = 0;
    double last_seconds = 0, since_seconds = 0;   // last probe's duration; time in this state
    std::vector<std::uint64_t> duration_buckets;  // cumulative, bounds in metrics.hh
    double duration_sum = 0;
};

struct BackendView {
    std::string name;
    IpAddress address;
    std::uint32_t weight = 0;
    std::vector<std::uint8_t> quic_server_id;  // empty: none
    std::string state;                         // "up" | "down" | "unknown" | "drain" | "disabled"
    std::string configured;                    // "active" | "drain" | "disabled"
    std::string check_detail;                  // last probe's words, empty without health
    bool takes_new = false, keeps_flows = false;
    std::uint32_t slots = 0;
    std::string next_hop, port;  // "10.0.1.11", "lan0"; empty without route
    bool resolved = false;
    TrafficView traffic;
};

struct ServiceView {
    std::string name, vip, protocol, ports, forward, health,
        family;  // ports: "443", "8000-8099", "any"
    std::uint32_t table_size = 0;
    std::vector<unsigned> quic_configs;  // ids; empty: connection IDs are not looked at
    std::vector<BackendView> backends;   // file order
    TrafficView traffic;
};

struct WorkerView {
    std::string name;  // "worker0", "rx0"
    unsigned lcore = 0, cpu = 0, numa = 0;
    bool polls_nic = false, is_worker = false;
    std::uint64_t received = 0, handed_over = 0, handed_in = 0, sent = 0, punted = 0, dropped = 0;
    std::uint64_t loops = 0, busy_loops = 0;
    double busy_seconds = 0, seconds_since_loop = 0, last_loop_timestamp = 0;  // last: Unix time
    std::uint64_t flow_entries = 0, flow_capacity = 0, flow_insert_failed = 0;
};

struct PortView {
    std::string name, device, driver, profile, mac, tap;  // tap empty: none
    bool up = false;
    std::uint16_t mtu = 0, vlan = 0;
    unsigned rx_queues = 0, tx_queues = 0, numa = 0;
    std::uint64_t rx_packets = 0, rx_bytes = 0, tx_packets = 0, tx_bytes = 0;
    std::uint64_t rx_missed = 0, rx_nombuf = 0, tx_full = 0;
    std::uint64_t tap_to_port = 0, port_to_tap = 0, probe_out = 0, probe_in = 0;  // exception path
    std::vector<std::string> addresses;
};

struct NeighborView {
    std::string port, address, mac, state, source;  // source: "static" | "kernel"
    bool resolved = false;
};

struct DropView {
    std::string reason, help;
    std::uint64_t packets = 0;
};

struct PoolView {
    std::string name;
    std::uint64_t free = 0, size = 0;
};
struct RingView {
    std::string name;
    std::uint64_t used = 0, size = 0;
};

struct InstanceView {
    std::string name, version, dpdk_version, config_path;
    int pid = 0;
    double start_timestamp = 0, uptime_seconds = 0;
    std::uint64_t config_generation = 0, tables_version = 0;
    bool last_reload_ok = true;
    std::string last_reload_error;
    std::uint64_t received = 0, sent = 0, punted = 0, dropped = 0, injected = 0, fragmented = 0;
    std::array<std::uint64_t, punt_class_count> punted_by_class{};
    std::array<std::uint64_t, icmp_error_type_count> icmp_errors_sent{};
    std::vector<ServiceView> services;
    std::vector<WorkerView> workers;
    std::vector<PortView> ports;
    std::vector<NeighborView> neighbors;
    std::vector<HealthView> health;
    std::vector<DropView> drops;  // every reason that can occur, in order
    std::vector<PoolView> pools;
    std::vector<RingView> rings;
    std::vector<std::string> warnings;
};

// What a reader needs of the parts of a view that grow with the configuration; with 100 000
// backends all of them cost some 200 ms.
struct ViewScope {
    enum class Services {
        all,
        one,     // `service` alone; none when there is no such
        states,  // all, but of their backends only how many there are, and their states
        none,
    } services = Services::all;
    std::string service{};  // of Services::one
    bool neighbors = true, health = true;

    static ViewScope only(std::string name) {
        return {Services::one, std::move(name), false, false};
    }
    static ViewScope small() { return {Services::none, {}, false, false}; }
};

}  // namespace weir
