// SPDX-License-Identifier: BSD-3-Clause
// [conntrack], [icmp] and [api]
#include <charconv>

#include <fmt/format.h>

#include "lib/control/config_sections.hh"
#include "lib/flow/expiry.hh"

namespace weir {

namespace {

constexpr std::size_t max_socket_path = 107;  // sun_path without its NUL

void read_timeouts(TableReader& parent, FlowTimeouts& timeouts) {
    const std::optional<Node> table = parent.table("timeout");
    if (!table) return;
    TableReader reader(*table, "'timeout' of [conntrack]", parent.problems());
    const auto read = [&](std::string_view key, std::uint32_t fallback) {
        return reader.duration(key, 1, longest_timeout, fallback);
    };
    timeouts.tcp_syn = read("tcp_syn", timeouts.tcp_syn);
    timeouts.tcp_established = read("tcp_established", timeouts.tcp_established);
    timeouts.tcp_fin = read("tcp_fin", timeouts.tcp_fin);
    timeouts.udp = read("udp", timeouts.udp);
    timeouts.icmp = read("icmp", timeouts.icmp);
    reader.finish();
}

void read_socket(TableReader& parent, ApiConfig& api) {
    const std::optional<Node> table = parent.table("socket");
    if (!table) return;
    TableReader reader(*table, "'socket' of [api]", parent.problems());
    if (const std::optional<std::string> path = reader.text("path")) {
        if (!path->starts_with('/') || path->size() > max_socket_path) {
            reader.wrong("path", fmt::format("'path' must be an absolute path of at most {} bytes, "
                                             "not {}",
                                             max_socket_path, in_quotes(*path)));
        }
        api.socket_path = *path;
    }
    if (const std::optional<std::string> mode = reader.text("mode")) {
        unsigned value = 0;
        const auto [end, error] =
            std::from_chars(mode->data(), mode->data() + mode->size(), value, 8);
        if (error != std::errc{} || end != mode->data() + mode->size() || value > 0777) {
            reader.wrong("mode", fmt::format("'mode' must be octal like \"0660\", not {}",
                                             in_quotes(*mode)));
        } else {
            api.socket_mode = value;
        }
    }
    reader.finish();
}

struct Endpoint {
    IpAddress address;
    std::uint16_t port = 0;
};

// "127.0.0.1:8404" or "[::1]:8404"
std::optional<Endpoint> parse_endpoint(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    if (colon == text.npos) return std::nullopt;
    std::string_view host = text.substr(0, colon);
    const std::string_view port = text.substr(colon + 1);
    const bool bracketed = host.starts_with('[') && host.ends_with(']') && host.size() > 2;
    if (bracketed) host = host.substr(1, host.size() - 2);
    const std::optional<IpAddress> address = parse_ip(host);
    if (!address || (address->family == Family::v6) != bracketed) return std::nullopt;
    std::uint16_t number = 0;
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (error != std::errc{} || end != port.data() + port.size() || number == 0) {
        return std::nullopt;
    }
    return Endpoint{*address, number};
}

void read_http_listen(TableReader& parent, ApiConfig& api) {
    const std::optional<Node> table = parent.table("http");
    if (!table) return;
    TableReader reader(*table, "'http' of [api]", parent.problems());
    reader.require("listen");
    if (const std::optional<std::string> listen = reader.text("listen")) {
        const std::optional<Endpoint> endpoint = parse_endpoint(*listen);
        if (!endpoint) {
            reader.wrong("listen", fmt::format("'listen' must be an address and a port like "
                                               "\"127.0.0.1:8404\" or \"[::1]:8404\", not {}",
                                               in_quotes(*listen)));
        } else if (!is_loopback(endpoint->address)) {
            reader.wrong("listen",
                         fmt::format("'listen' must be a loopback address, 127.0.0.0/8 or ::1, not "
                                     "{}: the HTTP interface has no access control",
                                     to_string(endpoint->address)));
        } else {
            api.http_host = to_string(endpoint->address);
            api.http_port = endpoint->port;
        }
    }
    reader.finish();
}

}  // namespace

void read_conntrack(TableReader& root, Draft& draft) {
    const std::optional<Node> table = root.table("conntrack");
    if (!table) return;
    static constexpr Word<WhenFull> policies[] = {{"stateless", WhenFull::stateless},
                                                  {"drop-new", WhenFull::drop_new}};
    const std::size_t before = draft.problems.size();
    TableReader reader(*table, "[conntrack]", draft.problems);
    ConntrackConfig& conntrack = draft.config.conntrack;
    conntrack.entries_per_worker = reader.integer<std::uint32_t>(
        "entries_per_worker", 1024, 1u << 28, conntrack.entries_per_worker);
    conntrack.when_full = reader.word("when_full", policies).value_or(conntrack.when_full);
    conntrack.sloppy_tcp = reader.boolean("sloppy_tcp", conntrack.sloppy_tcp);
    conntrack.expire_nodest_conn =
        reader.boolean("expire_nodest_conn", conntrack.expire_nodest_conn);
    read_timeouts(reader, conntrack.timeouts);
    reader.finish();
    if (draft.problems.size() != before) draft.plan_ok = false;
}

void read_icmp(TableReader& root, Draft& draft) {
    const std::optional<Node> table = root.table("icmp");
    if (!table) return;
    TableReader reader(*table, "[icmp]", draft.problems);
    IcmpConfig& icmp = draft.config.icmp;
    icmp.errors_per_second =
        reader.integer<std::uint32_t>("errors_per_second", 0, 1'000'000, icmp.errors_per_second);
    reader.finish();
}

void read_api(TableReader& root, Draft& draft) {
    const std::optional<Node> table = root.table("api");
    if (!table) return;
    TableReader reader(*table, "[api]", draft.problems);
    read_socket(reader, draft.config.api);
    read_http_listen(reader, draft.config.api);
    reader.finish();
}

}  // namespace weir
