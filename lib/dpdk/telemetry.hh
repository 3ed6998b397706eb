// SPDX-License-Identifier: BSD-3-Clause
// Telemetry: /weir/... on DPDK's own telemetry socket, answered from JSON objects.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "lib/wire/result.hh"

struct rte_tel_data;

namespace weir {

struct TelemetryEntry {
    std::string name;  // without "/weir/": "services"
    std::string help;  // cut to what DPDK stores (63 bytes)
};

// Answers "/weir/COMMAND,PARAMETERS". Called on DPDK's telemetry threads, several at once: it may
// read only published copies and must not throw (a throw becomes {"error": ...}).
using TelemetryProvider =
    std::function<nlohmann::json(std::string_view command, std::string_view parameters)>;

// Registers the commands (EAL must run, before or after ports) and sets the provider. DPDK cannot
// forget a command: once per process. Later calls of set_telemetry_provider() replace the provider;
// an empty one makes every command answer {"error": ...}, and on return no call of the old one
// runs.
Result<void> register_telemetry(std::span<const TelemetryEntry> commands,
                                TelemetryProvider provider);
void set_telemetry_provider(TelemetryProvider provider);

// Writes a JSON object as a DPDK dictionary. Keys: what is not a letter, digit, '_' or '/' becomes
// '_'. Booleans become 0 and 1, fractions text, null an empty text, arrays dictionaries "0", "1".
// What this DPDK cannot carry whole (more than 256 entries in one dictionary, more than 16 KiB of
// answer, an object inside of which dictionaries nest too deep) gives {"error": ...} instead of a
// cut answer; text is cut to 127 bytes at a character's border. Any thread.
void to_telemetry(const nlohmann::json& object, rte_tel_data* data);

}  // namespace weir
