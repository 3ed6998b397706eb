// SPDX-License-Identifier: BSD-3-Clause
#include "tests/fuzz/process_scenes.hh"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <utility>

#include "lib/control/compile.hh"
#include "lib/control/config.hh"

namespace weir::fuzz {

namespace {

// One service as the file would have it. `backends`: their addresses, separated by blanks.
struct Spec {
    const char *vip, *protocol, *port, *forward, *backends;
    const char* more = "";          // further keys
    const char* backend_more = "";  // further keys of each backend
};

std::string service_text(std::size_t number, const Spec& spec) {
    std::string text = "[[service]]\nname = \"s" + std::to_string(number) + "\"\nvip = \"" +
                       spec.vip + "\"\nprotocol = \"" + spec.protocol + "\"\nport = " + spec.port +
                       "\nforward = \"" + spec.forward +
                       "\"\nschedule = { method = \"maglev\", table_size = 251 }\n" + spec.more +
                       "\nbackend = [\n";
    std::string all = spec.backends;
    for (std::size_t i = 0; !all.empty(); ++i) {
        const std::size_t end = all.find(' ');
        text += "  { name = \"b" + std::to_string(i) + "\", address = \"" + all.substr(0, end) +
                "\"" + spec.backend_more + " },\n";
        all = end == std::string::npos ? "" : all.substr(end + 1);
    }
    return text + "]\n";
}

const char* const head = R"(
config_version = 1
[system]
name = "fuzz"
hash_seed = "0x5765697200000001"
control_lcore = 0
worker_lcores = [1]
memory = { mode = "no-huge", mbufs = 8192 }
)";

// wan0 and lan0 untagged, tagged0 with a tag and no TAP. 10.0.1.19 is not resolved.
const char* const three_ports = R"(
[[port]]
name = "wan0"
device = "net_null0"
address = ["198.51.100.5/24", "2001:db8:1::5/64"]
gateway = ["198.51.100.1", "2001:db8:1::1"]
exception_tap = "wan0x"
neighbor = [
  { address = "198.51.100.1", mac = "02:00:00:00:00:01" },
  { address = "2001:db8:1::1", mac = "02:00:00:00:00:01" },
  { address = "198.51.100.22", mac = "02:00:00:00:02:22" },
]
[[port]]
name = "lan0"
device = "net_null1"
mtu = 1560
address = ["10.0.0.5/16", "fd00:5::5/64"]
exception_tap = "lan0x"
tunnel_source = ["198.18.64.0/24", "2001:db8:1:ffff::/96"]
neighbor = [
  { address = "10.0.1.11", mac = "02:00:00:00:01:11" },
  { address = "10.0.1.12", mac = "02:00:00:00:01:12" },
  { address = "10.0.1.13", mac = "02:00:00:00:01:13" },
  { address = "fd00:5::11", mac = "02:00:00:00:01:11" },
  { address = "fd00:5::12", mac = "02:00:00:00:01:12" },
  { address = "fd00:5::13", mac = "02:00:00:00:01:13" },
]
[[port]]
name = "tagged0"
device = "net_null2"
vlan = 100
address = ["10.9.0.5/24"]
neighbor = [{ address = "10.9.0.11", mac = "02:00:00:00:09:11" }]
)";

// The smallest MTUs that there may be, with and without IPv6, and a tag towards clients.
const char* const thin_ports = R"(
[[port]]
name = "wan0"
device = "net_null0"
mtu = 1280
vlan = 7
address = ["198.51.100.5/24", "2001:db8:1::5/64"]
gateway = ["198.51.100.1", "2001:db8:1::1"]
exception_tap = "wan0x"
neighbor = [
  { address = "198.51.100.1", mac = "02:00:00:00:00:01" },
  { address = "2001:db8:1::1", mac = "02:00:00:00:00:01" },
]
[[port]]
name = "lan0"
device = "net_null1"
mtu = 1332
address = ["10.0.0.5/16", "fd00:5::5/64"]
exception_tap = "lan0x"
neighbor = [
  { address = "10.0.1.11", mac = "02:00:00:00:01:11" },
  { address = "10.0.1.12", mac = "02:00:00:00:01:12" },
  { address = "10.0.1.13", mac = "02:00:00:00:01:13" },
  { address = "fd00:5::11", mac = "02:00:00:00:01:11" },
  { address = "fd00:5::12", mac = "02:00:00:00:01:12" },
  { address = "fd00:5::13", mac = "02:00:00:00:01:13" },
]
[[port]]
name = "thin0"
device = "net_null2"
mtu = 576
address = ["10.9.0.5/24"]
neighbor = [{ address = "10.9.0.11", mac = "02:00:00:00:09:11" }]
)";

const std::vector<Spec> plain_services = {
    {"203.0.113.10", "tcp", "80", "dsr-l2", "10.0.1.11 10.0.1.12 10.0.1.13"},
    {"2001:db8:443::10", "tcp", "80", "dsr-l2", "fd00:5::11 fd00:5::12"},
    {"203.0.113.11", "tcp", "80", "ipip", "10.0.1.11 10.0.1.12 198.51.100.22"},
    {"203.0.113.12", "any", "80", "ipip", "fd00:5::11 fd00:5::12"},
    {"2001:db8:443::11", "any", "80", "ipip", "10.0.1.11 10.0.1.12"},
    {"2001:db8:443::12", "udp", "53", "ipip", "fd00:5::11 fd00:5::12"},
    {"203.0.113.13", "tcp", "\"8000-8099\"", "dsr-l2", "10.0.1.11 10.0.1.12"},
    {"203.0.113.13", "tcp", "8050", "ipip", "10.0.1.13 10.0.1.19"},
    {"203.0.113.14", "any", "\"any\"", "dsr-l2", "10.0.1.11 10.0.1.12"},
    {"203.0.113.14", "udp", "53", "l3dsr", "10.0.1.11 10.9.0.11", "l3dsr = { dscp = 63 }"},
    {"2001:db8:443::13", "any", "\"any\"", "l3dsr", "fd00:5::11 fd00:5::12",
     "l3dsr = { dscp = 10 }"},
    {"203.0.113.15", "any", "80", "dsr-l2", "10.9.0.11 10.0.1.11", "mss_clamp = 1400"},
    {"2001:db8:443::14", "tcp", "80", "ipip", "fd00:5::11 10.0.1.12", "mss_clamp = 1220"},
    {"203.0.113.53", "udp", "53", "dsr-l2", "10.0.1.11 10.0.1.12"},
};

const std::vector<Spec> tunnel_services = {
    {"203.0.113.10", "any", "80", "gre", "10.0.1.11 fd00:5::12"},
    {"2001:db8:443::10", "any", "80", "gre", "10.0.1.11 fd00:5::12"},
    {"203.0.113.11", "any", "80", "gue", "10.0.1.11 fd00:5::12"},
    {"2001:db8:443::11", "any", "80", "gue", "10.0.1.11 fd00:5::12"},
    {"203.0.113.12", "any", "80", "gue", "10.0.1.11 fd00:5::12",
     "gue = { port = 6081, variant = 0 }"},
    {"2001:db8:443::12", "any", "80", "gue", "10.0.1.11 fd00:5::12",
     "gue = { port = 6081, variant = 0 }"},
    {"203.0.113.13", "any", "\"any\"", "ipip", "10.9.0.11 10.0.1.11", "mss_clamp = 536"},
    {"203.0.113.14", "any", "80", "dsr-l2", "10.9.0.11 10.0.1.11"},
    {"203.0.113.15", "udp", "\"53-443\"", "gre", "10.0.1.19 10.0.1.12"},
    {"2001:db8:443::13", "any", "80", "ipip", "fd00:5::11 10.0.1.12"},
    {"203.0.113.53", "udp", "53", "l3dsr", "10.9.0.11 10.0.1.12", "l3dsr = { dscp = 1 }"},
};

const std::vector<Spec> nat_services = {
    {"203.0.113.10", "tcp", "80", "nat", "10.0.1.11 10.0.1.12", "", ", port = 8080"},
    {"203.0.113.10", "udp", "53", "nat", "10.0.1.11 10.0.1.12"},
    {"2001:db8:443::10", "tcp", "80", "nat", "fd00:5::11 fd00:5::12", "", ", port = 8080"},
    {"2001:db8:443::10", "udp", "53", "nat", "fd00:5::11 fd00:5::12"},
    {"203.0.113.11", "tcp", "\"8000-8079\"", "nat", "10.0.1.11 10.0.1.12"},
    {"203.0.113.12", "any", "\"any\"", "nat", "10.9.0.11 198.51.100.22", "mss_clamp = 1000"},
    {"203.0.113.13", "any", "80", "full-nat", "10.0.1.13 10.0.1.12",
     "mss_clamp = 1400\nnat = { source_pool = \"10.0.200.1\" }", ", port = 8443"},
    {"2001:db8:443::13", "any", "80", "full-nat", "fd00:5::13 fd00:5::12",
     "nat = { source_pool = \"fd00:5:0:0:200::1\" }", ", port = 8443"},
    {"203.0.113.14", "udp", "443", "full-nat", "10.0.1.13 10.0.1.19",
     "nat = { source_pool = \"10.0.200.1\" }"},
    {"203.0.113.15", "tcp", "80", "dsr-l2", "10.0.1.11 10.0.1.12"},
    {"2001:db8:443::14", "tcp", "80", "ipip", "10.0.1.11 10.0.1.12"},
};

// IPv6 clients of IPv4 backends, and the other way round.
const std::vector<Spec> family_services = {
    {"203.0.113.10", "any", "80", "full-nat", "fd00:5::11 fd00:5::12",
     "nat = { source_pool = \"fd00:5:0:0:200::1\" }", ", port = 8080"},
    {"2001:db8:443::10", "any", "80", "full-nat", "10.0.1.11 10.0.1.12",
     "nat = { source_pool = \"10.0.200.1\" }", ", port = 8080"},
    {"203.0.113.11", "any", "\"any\"", "full-nat", "fd00:5::11 2001:db8:9::11",
     "nat = { source_pool = \"fd00:5:0:0:200::1\" }"},
    {"2001:db8:443::11", "any", "\"any\"", "full-nat", "10.0.1.11 10.9.0.11",
     "nat = { source_pool = \"10.0.200.1\" }"},
    {"203.0.113.12", "any", "80", "full-nat", "10.0.1.11 10.0.1.12",
     "nat = { source_pool = \"10.0.200.1\" }"},
    {"2001:db8:443::12", "tcp", "80", "full-nat", "fd00:5::11",
     "nat = { source_pool = \"fd00:5:0:0:200::1\" }"},
    {"2001:db8:443::13", "tcp", "80", "ipip", "10.0.1.11 10.0.1.12"},
};

std::string text_of(const char* ports, const char* more, const std::vector<Spec>& services) {
    std::string text = std::string(head) + more + ports;
    for (std::size_t i = 0; i < services.size(); ++i)
        text += service_text(i, services[i]);
    return text;
}

[[noreturn]] void give_up(const std::string& why) {
    std::fprintf(stderr, "process_scenes.cc: %s\n", why.c_str());
    std::abort();
}

// The control plane's part: compiles one state after the other.
class Builder {
public:
    explicit Builder(const std::string& text) {
        ConfigResult result = parse_config(text, "scene.toml");
        if (!result.config) give_up(to_string(result.errors.front()));
        for (std::size_t i = 0; i < result.config->ports.size(); ++i)
            world_.ports.push_back({.mac = {{2, 0, 0, 0, 0, static_cast<std::uint8_t>(0xa0 + i)}},
                                    .has_tap = result.config->ports[i].exception_tap.has_value()});
        adopt(std::move(*result.config));
    }
    void adopt(Config config) {
        if (const auto adopted = registry_.adopt(config); !adopted)
            give_up(adopted.error().message);
        world_.config = std::make_shared<const Config>(std::move(config));
        world_.overrides.clear();
        ++world_.generation;
        for (const auto& key : needed_next_hops(*world_.config))
            (void)registry_.next_hop(key.port, key.address);
    }
    // The first `count` backends of each service.
    void override_first(std::size_t count, BackendState state) {
        world_.overrides.clear();
        for (const ServiceConfig& service : world_.config->services)
            for (std::size_t i = 0; i < std::min(count, service.backends.size()); ++i)
                world_.overrides[{service.name, service.backends[i].name}] = state;
    }
    void add_state(Scene& scene) {
        const Tables* before = scene.states.empty() ? nullptr : scene.states.back().get();
        scene.states.push_back(compile(before, world_, registry_));
        scene.services = registry_.service_limit();
        scene.backends = registry_.backend_limit();
    }
    [[nodiscard]] const Config& config() const { return *world_.config; }

private:
    Registry registry_;
    World world_;
};

void add_addresses(const Config& config, Scene& scene) {
    const auto add = [&](const IpAddress& address) {
        std::vector<IpAddress>& all = address.family == Family::v4 ? scene.v4 : scene.v6;
        if (std::ranges::count(all, address) == 0) all.push_back(address);
    };
    for (const ServiceConfig& service : config.services)
        add(service.key.vip);
    for (const char* client : {"198.18.0.7", "198.18.0.8", "198.51.100.22", "10.0.1.77",
                               "2001:db8:7::7", "2001:db8:7::8", "fd00:5::77"})
        add(*parse_ip(client));
    for (const ServiceConfig& service : config.services)
        for (const BackendConfig& backend : service.backends)
            add(backend.address);
    for (const IpAddress& address : pool_addresses(config))
        add(address);
    for (const PortConfig& port : config.ports)
        for (const IpPrefix& own : port.addresses)
            add(own.address);
    for (const char* odd : {"127.0.0.1", "224.0.0.1", "192.0.2.77", "::1", "ff02::1"})
        add(*parse_ip(odd));
}

Config without_first_backends(Config config) {
    for (ServiceConfig& service : config.services)
        if (service.backends.size() > 1) service.backends.erase(service.backends.begin());
    config.ports[1].neighbors.clear();
    return config;
}
Config without_first_service(Config config) {
    std::ranges::reverse(config.services);
    config.services.pop_back();
    return config;
}

Scene make_scene(const std::string& text, std::uint8_t workers, std::uint32_t flow_entries) {
    Scene scene;
    scene.workers = workers;
    scene.flow_entries = flow_entries;
    Builder builder(text);
    const Config first = builder.config();
    builder.add_state(scene);
    builder.override_first(1, BackendState::drain);
    builder.add_state(scene);
    builder.override_first(1, BackendState::disabled);
    builder.add_state(scene);
    builder.override_first(99, BackendState::disabled);
    builder.add_state(scene);
    builder.adopt(without_first_backends(first));
    builder.add_state(scene);
    builder.adopt(without_first_service(first));
    builder.add_state(scene);
    add_addresses(first, scene);
    return scene;
}

}  // namespace

std::span<const Scene> scenes() {
    static const std::vector<Scene> all = [] {
        const char* const few_errors =
            "[icmp]\nerrors_per_second = 20\n[conntrack]\nentries_per_worker = 1024\nwhen_full = "
            "\"drop-new\"\n";
        std::vector<Scene> made;
        made.push_back(make_scene(text_of(three_ports, "", plain_services), 1, 64));
        made.push_back(make_scene(text_of(thin_ports, few_errors, tunnel_services), 1, 4));
        made.push_back(make_scene(text_of(three_ports, "", nat_services), 2, 64));
        made.push_back(make_scene(text_of(three_ports, few_errors, plain_services), 2, 4));
        made.push_back(make_scene(text_of(three_ports, "", family_services), 2, 64));
        made.push_back(make_scene(text_of(thin_ports, "", family_services), 1, 64));
        return made;
    }();
    return all;
}

}  // namespace weir::fuzz
