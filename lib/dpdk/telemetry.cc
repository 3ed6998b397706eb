// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dpdk/telemetry.hh"

#include <cctype>
#include <exception>
#include <mutex>
#include <shared_mutex>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "lib/dpdk/compat.hh"

namespace weir {

namespace {

using nlohmann::json;

constexpr std::string_view prefix = "/weir/";
constexpr std::size_t help_bytes = 63, command_bytes = 55;  // DPDK's own limits, not in its header
constexpr std::size_t text_bytes = RTE_TEL_MAX_STRING_LEN - 1;
// Of one answer, less the command's name and the closing braces.
constexpr std::size_t answer_bytes = 16 * 1024 - 128;
constexpr unsigned deepest = 8;  // dictionaries in dictionaries; each costs DPDK 16 KiB of stack

// Without control characters and cut to `limit` bytes, never inside of a UTF-8 character.
std::string fitting(const std::string& text, std::size_t limit) {
    std::string kept;
    for (const char c : text)
        if (static_cast<unsigned char>(c) >= 0x20) kept.push_back(c);
    if (kept.size() <= limit) return kept;
    while (limit > 0 && (static_cast<unsigned char>(kept[limit]) & 0xc0) == 0x80)
        --limit;
    kept.resize(limit);
    return kept;
}

std::string fitting_key(const std::string& key) {
    std::string kept = key.substr(0, text_bytes);
    for (char& c : kept)
        if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_' && c != '/') c = '_';
    return kept;
}

// The object in the form that DPDK can carry: dictionaries, texts, integers.
json carried(const json& value) {
    if (value.is_object() || value.is_array()) {
        json object = json::object();
        std::size_t position = 0;
        for (const auto& [key, member] : value.items())
            object[value.is_array() ? std::to_string(position++) : fitting_key(key)] =
                carried(member);
        return object;
    }
    if (value.is_boolean()) return value.get<bool>() ? 1U : 0U;
    if (value.is_number_unsigned()) return value;
    if (value.is_number_integer()) {
        const auto number = value.get<std::int64_t>();
        if (number >= 0) return static_cast<std::uint64_t>(number);
        if (number >= compat::tel_least_int) return value;
        return std::to_string(number);
    }
    if (value.is_number_float()) return fmt::format("{}", value.get<double>());
    if (value.is_string()) return fitting(value.get<std::string>(), text_bytes);
    return "";
}

// Why DPDK cannot carry `object` whole; empty when it can.
std::string misfit(const json& object, unsigned depth = 1) {
    if (object.size() > RTE_TEL_MAX_DICT_ENTRIES)
        return fmt::format(
            "the answer has {} entries at one place and DPDK's telemetry carries {}; "
            "give an offset",
            object.size(), RTE_TEL_MAX_DICT_ENTRIES);
    if (depth > deepest) return "the answer nests too deep for DPDK's telemetry";
    for (const json& member : object)
        if (member.is_object())
            if (std::string why = misfit(member, depth + 1); !why.empty()) return why;
    return {};
}

// Precondition: misfit(object) is empty. False when memory ran out; what was added stays valid.
bool fill(const json& object, rte_tel_data* data) {
    rte_tel_data_start_dict(data);
    for (const auto& [key, member] : object.items()) {
        const char* name = key.c_str();
        if (member.is_object()) {
            rte_tel_data* inner = rte_tel_data_alloc();
            if (inner == nullptr) return false;
            const bool whole = fill(member, inner);
            if (rte_tel_data_add_dict_container(data, name, inner, 0) != 0) {
                rte_tel_data_free(inner);
                return false;
            }
            if (!whole) return false;
        } else if (member.is_number_unsigned()) {
            compat::tel_dict_unsigned(data, name, member.get<std::uint64_t>());
        } else if (member.is_number_integer()) {
            compat::tel_dict_negative(data, name, member.get<std::int64_t>());
        } else {
            rte_tel_data_add_dict_string(data, name, member.get<std::string>().c_str());
        }
    }
    return true;
}

void fill_error(const std::string& message, rte_tel_data* data) {
    rte_tel_data_start_dict(data);
    rte_tel_data_add_dict_string(data, "error", fitting(message, text_bytes).c_str());
}

std::shared_mutex provider_mutex;  // shared by calls, whole for a change
TelemetryProvider provider_function;

int answer(const char* command, const char* parameters, rte_tel_data* data) {
    const std::shared_lock lock(provider_mutex);
    try {
        std::string_view name = command;
        if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
        if (!provider_function)
            fill_error("not started yet, or stopping", data);
        else
            to_telemetry(provider_function(name, parameters != nullptr ? parameters : ""), data);
    } catch (const std::exception& error) {
        fill_error(error.what(), data);
    }
    return 0;
}

}  // namespace

void to_telemetry(const json& object, rte_tel_data* data) {
    if (!object.is_object()) return fill_error("the answer is no object", data);
    const json whole = carried(object);
    if (const std::string why = misfit(whole); !why.empty()) return fill_error(why, data);
    const std::size_t bytes = whole.dump(-1, ' ', false, json::error_handler_t::replace).size();
    if (bytes > answer_bytes)
        return fill_error(fmt::format("the answer has {} bytes and DPDK's telemetry carries {}; "
                                      "give an offset",
                                      bytes, answer_bytes),
                          data);
    if (!fill(whole, data)) fill_error("out of memory", data);
}

void set_telemetry_provider(TelemetryProvider provider) {
    const std::unique_lock lock(provider_mutex);
    provider_function = std::move(provider);
}

Result<void> register_telemetry(std::span<const TelemetryEntry> commands,
                                TelemetryProvider provider) {
    set_telemetry_provider(std::move(provider));
    for (const TelemetryEntry& entry : commands) {
        const std::string command = std::string(prefix) + entry.name;
        if (command.size() > command_bytes)
            return Error{fmt::format("telemetry command '{}' is longer than {} bytes", command,
                                     command_bytes)};
        if (rte_telemetry_register_cmd(command.c_str(), answer,
                                       fitting(entry.help, help_bytes).c_str()) != 0)
            return Error{fmt::format("telemetry command '{}' cannot be registered", command)};
    }
    return {};
}

}  // namespace weir
