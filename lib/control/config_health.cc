// SPDX-License-Identifier: BSD-3-Clause
// [health.NAME]
#include <algorithm>

#include <fmt/format.h>

#include "lib/control/config_sections.hh"
#include "lib/control/config_text.hh"

namespace weir {

namespace {

// A request path as it may stand in the first line of HTTP: visible ASCII.
bool is_request_path(std::string_view text) noexcept {
    return text.starts_with('/') && text.size() <= 2048 &&
           std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

// A Host header: a name or an address, with an optional port.
bool is_host(std::string_view text) noexcept {
    return !text.empty() && text.size() <= 260 && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view(".-_:[]").find(c) != std::string_view::npos;
    });
}

void read_http(TableReader& reader, HealthConfig& health) {
    if (const std::optional<std::string> path = reader.text("path")) {
        if (!is_request_path(*path)) {
            reader.wrong("path",
                         fmt::format("'path' must begin with '/' and hold no blanks, not {}",
                                     in_quotes(*path)));
        }
        health.path = *path;
    }
    if (const std::optional<std::string> host = reader.text("host")) {
        if (!is_host(*host)) {
            reader.wrong("host", fmt::format("'host' must be a host name or address, not {}",
                                             in_quotes(*host)));
        }
        health.host = *host;
    }
    if (!reader.has("expect_status")) return;
    const std::size_t before = reader.problems().size();
    health.expect_status.clear();
    for (const Node& element : reader.list("expect_status")) {
        const auto status = element_integer(element, "expect_status", 100, 599, reader.problems());
        if (status) health.expect_status.push_back(static_cast<int>(*status));
    }
    if (health.expect_status.empty() && reader.problems().size() == before) {
        reader.wrong("expect_status", "'expect_status' must name at least one status");
    }
}

void refuse_http_keys(TableReader& reader) {
    for (const std::string_view key : {"path", "host", "expect_status"}) {
        if (!reader.any(key)) continue;
        reader.wrong(key, fmt::format("'{}' has a meaning for type = \"http\" only", key));
    }
}

void read_times(TableReader& reader, HealthConfig& health) {
    const std::size_t before = reader.problems().size();
    health.interval = reader.duration("interval", 100, 3'600'000, health.interval);
    health.timeout =
        reader.duration("timeout", 10, 3'600'000, std::min(health.timeout, health.interval));
    if (health.timeout > health.interval && reader.problems().size() == before) {
        reader.wrong("timeout",
                     fmt::format("'timeout' must not be longer than 'interval', which is \"{}\"",
                                 duration_text(health.interval)));
    }
    health.rise = reader.integer<unsigned>("rise", 1, 100, health.rise);
    health.fall = reader.integer<unsigned>("fall", 1, 100, health.fall);
}

void read_check(TableReader& reader, HealthConfig& health) {
    static constexpr Word<HealthType> types[] = {{"tcp", HealthType::tcp},
                                                 {"http", HealthType::http},
                                                 {"https", std::nullopt},
                                                 {"udp", std::nullopt},
                                                 {"icmp", std::nullopt}};
    static constexpr Word<bool> ways[] = {{"direct", true}, {"service", std::nullopt}};
    reader.require("type");
    const std::optional<HealthType> type = reader.word("type", types);
    health.type = type.value_or(HealthType::http);
    health.port = reader.integer<std::uint16_t>("port", 1, 65535, 0);
    if (health.type == HealthType::http) {
        read_http(reader, health);
    } else {
        refuse_http_keys(reader);
    }
    read_times(reader, health);
    static_cast<void>(reader.word("via", ways));
    reader.finish();
}

}  // namespace

void read_health(TableReader& root, Draft& draft) {
    const std::optional<Node> table = root.table("health");
    if (!table) return;
    table->each_key([&](std::string_view name, Place place) {
        if (!is_name(name)) {
            draft.problems.add(place,
                               fmt::format("'{}' is no name for a health check: use letters, "
                                           "digits, '.', '_' and '-'",
                                           printable(name)));
        }
        const std::optional<Node> node = table->find(name);
        if (node->type() != Node::Type::table) {
            draft.problems.add(place, fmt::format("unknown key '{}' in [health]; a health check is "
                                                  "a table [health.NAME]",
                                                  printable(name)));
            draft.config.health[std::string(name)].port = 1;  // so that references find it
            return;
        }
        TableReader reader(*node, fmt::format("[health.{}]", printable(name)), draft.problems);
        HealthConfig health;
        health.name = name;
        read_check(reader, health);
        draft.config.health.emplace(name, std::move(health));
    });
}

}  // namespace weir
