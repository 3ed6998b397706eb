// SPDX-License-Identifier: BSD-3-Clause
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "tests/unit/control/config_fixture.hh"

namespace weir {

namespace {

// What a reload of the text with one replacement would refuse.
std::vector<std::string> refused(std::string_view from, std::string_view to) {
    const ConfigResult running = parse_config(valid_config, "a.toml");
    const ConfigResult next = parse_config(with(valid_config, from, to), "b.toml");
    for (const ConfigError& error : next.errors)
        UNSCOPED_INFO(to_string(error));
    REQUIRE(running.config.has_value());
    REQUIRE(next.config.has_value());
    return restart_only_differences(*running.config, *next.config);
}

struct Change {
    std::string_view from, to;
    std::string sentence;
};

}  // namespace

TEST_CASE("reload: what waits for a restart is named with both values", "[config]") {
    const std::vector<Change> changes{
        {"\"lb1\"", "\"lb2\"", "[system] name: needs a restart (running: \"lb1\", file: \"lb2\")"},
        {"0x5765697200000001", "1",
         "[system] hash_seed: needs a restart (running: \"0x5765697200000001\", file: "
         "\"0x0000000000000001\")"},
        {"control_lcore = 0", "control_lcore = 3",
         "[system] control_lcore: needs a restart (running: 0, file: 3)"},
        {"worker_lcores = [1, 2]", "worker_lcores = [2, 1]",
         "[system] worker_lcores: needs a restart (running: [1, 2], file: [2, 1])"},
        {"worker_lcores = [1, 2]", "worker_lcores = [1, 2]\nrx_lcores = [3]",
         "[system] rx_lcores: needs a restart (running: [], file: [3])"},
        {"1GiB", "1536MiB",
         "[system] memory.hugepages: needs a restart (running: \"1GiB\", file: \"1536MiB\")"},
        {"hugepages = \"1GiB\", ", "",
         "[system] memory.hugepages: needs a restart (running: \"1GiB\", file: auto)"},
        {"in-memory", "shared",
         "[system] memory.mode: needs a restart (running: \"in-memory\", file: \"shared\")"},
        {"mode = \"in-memory\"", "mbufs = 32768",
         "[system] memory.mbufs: needs a restart (running: auto, file: 32768)"},
        {"control_lcore = 0", "idle = \"pause\"",
         "[system] idle: needs a restart (running: \"busy\", file: \"pause\")"},
        {"control_lcore = 0", "log.level = \"debug\"",
         "[system] log.level: needs a restart (running: \"info\", file: \"debug\")"},
        {"iface=veth0", "iface=veth9",
         "[[port]] wan0 device: needs a restart (running: \"net_af_xdp0,iface=veth0\", file: "
         "\"net_af_xdp0,iface=veth9\")"},
        {"mtu = 1560", "mtu = 1600",
         "[[port]] lan0 mtu: needs a restart (running: 1560, file: 1600)"},
        {"mtu = 1560", "mtu = 1560\nvlan = 5",
         "[[port]] lan0 vlan: needs a restart (running: 0, file: 5)"},
        {"mtu = 1560", "mtu = 1560\nqueues = 2",
         "[[port]] lan0 queues: needs a restart (running: auto, file: 2)"},
        {"mtu = 1560", "mtu = 1560\nrings = { rx = 512 }",
         "[[port]] lan0 rings.rx: needs a restart (running: auto, file: 512)"},
        {"mtu = 1560", "mtu = 1560\nprofile = \"net_ice\"",
         "[[port]] lan0 profile: needs a restart (running: \"auto\", file: \"net_ice\")"},
        {"10.0.0.5/16", "10.0.0.6/16",
         "[[port]] lan0 address: needs a restart (running: [\"10.0.0.5/16\"], file: "
         "[\"10.0.0.6/16\"])"},
        {"\"198.51.100.1\", ", "",
         "[[port]] wan0 gateway: needs a restart (running: [\"198.51.100.1\", "
         "\"2001:db8:1::1\"], file: [\"2001:db8:1::1\"])"},
        {"wan0x\"", "wan0y\"",
         "[[port]] wan0 exception_tap: needs a restart (running: \"wan0x\", file: \"wan0y\")"},
        {"mtu = 1560", "mtu = 1560\nexception_tap = \"lan0x\"",
         "[[port]] lan0 exception_tap: needs a restart (running: none, file: \"lan0x\")"},
        {"wan0x\"", "wan0x\"\nexception_tap_persist = true",
         "[[port]] wan0 exception_tap_persist: needs a restart (running: false, file: true)"},
        {"name = \"lan0\"", "name = \"lan1\"",
         "[[port]]: ports are added, removed and moved by a restart (running: wan0, lan0, file: "
         "wan0, lan1)"},
        {"[api]", "[conntrack]\nentries_per_worker = 4096\n[api]",
         "[conntrack] entries_per_worker: needs a restart (running: 1048576, file: 4096)"},
        {"ctl.sock", "other.sock",
         "[api] socket.path: needs a restart (running: \"/run/weir/ctl.sock\", file: "
         "\"/run/weir/other.sock\")"},
        {"\"0660\"", "\"0600\"",
         "[api] socket.mode: needs a restart (running: \"0660\", file: \"0600\")"},
        {"127.0.0.1:8404", "[::1]:8404",
         "[api] http.listen: needs a restart (running: \"127.0.0.1:8404\", file: \"[::1]:8404\")"},
        {"http = { listen = \"127.0.0.1:8404\" }", "",
         "[api] http.listen: needs a restart (running: \"127.0.0.1:8404\", file: none)"},
    };
    for (const Change& change : changes) {
        INFO(change.from << " -> " << change.to);
        CHECK(refused(change.from, change.to) == std::vector<std::string>{change.sentence});
    }
}

TEST_CASE("reload: services, health, timeouts, neighbours and tunnel sources are live",
          "[config]") {
    for (const auto& [from, to] : std::vector<std::pair<std::string_view, std::string_view>>{
             {"weight = 50", "weight = 51"},
             {"name = \"tunnel\"", "name = \"other\""},
             {"interval = \"2s\"", "interval = \"4s\""},
             {"198.18.64.0/24", "198.18.65.0/24"},
             {"00:00:11", "00:00:12"},
             {"[api]", "[conntrack]\nwhen_full = \"drop-new\"\ntimeout = { udp = \"1s\" }\n[api]"},
             {"[api]", "[icmp]\nerrors_per_second = 0\n[api]"},
         }) {
        INFO(from << " -> " << to);
        CHECK(refused(from, to).empty());
    }
}

TEST_CASE("reload: every difference is told at once", "[config]") {
    CHECK(refused("name = \"lb1\"\nhash_seed = \"0x5765697200000001\"\ncontrol_lcore = 0",
                  "control_lcore = 9")
              .size() == 3);
}

}  // namespace weir
