// SPDX-License-Identifier: BSD-3-Clause
#include "perf/loop/scene.hh"

#include <fmt/format.h>

#include "lib/dataplane/steer.hh"

namespace weir::loop {

namespace {

constexpr const char* tunnel_source = "10.64.0.0/16";

std::string address_of(unsigned backend) {
    return fmt::format("10.0.1.{}", backend + 1);
}
std::string mac_of(unsigned backend) {
    return fmt::format("02:00:00:00:01:{:02x}", backend + 1);
}

std::string text_of(const SceneOptions& options) {
    std::string neighbors, backends;
    for (unsigned i = 0; i < options.backends; ++i) {
        neighbors +=
            fmt::format("  {{ address = \"{}\", mac = \"{}\" }},\n", address_of(i), mac_of(i));
        backends += fmt::format("  {{ name = \"b{}\", address = \"{}\" }},\n", i, address_of(i));
    }
    return fmt::format(R"(config_version = 1
[system]
name = "loop"
control_lcore = 0
worker_lcores = [1]
memory = {{ mode = "no-huge" }}
[[port]]
name = "lane0"
device = "net_null0"
mtu = 1560
address = ["10.0.0.5/16"]
tunnel_source = ["{}"]
neighbor = [
{}]
[[service]]
name = "loop"
vip = "203.0.113.10"
protocol = "tcp"
port = 80
forward = "{}"
backend = [
{}]
)",
                       tunnel_source, neighbors, options.forward, backends);
}

}  // namespace

Result<Scene> Scene::make(const SceneOptions& options) {
    ConfigResult parsed = parse_config(text_of(options), "loop");
    if (!parsed.config) return Error{to_string(parsed.errors.front())};
    Scene scene;
    scene.world_.config = std::make_shared<const Config>(std::move(*parsed.config));
    const Config& config = *scene.world_.config;
    scene.world_.ports = {{options.mac, false}};
    scene.world_.generation = 1;
    for (const StaticNeighbor& neighbor : config.ports.front().neighbors)
        scene.world_.neighbors[{PortId{0}, neighbor.address}] = neighbor.mac;
    if (auto adopted = scene.registry_.adopt(config); !adopted) return adopted.error();

    scene.vip_ = config.services.front().key.vip;
    gen::Expectation& expected = scene.expectation_;
    expected.forwarding =
        options.forward == "ipip" ? gen::Forwarding::ipip : gen::Forwarding::dsr_l2;
    expected.weir_mac = options.mac;
    expected.tunnel_sources = {parse_prefix(tunnel_source).value()};
    for (unsigned i = 0; i < options.backends; ++i)
        expected.backends.push_back({fmt::format("b{}", i), parse_ip(address_of(i)).value(),
                                     parse_mac(mac_of(i)).value(), true});
    return scene;
}

std::vector<std::uint8_t> owners_of(const gen::Frames& frames, std::uint32_t flows,
                                    unsigned workers) {
    std::vector<std::uint8_t> owners(flows);
    std::vector<std::uint8_t> frame(frames.blank().begin(), frames.blank().end());
    const auto length = static_cast<std::uint32_t>(frame.size());
    const Packet packet{.data = frame.data(), .contiguous = length, .length = length};
    Tables tables;
    tables.ports.resize(1);
    for (std::uint32_t flow = 0; flow < flows; ++flow) {
        frames.set_flow(frame.data(), flow, false);
        owners[flow] = static_cast<std::uint8_t>(steer(tables, packet, workers, Scene::secret()));
    }
    return owners;
}

}  // namespace weir::loop
