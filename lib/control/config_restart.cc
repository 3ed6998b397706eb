// SPDX-License-Identifier: BSD-3-Clause
// What only a restart can change. The rest is live: [[service]], [health.*], [icmp], [conntrack]
// when_full, sloppy_tcp, expire_nodest_conn and timeout, and of a port tunnel_source and neighbor.
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "lib/control/config.hh"
#include "lib/control/config_text.hh"

namespace weir {

namespace {

std::string text(const std::string& value) {
    return fmt::format("\"{}\"", value);
}
std::string text(bool value) {
    return value ? "true" : "false";
}
std::string text(unsigned value) {
    return std::to_string(value);
}
std::string text(const std::vector<unsigned>& cpus) {
    return fmt::format("[{}]", fmt::join(cpus, ", "));
}

// One sentence for each value that differs, by the name of its key.
class Differences {
public:
    explicit Differences(std::string where) : where_(std::move(where)) {}

    template <typename T>
    void compare(std::string_view key, const T& running, const T& next) {
        if (running != next) add(key, text(running), text(next));
    }
    void add(std::string_view key, std::string_view running, std::string_view next) {
        sentences_.push_back(fmt::format("{} {}: needs a restart (running: {}, file: {})", where_,
                                         key, running, next));
    }
    void append_to(std::vector<std::string>& all) const {
        all.insert(all.end(), sentences_.begin(), sentences_.end());
    }

private:
    std::string where_;
    std::vector<std::string> sentences_;
};

std::string_view text_of(MemoryMode mode) {
    switch (mode) {
        case MemoryMode::in_memory:
            return "\"in-memory\"";
        case MemoryMode::shared:
            return "\"shared\"";
        case MemoryMode::no_huge:
            return "\"no-huge\"";
    }
    return "";
}

std::string_view text_of(LogLevel level) {
    switch (level) {
        case LogLevel::error:
            return "\"error\"";
        case LogLevel::warning:
            return "\"warning\"";
        case LogLevel::info:
            return "\"info\"";
        case LogLevel::debug:
            return "\"debug\"";
    }
    return "";
}

// 0 means: left to the plan or the profile.
std::string or_auto(std::uint64_t value) {
    return value == 0 ? "auto" : std::to_string(value);
}

template <typename T>
std::string list_text(const std::vector<T>& values) {
    std::vector<std::string> texts;
    for (const T& value : values)
        texts.push_back(text(to_string(value)));
    return fmt::format("[{}]", fmt::join(texts, ", "));
}

Differences compare_system(const SystemConfig& a, const SystemConfig& b) {
    Differences result("[system]");
    result.compare("name", a.name, b.name);
    if (a.hash_seed != b.hash_seed) {
        result.add("hash_seed", fmt::format("\"{:#018x}\"", a.hash_seed),
                   fmt::format("\"{:#018x}\"", b.hash_seed));
    }
    result.compare("control_lcore", a.control_lcore, b.control_lcore);
    result.compare("rx_lcores", a.rx_lcores, b.rx_lcores);
    result.compare("worker_lcores", a.worker_lcores, b.worker_lcores);
    const auto size = [](std::uint64_t bytes) {
        return bytes == 0 ? std::string("auto") : fmt::format("\"{}\"", size_text(bytes));
    };
    if (a.memory.hugepages != b.memory.hugepages) {
        result.add("memory.hugepages", size(a.memory.hugepages), size(b.memory.hugepages));
    }
    if (a.memory.mode != b.memory.mode) {
        result.add("memory.mode", text_of(a.memory.mode), text_of(b.memory.mode));
    }
    if (a.memory.mbufs != b.memory.mbufs) {
        result.add("memory.mbufs", or_auto(a.memory.mbufs), or_auto(b.memory.mbufs));
    }
    if (a.idle_pause != b.idle_pause) {
        const auto word = [](bool pause) { return pause ? "\"pause\"" : "\"busy\""; };
        result.add("idle", word(a.idle_pause), word(b.idle_pause));
    }
    if (a.log_level != b.log_level) {
        result.add("log.level", text_of(a.log_level), text_of(b.log_level));
    }
    return result;
}

Differences compare_port(const PortConfig& a, const PortConfig& b) {
    Differences result(fmt::format("[[port]] {}", a.name));
    result.compare("device", a.device, b.device);
    result.compare("profile", a.profile, b.profile);
    if (a.queues != b.queues) result.add("queues", or_auto(a.queues), or_auto(b.queues));
    if (a.rx_descriptors != b.rx_descriptors) {
        result.add("rings.rx", or_auto(a.rx_descriptors), or_auto(b.rx_descriptors));
    }
    if (a.tx_descriptors != b.tx_descriptors) {
        result.add("rings.tx", or_auto(a.tx_descriptors), or_auto(b.tx_descriptors));
    }
    result.compare<unsigned>("mtu", a.mtu, b.mtu);
    result.compare<unsigned>("vlan", a.vlan, b.vlan);
    if (a.addresses != b.addresses) {
        result.add("address", list_text(a.addresses), list_text(b.addresses));
    }
    if (a.gateways != b.gateways) {
        result.add("gateway", list_text(a.gateways), list_text(b.gateways));
    }
    const auto tap = [](const std::optional<std::string>& name) {
        return name ? text(*name) : std::string("none");
    };
    if (a.exception_tap != b.exception_tap) {
        result.add("exception_tap", tap(a.exception_tap), tap(b.exception_tap));
    }
    result.compare("exception_tap_persist", a.exception_tap_persist, b.exception_tap_persist);
    return result;
}

Differences compare_api(const ApiConfig& a, const ApiConfig& b) {
    Differences result("[api]");
    result.compare("socket.path", a.socket_path, b.socket_path);
    if (a.socket_mode != b.socket_mode) {
        result.add("socket.mode", fmt::format("\"{:#o}\"", a.socket_mode),
                   fmt::format("\"{:#o}\"", b.socket_mode));
    }
    const auto http = [](const ApiConfig& api) {
        if (!api.http_host) return std::string("none");
        const bool v6 = api.http_host->find(':') != std::string::npos;
        return fmt::format(fmt::runtime(v6 ? "\"[{}]:{}\"" : "\"{}:{}\""), *api.http_host,
                           api.http_port);
    };
    if (http(a) != http(b)) result.add("http.listen", http(a), http(b));
    return result;
}

std::string port_names(const Config& config) {
    std::vector<std::string> names;
    for (const PortConfig& port : config.ports)
        names.push_back(port.name);
    return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

std::vector<std::string> restart_only_differences(const Config& running, const Config& next) {
    std::vector<std::string> all;
    compare_system(running.system, next.system).append_to(all);
    const auto same_name = [](const PortConfig& a, const PortConfig& b) {
        return a.name == b.name;
    };
    if (std::ranges::equal(running.ports, next.ports, same_name)) {
        for (std::size_t i = 0; i < next.ports.size(); ++i) {
            compare_port(running.ports[i], next.ports[i]).append_to(all);
        }
    } else {
        // A port is known by its place in the file.
        all.push_back(fmt::format(
            "[[port]]: ports are added, removed and moved by a restart (running: {}, file: {})",
            port_names(running), port_names(next)));
    }
    Differences conntrack("[conntrack]");
    conntrack.compare("entries_per_worker", running.conntrack.entries_per_worker,
                      next.conntrack.entries_per_worker);
    conntrack.append_to(all);
    compare_api(running.api, next.api).append_to(all);
    // Memory for the bindings of each address is there from the start.
    if (pool_addresses(running) != pool_addresses(next)) {
        Differences pool("[[service]]");
        pool.add("nat.source_pool", list_text(pool_addresses(running)),
                 list_text(pool_addresses(next)));
        pool.append_to(all);
    }
    return all;
}

}  // namespace weir
