// SPDX-License-Identifier: BSD-3-Clause
// A valid configuration, and how tests change one thing of it.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "lib/control/config.hh"

namespace weir {

// Lines are numbered from the first one below. Ports: wan0 with a TAP, lan0 without.
inline constexpr std::string_view valid_config = R"(config_version = 1
[system]
name = "lb1"
hash_seed = "0x5765697200000001"
control_lcore = 0
worker_lcores = [1, 2]
memory = { hugepages = "1GiB", mode = "in-memory" }
[[port]]
name = "wan0"
device = "net_af_xdp0,iface=veth0"
address = ["198.51.100.5/24", "2001:db8:1::5/64"]
gateway = ["198.51.100.1", "2001:db8:1::1"]
exception_tap = "wan0x"
[[port]]
name = "lan0"
device = "0000:8a:00.1"
mtu = 1560
address = ["10.0.0.5/16"]
tunnel_source = ["198.18.64.0/24"]
neighbor = [{ address = "10.0.1.11", mac = "02:00:00:00:00:11" }]
[health.web]
type = "http"
path = "/healthz"
interval = "2s"
timeout = "1s"
[[service]]
name = "web"
vip = "203.0.113.10"
protocol = "tcp"
port = 443
forward = "dsr-l2"
schedule = { method = "maglev", table_size = 251 }
health = "web"
backend = [
  { name = "web-1", address = "198.51.100.11", weight = 50 },
  { name = "web-2", address = "198.51.100.12", state = "drain" },
]
[[service]]
name = "tunnel"
vip = "2001:db8:443::10"
protocol = "udp"
port = "8000-8099"
forward = "ipip"
backend = [{ name = "t-1", address = "10.0.1.11" }]
[api]
socket = { path = "/run/weir/ctl.sock", mode = "0660" }
http = { listen = "127.0.0.1:8404" }
)";

// The text with the first `from` replaced. Throws when there is none: the test is then wrong.
inline std::string with(std::string_view text, std::string_view from, std::string_view to) {
    std::string result(text);
    const std::size_t at = result.find(from);
    if (at == std::string::npos) throw std::logic_error(fmt::format("no '{}' to replace", from));
    return result.replace(at, from.size(), to);
}

// "line:column: message" of each error.
inline std::vector<std::string> errors_of(std::string_view text) {
    std::vector<std::string> errors;
    for (const ConfigError& error : parse_config(text, "weir.toml").errors) {
        errors.push_back(fmt::format("{}:{}: {}", error.line, error.column, error.message));
    }
    return errors;
}

}  // namespace weir
