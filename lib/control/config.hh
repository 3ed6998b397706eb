// SPDX-License-Identifier: BSD-3-Clause
// Config: the configuration file as checked values. One grammar for start-up, reload, API and
// tests: all build this type, and only load_config() makes one from text.
//
// Durations are milliseconds, sizes bytes, ports host byte order. Vectors keep file order.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/balance/quic_lb.hh"
#include "lib/balance/service.hh"
#include "lib/balance/tables.hh"
#include "lib/flow/tcp_state.hh"
#include "lib/wire/address.hh"

namespace weir {

enum class MemoryMode : std::uint8_t { in_memory, shared, no_huge };
enum class LogLevel : std::uint8_t { error, warning, info, debug };
enum class BackendState : std::uint8_t { active, drain, disabled };
enum class HealthType : std::uint8_t { tcp, http };

struct MemoryConfig {
    std::uint64_t hugepages = 0;  // bytes; 0: what the plan needs
    MemoryMode mode = MemoryMode::in_memory;
    std::uint32_t mbufs = 0;  // per NUMA node; 0: what the plan needs
    bool operator==(const MemoryConfig&) const = default;
};

struct SystemConfig {
    std::string name = "weir";
    std::uint64_t hash_seed = 0;
    unsigned control_lcore = 0;           // CPU ids
    std::vector<unsigned> rx_lcores;      // empty: every worker polls its own queue
    std::vector<unsigned> worker_lcores;  // at least one
    MemoryConfig memory;
    bool idle_pause = false;  // polling lcores without packets take short naps
    LogLevel log_level = LogLevel::info;
    bool operator==(const SystemConfig&) const = default;
};

struct StaticNeighbor {
    IpAddress address;
    MacAddress mac;
    bool operator==(const StaticNeighbor&) const = default;
};

struct PortConfig {
    std::string name;
    std::string device;  // PCI address or vdev with its arguments
    std::string profile = "auto";
    std::uint16_t queues = 0;                              // 0: auto
    std::uint16_t rx_descriptors = 0, tx_descriptors = 0;  // 0: the profile's
    std::uint16_t mtu = 1500;
    std::uint16_t vlan = 0;
    std::vector<IpPrefix> addresses;
    std::vector<IpAddress> gateways;  // at most one of each family
    std::optional<std::string> exception_tap;
    bool exception_tap_persist = false;
    std::vector<IpPrefix> tunnel_source;  // at most one of each family
    std::vector<StaticNeighbor> neighbors;
    bool operator==(const PortConfig&) const = default;
};

struct ConntrackConfig {
    std::uint32_t entries_per_worker = 1'048'576;
    WhenFull when_full = WhenFull::stateless;
    bool sloppy_tcp = true, expire_nodest_conn = true;  // as in Tables
    FlowTimeouts timeouts;
};

struct IcmpConfig {
    std::uint32_t errors_per_second = 1'000;  // that each worker sends; 0: none
};

struct HealthConfig {
    std::string name;
    HealthType type = HealthType::tcp;
    std::uint16_t port = 0;  // 0: the service's (a single port) or the backend's
    std::string path = "/";  // http
    std::string host;        // http: Host header; empty: the backend's address
    std::vector<int> expect_status{200};
    std::uint32_t interval = 2000, timeout = 1000;
    unsigned rise = 2, fall = 3;  // 1 .. 100
    bool operator==(const HealthConfig&) const = default;
};

struct BackendConfig {
    std::string name;
    IpAddress address;
    std::uint32_t weight = 100;  // 0 .. 65535
    BackendState state = BackendState::active;
    std::uint16_t port =
        0;  // nat, full-nat: in place of the client's destination port; 0: that one
    std::vector<std::uint8_t> quic_server_id;  // empty: none
    bool operator==(const BackendConfig&) const = default;
};

struct GueConfig {  // forward = "gue"
    std::uint16_t port = 6080;
    std::uint8_t variant = 1;  // 1: the packet directly behind UDP; 0: a GUE header between
    bool operator==(const GueConfig&) const = default;
};

struct L3dsrConfig {        // forward = "l3dsr"
    std::uint8_t dscp = 0;  // 1 .. 63 then
    bool operator==(const L3dsrConfig&) const = default;
};

// forward = "full-nat": addresses first .. last, of one family, as packets' sources.
struct SourcePool {
    IpAddress first, last;
    bool operator==(const SourcePool&) const = default;
};

struct ServiceConfig {
    std::string name;
    ServiceKey key;
    Forward forward = Forward::dsr_l2;
    std::uint16_t mss_clamp = 0;  // bytes; 0: none
    GueConfig gue;
    L3dsrConfig l3dsr;
    std::optional<SourcePool> source_pool;               // full-nat
    ClientAddress client_address = ClientAddress::none;  // full-nat
    std::vector<QuicLbConfig> quic;                      // empty: connection IDs are not looked at
    std::uint32_t table_size = 0;                        // always set after load: a prime
    std::string health;                                  // name of a [health.X]; empty: always up
    std::vector<BackendConfig> backends;                 // file order; seats go by name
    bool operator==(const ServiceConfig&) const = default;
};

struct ApiConfig {
    std::string socket_path = "/run/weir/ctl.sock";
    unsigned socket_mode = 0660;
    std::optional<std::string> http_host;  // absent: HTTP is off
    std::uint16_t http_port = 0;
    bool operator==(const ApiConfig&) const = default;
};

struct Config {
    SystemConfig system;
    std::vector<PortConfig> ports;
    ConntrackConfig conntrack;
    IcmpConfig icmp;
    std::map<std::string, HealthConfig> health;
    std::vector<ServiceConfig> services;
    ApiConfig api;
    std::string path;  // the file as given
};

// Every address of every service's pool, in PoolOrder, each once.
std::vector<IpAddress> pool_addresses(const Config& config);
// How many there may be: each takes 8 MiB and some, shared by the workers.
inline constexpr std::size_t max_pool_addresses = 256;

struct ConfigError {
    std::string file;
    unsigned line = 1, column = 1;
    std::string message;
};
// "file:line:col: message"
std::string to_string(const ConfigError& error);

struct ConfigResult {
    std::optional<Config> config;     // set exactly when errors is empty
    std::vector<ConfigError> errors;  // sorted by line and column; all of them, a caller prints 50
};

// Reads the file once, whole (at most 256 MiB; refuses directories, NUL bytes; takes BOM and CRLF).
// Blocking file input; no other side effect. Control thread or before start.
ConfigResult load_config(const std::string& path);
// The same for text in memory; `path` names it in errors.
ConfigResult parse_config(std::string_view text, const std::string& path);

// What a reload may not change while running: one located-by-key sentence for each difference.
std::vector<std::string> restart_only_differences(const Config& running, const Config& next);

}  // namespace weir
