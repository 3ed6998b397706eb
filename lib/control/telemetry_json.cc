// SPDX-License-Identifier: BSD-3-Clause
// The answers of DPDK's telemetry socket. It knows text, 64-bit integers and dictionaries, so every
// entry is one flat dictionary: fractions of seconds are whole microseconds, yes and no are 1 and
// 0.
#include <charconv>
#include <cmath>
#include <cstddef>
#include <functional>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "lib/control/json.hh"
#include "lib/control/metrics.hh"

namespace weir {

using nlohmann::json;

const TelemetryCommand telemetry_commands[] = {
    {"info", "Name, version, configuration, packets. No parameters"},
    {"services", "All services. Parameters: [OFFSET]"},
    {"service", "One service. Parameters: NAME"},
    {"backends", "Backends of a service. Parameters: SERVICE[,OFFSET]"},
    {"workers", "Lcores that move packets. Parameters: [OFFSET]"},
    {"ports", "Ports. Parameters: [OFFSET]"},
    {"flows", "Occupancy of the connection tables. Parameters: [OFFSET]"},
    {"health", "Health checks by backend. Parameters: [OFFSET]"},
    {"drops", "Dropped packets by reason. Parameters: [OFFSET]"},
    {"neighbors", "Next hops. Parameters: [OFFSET]"},
    {"rings", "Rings between lcores. Parameters: [OFFSET]"},
    {"pools", "Packet buffer pools. Parameters: [OFFSET]"},
};
const std::size_t telemetry_command_count = std::size(telemetry_commands);

namespace {

// DPDK 22.11 sends 16 KiB and 256 entries at most; below both, so that its framing fits as well.
constexpr std::size_t page_bytes = 12'000, page_entries = 240;
constexpr std::size_t longest_string = 127;

std::uint64_t microseconds(double seconds) {
    return seconds <= 0 ? 0 : static_cast<std::uint64_t>(std::llround(seconds * 1e6));
}

// Cut at a character's border: UTF-8 continuation bytes are 10xxxxxx.
std::string cut(std::string text) {
    if (text.size() <= longest_string) return text;
    std::size_t end = longest_string;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80)
        --end;
    text.resize(end);
    return text;
}

json fail(std::string sentence) {
    return {{"error", cut(std::move(sentence))}};
}

void add_traffic(json& entry, const TrafficView& traffic) {
    entry["packets"] = traffic.packets;
    entry["bytes"] = traffic.bytes;
    entry["new_flows"] = traffic.new_flows;
    entry["active_flows"] = traffic.active_flows;
}

json service_entry(const ServiceView& service) {
    json entry = {{"name", service.name},
                  {"vip", service.vip},
                  {"protocol", service.protocol},
                  {"port", service.ports},
                  {"forward", service.forward},
                  {"health", service.health},
                  {"family", service.family},
                  {"table_size", service.table_size},
                  {"backends", service.backends.size()}};
    const BackendCounts counts = count_backends(service);
    for (std::size_t i = 0; i < counts.size(); ++i) {
        entry[fmt::format("backends_{}", backend_view_states[i])] = counts[i];
    }
    add_traffic(entry, service.traffic);
    return entry;
}

json backend_entry(const BackendView& backend) {
    json entry = {{"name", backend.name},
                  {"address", to_string(backend.address)},
                  {"weight", backend.weight},
                  {"state", backend.state},
                  {"configured", backend.configured},
                  {"check_detail", cut(backend.check_detail)},
                  {"up", backend_is_up(backend) ? 1 : 0},
                  {"takes_new", backend.takes_new ? 1 : 0},
                  {"keeps_flows", backend.keeps_flows ? 1 : 0},
                  {"slots", backend.slots},
                  {"next_hop", backend.next_hop},
                  {"port", backend.port},
                  {"resolved", backend.resolved ? 1 : 0}};
    add_traffic(entry, backend.traffic);
    return entry;
}

json worker_entry(const WorkerView& worker) {
    return {{"name", worker.name},
            {"lcore", worker.lcore},
            {"cpu", worker.cpu},
            {"numa", worker.numa},
            {"polls_nic", worker.polls_nic ? 1 : 0},
            {"is_worker", worker.is_worker ? 1 : 0},
            {"received", worker.received},
            {"handed_over", worker.handed_over},
            {"handed_in", worker.handed_in},
            {"sent", worker.sent},
            {"punted", worker.punted},
            {"dropped", worker.dropped},
            {"loops", worker.loops},
            {"busy_loops", worker.busy_loops},
            {"busy_us", microseconds(worker.busy_seconds)},
            {"since_loop_us", microseconds(worker.seconds_since_loop)},
            {"last_loop_timestamp_us", microseconds(worker.last_loop_timestamp)}};
}

json flow_entry(const WorkerView& worker) {
    return {{"name", worker.name},
            {"entries", worker.flow_entries},
            {"capacity", worker.flow_capacity},
            {"insert_failed", worker.flow_insert_failed}};
}

json port_entry(const PortView& port) {
    json entry = port_json(port);
    entry["up"] = port.up ? 1 : 0;
    std::string addresses;
    for (const auto& address : port.addresses) {
        addresses += (addresses.empty() ? "" : " ") + address;
    }
    entry["addresses"] = cut(std::move(addresses));
    entry["device"] = cut(port.device);
    return entry;
}

json health_entry(const HealthView& health) {
    json entry = {{"name", health.service + "/" + health.backend},
                  {"check", health.check},
                  {"state", health.state},
                  {"detail", cut(health.detail)},
                  {"streak", health.streak},
                  {"successes", health.successes},
                  {"failures", health.failures},
                  {"transitions", health.transitions},
                  {"last_us", microseconds(health.last_seconds)},
                  {"since_us", microseconds(health.since_seconds)},
                  {"duration_sum_us", microseconds(health.duration_sum)}};
    for (std::size_t i = 0; i < health.duration_buckets.size(); ++i) {
        const auto name =
            i < probe_duration_bounds.size()
                ? fmt::format("duration_le_{}us", microseconds(probe_duration_bounds[i]))
                : std::string("duration_count");
        entry[name] = health.duration_buckets[i];
    }
    return entry;
}

json neighbor_entry(const NeighborView& neighbor) {
    json entry = neighbor_json(neighbor);
    entry["name"] = neighbor.address;
    entry["resolved"] = neighbor.resolved ? 1 : 0;
    return entry;
}

json info_json(const InstanceView& view) {
    std::uint64_t entries = 0, capacity = 0;
    for (const auto& worker : view.workers) {
        entries += worker.flow_entries;
        capacity += worker.flow_capacity;
    }
    json info = {{"name", view.name},
                 {"version", view.version},
                 {"dpdk_version", view.dpdk_version},
                 {"pid", view.pid},
                 {"start_timestamp_us", microseconds(view.start_timestamp)},
                 {"uptime_us", microseconds(view.uptime_seconds)},
                 {"config_path", cut(view.config_path)},
                 {"config_generation", view.config_generation},
                 {"config_last_reload_successful", view.last_reload_ok ? 1 : 0},
                 {"config_last_reload_error", cut(view.last_reload_error)},
                 {"tables_version", view.tables_version},
                 {"received", view.received},
                 {"sent", view.sent},
                 {"punted", view.punted},
                 {"dropped", view.dropped},
                 {"injected", view.injected},
                 {"fragmented", view.fragmented},
                 {"services", view.services.size()},
                 {"workers", view.workers.size()},
                 {"ports", view.ports.size()},
                 {"flow_entries", entries},
                 {"flow_capacity", capacity},
                 {"warnings", view.warnings.size()}};
    for (std::size_t i = 0; i < punt_class_count; ++i) {
        info[fmt::format("punted_{}", punt_class_names[i])] = view.punted_by_class[i];
    }
    for (std::size_t i = 0; i < icmp_error_type_count; ++i)
        info[fmt::format("icmp_errors_sent_{}", icmp_error_type_names[i])] =
            view.icmp_errors_sent[i];
    return info;
}

std::optional<std::size_t> parse_offset(std::string_view text) {
    if (text.empty()) return 0;
    std::size_t offset = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), offset);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return offset;
}

// One page: {"0": ..., "1": ...} from `offset` on, as many as fit; keys go on counting over pages.
template <typename Value>
json page(const std::vector<Value>& values, std::string_view parameters,
          const std::function<json(const Value&)>& entry_of) {
    const auto offset = parse_offset(parameters);
    if (!offset) return fail(fmt::format("'{}' is not an offset: give a number", parameters));
    json result = json::object();
    std::size_t used = 0, next = *offset;
    for (; next < values.size() && result.size() < page_entries; ++next) {
        json entry = entry_of(values[next]);
        const std::size_t size = json_text(entry).size() + 16;  // and its key
        if (used + size > page_bytes && !result.empty()) break;
        used += size;
        result[std::to_string(next)] = std::move(entry);
    }
    if (next < values.size()) result["next"] = next;
    if (next < values.size() || *offset > 0) result["total"] = values.size();
    return result;
}

const ServiceView* find_service(const InstanceView& view, std::string_view name) {
    for (const auto& service : view.services) {
        if (service.name == name) return &service;
    }
    return nullptr;
}

json no_service(std::string_view name) {
    if (name.empty()) return fail("name a service: /weir/services lists them");
    return fail(fmt::format("no service '{}': /weir/services lists them", name));
}

json backends_page(const InstanceView& view, std::string_view parameters) {
    const std::size_t comma = parameters.find(',');
    const auto name = parameters.substr(0, comma);
    const ServiceView* service = find_service(view, name);
    if (service == nullptr) return no_service(name);
    const auto offset =
        comma == std::string_view::npos ? std::string_view() : parameters.substr(comma + 1);
    return page<BackendView>(service->backends, offset, backend_entry);
}

json workers_only(const InstanceView& view, std::string_view parameters) {
    std::vector<WorkerView> workers;
    for (const auto& worker : view.workers) {
        if (worker.is_worker) workers.push_back(worker);
    }
    return page<WorkerView>(workers, parameters, flow_entry);
}

template <typename Named>
json occupancy_page(const std::vector<Named>& values, std::string_view parameters,
                    const char* figure, std::uint64_t Named::*member) {
    return page<Named>(values, parameters, [&](const Named& value) -> json {
        return {{"name", cut(value.name)}, {figure, value.*member}, {"size", value.size}};
    });
}

}  // namespace

json telemetry_json(const InstanceView& view, std::string_view command,
                    std::string_view parameters) {
    if (command == "info") return info_json(view);
    if (command == "services") return page<ServiceView>(view.services, parameters, service_entry);
    if (command == "service") {
        const ServiceView* service = find_service(view, parameters);
        return service != nullptr ? service_entry(*service) : no_service(parameters);
    }
    if (command == "backends") return backends_page(view, parameters);
    if (command == "workers") return page<WorkerView>(view.workers, parameters, worker_entry);
    if (command == "ports") return page<PortView>(view.ports, parameters, port_entry);
    if (command == "flows") return workers_only(view, parameters);
    if (command == "health") return page<HealthView>(view.health, parameters, health_entry);
    if (command == "neighbors")
        return page<NeighborView>(view.neighbors, parameters, neighbor_entry);
    if (command == "drops") {
        return page<DropView>(view.drops, parameters, [](const DropView& drop) -> json {
            return {{"name", drop.reason}, {"packets", drop.packets}, {"help", cut(drop.help)}};
        });
    }
    if (command == "rings") return occupancy_page(view.rings, parameters, "used", &RingView::used);
    if (command == "pools") return occupancy_page(view.pools, parameters, "free", &PoolView::free);
    return fail(fmt::format("no command /weir/{}: / lists them", command));
}

}  // namespace weir
