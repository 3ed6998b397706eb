// SPDX-License-Identifier: BSD-3-Clause
// JSON of views: the API's answers. Keys are stable API; counters are numbers.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "lib/control/backend_setup.hh"
#include "lib/control/config.hh"
#include "lib/control/view.hh"

namespace weir {

// Compact text; bytes that are not UTF-8 become U+FFFD, so it never throws.
std::string json_text(const nlohmann::json& value);

// Words as the configuration file spells them.
std::string protocol_text(ServiceProtocol protocol);
std::string state_text(BackendState state);
std::string forward_text(Forward forward);
std::string port_range_text(const ServiceKey& key);  // "443", "8000-8099", "any"

// The states of BackendView::state, and how many backends of a service are in each.
inline constexpr std::array<std::string_view, 5> backend_view_states{"up", "down", "unknown",
                                                                     "drain", "disabled"};
using BackendCounts = std::array<std::uint64_t, backend_view_states.size()>;
BackendCounts count_backends(const ServiceView& service);

nlohmann::json status_json(const InstanceView& view);
nlohmann::json service_json(const ServiceView& service, bool with_backends);
nlohmann::json backend_json(const std::string& service, const BackendView& backend);
nlohmann::json backend_setup_json(const BackendSetup& setup);
nlohmann::json worker_json(const WorkerView& worker);
nlohmann::json port_json(const PortView& port);
nlohmann::json neighbor_json(const NeighborView& neighbor);
nlohmann::json health_json(const HealthView& health);
nlohmann::json drops_json(const InstanceView& view);
nlohmann::json config_json(const Config& config);

// DPDK telemetry: the answer to "/weir/COMMAND,PARAMETERS" as nested objects without arrays or
// dashes and dots in keys; lists are {"0": {"name": ...}, ...}, at most `page` entries from the
// offset that PARAMETERS ends with, with "total" and "next" beside them when there are more.
// Unknown names give {"error": "..."}.
nlohmann::json telemetry_json(const InstanceView& view, std::string_view command,
                              std::string_view parameters);
// The commands, without the /weir/ prefix, with their help.
struct TelemetryCommand {
    const char* name;
    const char* help;
};
extern const TelemetryCommand telemetry_commands[];
extern const std::size_t telemetry_command_count;

}  // namespace weir
