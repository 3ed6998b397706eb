// SPDX-License-Identifier: BSD-3-Clause
#include <fstream>
#include <iterator>
#include <string>

#include <catch2/catch.hpp>

#include "tests/unit/control/config_fixture.hh"

namespace weir {

namespace {

const std::string data = std::string(WEIR_SOURCE_ROOT) + "/tests/unit/control/data/";

Config config_of(std::string_view text) {
    ConfigResult result = parse_config(text, "weir.toml");
    for (const ConfigError& error : result.errors)
        UNSCOPED_INFO(to_string(error));
    REQUIRE(result.config.has_value());
    return *std::move(result.config);
}

IpAddress ip(std::string_view text) {
    return parse_ip(text).value();
}
IpPrefix prefix(std::string_view text) {
    return parse_prefix(text).value();
}

}  // namespace

TEST_CASE("config: a valid file gives exactly its values", "[config]") {
    const Config config = config_of(valid_config);
    CHECK(config.path == "weir.toml");
    CHECK(config.system ==
          SystemConfig{.name = "lb1",
                       .hash_seed = 0x5765697200000001,
                       .control_lcore = 0,
                       .rx_lcores = {},
                       .worker_lcores = {1, 2},
                       .memory = {.hugepages = 1u << 30, .mode = MemoryMode::in_memory, .mbufs = 0},
                       .log_level = LogLevel::info});
    REQUIRE(config.ports.size() == 2);
    PortConfig wan;
    wan.name = "wan0";
    wan.device = "net_af_xdp0,iface=veth0";
    wan.addresses = {prefix("198.51.100.5/24"), prefix("2001:db8:1::5/64")};
    wan.gateways = {ip("198.51.100.1"), ip("2001:db8:1::1")};
    wan.exception_tap = "wan0x";
    CHECK(config.ports[0] == wan);
    PortConfig lan;
    lan.name = "lan0";
    lan.device = "0000:8a:00.1";
    lan.mtu = 1560;
    lan.addresses = {prefix("10.0.0.5/16")};
    lan.tunnel_source = {prefix("198.18.64.0/24")};
    lan.neighbors = {{ip("10.0.1.11"), MacAddress{{2, 0, 0, 0, 0, 0x11}}}};
    CHECK(config.ports[1] == lan);
    REQUIRE(config.health.size() == 1);
    CHECK(config.health.at("web") == HealthConfig{.name = "web",
                                                  .type = HealthType::http,
                                                  .port = 0,
                                                  .path = "/healthz",
                                                  .host = "",
                                                  .expect_status = {200},
                                                  .interval = 2000,
                                                  .timeout = 1000,
                                                  .rise = 2,
                                                  .fall = 3});
    REQUIRE(config.services.size() == 2);
    ServiceConfig web;
    web.name = "web";
    web.key = {ip("203.0.113.10"), ServiceProtocol::tcp, 443, 443};
    web.table_size = 251;
    web.health = "web";
    web.backends = {{"web-1", ip("198.51.100.11"), 50, BackendState::active},
                    {"web-2", ip("198.51.100.12"), 100, BackendState::drain}};
    CHECK(config.services[0] == web);
    ServiceConfig tunnel;
    tunnel.name = "tunnel";
    tunnel.key = {ip("2001:db8:443::10"), ServiceProtocol::udp, 8000, 8099};
    tunnel.forward = Forward::ipip;
    tunnel.table_size = maglev_default_size(1);
    tunnel.backends = {{"t-1", ip("10.0.1.11"), 100, BackendState::active}};
    CHECK(config.services[1] == tunnel);
    CHECK(config.api == ApiConfig{.socket_path = "/run/weir/ctl.sock",
                                  .socket_mode = 0660,
                                  .http_host = "127.0.0.1",
                                  .http_port = 8404});
}

TEST_CASE("config: what may be left out has its default", "[config]") {
    const Config config = config_of(R"(config_version = 1
[system]
worker_lcores = [0]
[[port]]
name = "p0"
device = "net_null0"
)");
    CHECK(config.system.name == "weir");
    CHECK(config.system.hash_seed == 0);
    CHECK(config.system.memory == MemoryConfig{});
    CHECK(config.ports[0].mtu == 1500);
    CHECK(config.ports[0].profile == "auto");
    CHECK(config.ports[0].queues == 0);
    CHECK(config.conntrack.entries_per_worker == 1'048'576);
    CHECK(config.conntrack.when_full == WhenFull::stateless);
    CHECK(config.conntrack.sloppy_tcp);
    CHECK(config.conntrack.expire_nodest_conn);
    CHECK(config.conntrack.timeouts.tcp_established == 900'000);
    CHECK(config.icmp.errors_per_second == 1000);
    CHECK(config.services.empty());
    CHECK(config.api == ApiConfig{});
}

TEST_CASE("config: all keys of [conntrack], ports and numbers in their other forms", "[config]") {
    const Config config = config_of(R"(config_version = 1
[system]
hash_seed = "ff"
control_lcore = 3
rx_lcores = [1, 2]
worker_lcores = [2, 3]
idle = "pause"
memory = { mode = "no-huge", mbufs = 16_384 }
log.level = "debug"
[[port]]
name = "p0"
device = "8a:00.0"
queues = 2
rings = { rx = 2048, tx = 512 }
vlan = 7
profile = "net_ice"
exception_tap = "p0x"
exception_tap_persist = true
[conntrack]
entries_per_worker = 4096
when_full = "drop-new"
sloppy_tcp = false
expire_nodest_conn = false
timeout = { tcp_syn = "5s", tcp_established = "1h", tcp_fin = "1s", udp = "1500ms", icmp = "2m" }
[icmp]
errors_per_second = 20
[[service]]
name = "all"
vip = "192.0.2.1"
protocol = "any"
port = "any"
forward = "ipip"
mss_clamp = 1400
backend = []
[api.http]
listen = "[::1]:80"
)");
    CHECK(config.system.hash_seed == 0xff);
    CHECK(config.system.control_lcore == 3);
    CHECK(config.system.rx_lcores == std::vector<unsigned>{1, 2});
    CHECK(config.system.memory.mode == MemoryMode::no_huge);
    CHECK(config.system.memory.mbufs == 16384);
    CHECK(config.system.idle_pause);
    CHECK(config.system.log_level == LogLevel::debug);
    CHECK(config.ports[0].device == "0000:8a:00.0");
    CHECK(config.ports[0].queues == 2);
    CHECK(config.ports[0].rx_descriptors == 2048);
    CHECK(config.ports[0].tx_descriptors == 512);
    CHECK(config.ports[0].vlan == 7);
    CHECK(config.ports[0].profile == "net_ice");
    CHECK(config.ports[0].exception_tap_persist);
    CHECK(config.conntrack.entries_per_worker == 4096);
    CHECK(config.conntrack.when_full == WhenFull::drop_new);
    CHECK_FALSE(config.conntrack.sloppy_tcp);
    CHECK_FALSE(config.conntrack.expire_nodest_conn);
    const FlowTimeouts& timeouts = config.conntrack.timeouts;
    CHECK(timeouts.tcp_syn == 5000);
    CHECK(timeouts.tcp_established == 3'600'000);
    CHECK(timeouts.tcp_fin == 1000);
    CHECK(timeouts.udp == 1500);
    CHECK(timeouts.icmp == 120'000);
    CHECK(config.icmp.errors_per_second == 20);
    CHECK(config.services[0].key == ServiceKey{ip("192.0.2.1"), ServiceProtocol::any, 0, 65535});
    CHECK(config.services[0].mss_clamp == 1400);
    CHECK(config.api.http_host == "::1");
    CHECK(config.api.http_port == 80);
}

TEST_CASE("config: the smallest file of the reference is valid", "[config]") {
    std::ifstream file(std::string(WEIR_SOURCE_ROOT) + "/docs/configuration.md");
    std::string text(std::istreambuf_iterator<char>(file), {});
    const std::string fence = "```toml\n";
    REQUIRE(text.find(fence) != std::string::npos);
    text = text.substr(text.find(fence) + fence.size());
    CHECK(errors_of(text.substr(0, text.find("```"))).empty());
}

TEST_CASE("config: the example gives one error for each feature that is not built", "[config]") {
    std::vector<std::string> errors;
    for (const ConfigError& error : load_config(data + "example.toml").errors) {
        errors.push_back(fmt::format("{}:{}: {}", error.line, error.column, error.message));
    }
    CHECK(errors ==
          std::vector<std::string>{
              "67:12: 'groups' in [[service]] is not built yet; leave it out and give the backends "
              "weights",
              "69:66: 'group' in a backend is not built yet; leave it out and give the backend a "
              "weight",
              "70:66: 'group' in a backend is not built yet; leave it out and give the backend a "
              "weight",
              "71:53: 'group' in a backend is not built yet; leave it out and give the backend a "
              "weight",
              "82:17: 'backends_from' in [[service]] is not built yet; write the backends into the "
              "service",
              "91:12: 'affinity' in [[service]] is not built yet; flows keep their backend by the "
              "connection table",
              "101:23: method = \"source-hash\" is not built yet; this version has maglev",
              "102:104: 'role' in a backend is not built yet; set state = \"disabled\" until the "
              "backend is needed",
          });
}

TEST_CASE("config: twenty different mistakes give twenty located errors", "[config]") {
    const ConfigResult result = load_config(data + "twenty-mistakes.toml");
    std::vector<std::string> places;
    for (const ConfigError& error : result.errors) {
        UNSCOPED_INFO(to_string(error));
        places.push_back(fmt::format("{}:{}", error.line, error.column));
    }
    CHECK_FALSE(result.config.has_value());
    CHECK(places == std::vector<std::string>{"5:17",  "6:1",   "7:21",  "8:47",  "12:17",
                                             "13:17", "21:24", "22:17", "27:13", "28:21",
                                             "31:12", "33:12", "40:27", "41:12", "44:12",
                                             "45:31", "46:31", "51:12", "54:39", "57:19"});
}

}  // namespace weir
