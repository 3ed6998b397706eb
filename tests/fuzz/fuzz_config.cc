// SPDX-License-Identifier: BSD-3-Clause
// Any bytes through parse_config(): a configuration or located errors, never both, never a crash;
// what is accepted keeps the promises that the rest of Weir builds on.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <set>
#include <string_view>
#include <utility>

#include "lib/balance/maglev.hh"
#include "lib/control/config.hh"
#include "lib/control/egress.hh"
#include "lib/control/forward_mode.hh"
#include "lib/control/plan.hh"
#include "tests/fuzz/require.hh"

namespace weir::fuzz {

namespace {

void check_errors(const ConfigResult& result, std::size_t lines) {
    std::pair<unsigned, unsigned> before{0, 0};
    for (const ConfigError& error : result.errors) {
        const std::pair place{error.line, error.column};
        require(before <= place, "errors are sorted by place");
        require(error.line >= 1 && error.line <= lines, "an error lies in the file");
        require(error.column >= 1, "columns count from 1");
        require(!error.message.empty() && error.message.find('\n') == std::string::npos,
                "an error is one line");
        before = place;
    }
}

void check_service(const Config& config, const ServiceConfig& service) {
    require(is_prime(service.table_size), "the table size is a prime");
    require(service.key.first_port <= service.key.last_port, "ports are a range");
    require((service.forward == Forward::l3dsr) == (service.l3dsr.dscp != 0),
            "l3dsr has a DSCP, and nothing else has");
    require(service.gue.port != 0 && service.gue.variant <= 1, "GUE can be written");
    require(service.health.empty() || config.health.contains(service.health),
            "the health check exists");
    std::set<std::string_view> names;
    for (const BackendConfig& backend : service.backends) {
        require(names.insert(backend.name).second, "backend names stand once");
        require(egress_of(config, backend.address).has_value(), "a backend has a route");
        require(is_tunnel(service.forward) || backend.address.family == service.key.vip.family,
                "dsr-l2 and l3dsr keep the family");
    }
}

void check_config(const Config& config) {
    require(!config.system.worker_lcores.empty(), "there is a worker");
    require(!config.ports.empty() && config.ports.size() <= max_ports, "there is a port");
    for (const ServiceConfig& service : config.services)
        check_service(config, service);
    const Plan plan = make_plan(config);
    require(plan.mbuf_room <= 65535, "a buffer's room fits 16 bits");
    require(
        config.system.memory.hugepages == 0 || plan.dpdk_bytes <= config.system.memory.hugepages,
        "the memory suffices");
    require(!to_string(plan).empty(), "the plan can be shown");
    require(restart_only_differences(config, config).empty(), "nothing differs from itself");
}

}  // namespace

}  // namespace weir::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace weir::fuzz;
    // In a buffer of exactly the size, so that AddressSanitizer sees an overread.
    const std::unique_ptr<char[]> copy(new char[size]);
    std::copy(data, data + size, copy.get());
    const std::string_view text(copy.get(), size);
    const weir::ConfigResult result = weir::parse_config(text, "fuzz.toml");
    require(result.config.has_value() == result.errors.empty(), "a configuration or errors");
    const auto newlines = std::count(text.begin(), text.end(), '\n');
    check_errors(result, static_cast<std::size_t>(newlines) + 1);
    if (result.config) check_config(*result.config);
    return 0;
}
