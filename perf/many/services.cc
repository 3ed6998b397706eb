// SPDX-License-Identifier: BSD-3-Clause
#include "perf/many/services.hh"

#include <cstdlib>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>

namespace weir::many {

namespace {

std::size_t heap_bytes() {
    const auto info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

}  // namespace

IpAddress address_of(std::uint32_t value) noexcept {
    IpAddress address;
    address.family = Family::v4;
    for (unsigned i = 0; i < 4; ++i)
        address.bytes[i] = static_cast<std::uint8_t>(value >> (24 - 8 * i));
    return address;
}

std::string service_name(std::uint32_t service) {
    return fmt::format("service-{:05}", service);
}

std::string backend_name(std::uint32_t service, std::uint32_t backend) {
    return fmt::format("backend-{:05}-{}", service, backend);
}

std::string configuration(const Options& options) {
    std::string text = fmt::format(R"(config_version = 1
[system]
name = "many"
control_lcore = 0
worker_lcores = [1]
memory = {{ mode = "no-huge" }}
[[port]]
name = "lane0"
device = "net_null0"
mtu = 1560
address = ["10.0.0.5/16"]
gateway = ["10.0.0.1"]
exception_tap = "lane0x"
tunnel_source = ["{}"]
neighbor = [{{ address = "10.0.0.1", mac = "{}" }}]
[health.check]
type = "tcp"
)",
                                   tunnel_source, gateway_mac);
    for (std::uint32_t s = 0; s < options.services; ++s) {
        text += fmt::format(
            "[[service]]\nname = \"{}\"\nvip = \"{}\"\nprotocol = \"tcp\"\nport = 80\n"
            "forward = \"ipip\"\nhealth = \"check\"\nbackend = [\n",
            service_name(s), to_string(address_of(first_vip + s)));
        for (std::uint32_t b = 0; b < options.backends; ++b) {
            text += fmt::format("  {{ name = \"{}\", address = \"{}\" }},\n", backend_name(s, b),
                                to_string(address_of(first_backend + s * options.backends + b)));
        }
        text += "]\n";
    }
    return text;
}

File::File(const std::string& text) {
    const int file = mkstemp(path_.data());
    if (file < 0) throw std::runtime_error("cannot make a file in /tmp");
    const auto written = write(file, text.data(), text.size());
    close(file);
    if (written != static_cast<ssize_t>(text.size()))
        throw std::runtime_error("cannot write " + path_);
}

File::~File() {
    unlink(path_.c_str());
}

Result<std::unique_ptr<Instance>> Instance::load(const std::string& path, const MacAddress& mac,
                                                 Memory* memory) {
    auto instance = std::make_unique<Instance>();
    const auto taken = [memory] { return memory != nullptr ? heap_bytes() : 0; };
    const std::size_t before = taken();
    ConfigResult read = load_config(path);
    if (!read.config) return Error{to_string(read.errors.front())};
    World& world = instance->world_;
    world.config = std::make_shared<const Config>(std::move(*read.config));
    world.ports = {{mac, false}};
    world.generation = 1;
    const std::size_t with_config = taken();
    if (auto adopted = instance->registry_.adopt(*world.config); !adopted) return adopted.error();
    const std::size_t with_ids = taken();
    instance->tables_ = compile(nullptr, world, instance->registry_);
    if (memory != nullptr)
        *memory = {with_config - before, with_ids - with_config, taken() - with_ids};
    return instance;
}

void Instance::set_health(std::uint32_t service, std::uint32_t backend, Liveness liveness) {
    std::string name = service_name(service);
    world_.health[{name, backend_name(service, backend)}] = liveness;
    changes_.services.insert(std::move(name));
}

std::unique_ptr<const Tables> Instance::compile_changes(const Tables& previous) {
    return compile(&previous, world_, registry_, std::exchange(changes_, {}));
}

}  // namespace weir::many
