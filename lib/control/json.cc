// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/json.hh"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "lib/control/config_text.hh"
#include "lib/control/forward_mode.hh"

namespace weir {

using nlohmann::json;

namespace {

json traffic_json(const TrafficView& traffic) {
    return {{"packets", traffic.packets},
            {"bytes", traffic.bytes},
            {"new_flows", traffic.new_flows},
            {"active_flows", traffic.active_flows}};
}

json text_list(const auto& values) {
    json list = json::array();
    for (const auto& value : values)
        list.push_back(to_string(value));
    return list;
}

constexpr std::array<const char*, 3> memory_modes{"in-memory", "shared", "no-huge"};
constexpr std::array<const char*, 4> log_levels{"error", "warning", "info", "debug"};
constexpr std::array<const char*, 3> backend_states{"active", "drain", "disabled"};
constexpr std::array<const char*, 2> health_types{"tcp", "http"};
constexpr std::array<const char*, 2> when_fulls{"stateless", "drop-new"};

const char* word(const auto& words, auto value) {
    return words.at(static_cast<std::size_t>(value));
}

json port_config_json(const PortConfig& port) {
    json neighbors = json::array();
    for (const auto& neighbor : port.neighbors) {
        neighbors.push_back(
            {{"address", to_string(neighbor.address)}, {"mac", to_string(neighbor.mac)}});
    }
    return {{"name", port.name},
            {"device", port.device},
            {"profile", port.profile},
            {"queues", port.queues},
            {"rings", {{"rx", port.rx_descriptors}, {"tx", port.tx_descriptors}}},
            {"mtu", port.mtu},
            {"vlan", port.vlan},
            {"address", text_list(port.addresses)},
            {"gateway", text_list(port.gateways)},
            {"exception_tap", port.exception_tap ? json(*port.exception_tap) : json()},
            {"exception_tap_persist", port.exception_tap_persist},
            {"tunnel_source", text_list(port.tunnel_source)},
            {"neighbor", std::move(neighbors)}};
}

json health_config_json(const HealthConfig& check) {
    return {{"type", word(health_types, check.type)},
            {"port", check.port},
            {"path", check.path},
            {"host", check.host},
            {"expect_status", check.expect_status},
            {"interval_ms", check.interval},
            {"timeout_ms", check.timeout},
            {"rise", check.rise},
            {"fall", check.fall}};
}

json quic_server_id_json(const std::vector<std::uint8_t>& id) {
    return id.empty() ? json() : json(hex_text(id));
}

// A key is a secret: only whether there is one is told.
json quic_config_json(const QuicLbConfig& config) {
    return {{"id", config.id},
            {"server_id_length", config.server_id_length},
            {"nonce_length", config.nonce_length},
            {"encrypted", config.key.has_value()}};
}

json service_config_json(const ServiceConfig& service) {
    json backends = json::array();
    for (const auto& backend : service.backends) {
        backends.push_back({{"name", backend.name},
                            {"address", to_string(backend.address)},
                            {"weight", backend.weight},
                            {"port", backend.port != 0 ? json(backend.port) : json()},
                            {"quic_server_id", quic_server_id_json(backend.quic_server_id)},
                            {"state", word(backend_states, backend.state)}});
    }
    json result = {{"name", service.name},
                   {"vip", to_string(service.key.vip)},
                   {"protocol", protocol_text(service.key.protocol)},
                   {"port", port_range_text(service.key)},
                   {"forward", name_of(service.forward)},
                   {"mss_clamp", service.mss_clamp},
                   {"table_size", service.table_size},
                   {"health", service.health},
                   {"backend", std::move(backends)}};
    if (service.forward == Forward::gue)
        result["gue"] = {{"port", service.gue.port}, {"variant", service.gue.variant}};
    if (service.forward == Forward::l3dsr) result["l3dsr"] = {{"dscp", service.l3dsr.dscp}};
    for (const QuicLbConfig& quic : service.quic)
        result["quic"]["configs"].push_back(quic_config_json(quic));
    if (service.source_pool) {
        result["nat"]["source_pool"] = fmt::format("{}-{}", to_string(service.source_pool->first),
                                                   to_string(service.source_pool->last));
        if (service.client_address != ClientAddress::none)
            result["nat"]["client_address"] =
                service.client_address == ClientAddress::toa ? "toa" : "proxy-v2";
    }
    return result;
}

json system_config_json(const SystemConfig& system) {
    return {{"name", system.name},
            {"hash_seed", fmt::format("0x{:016x}", system.hash_seed)},
            {"control_lcore", system.control_lcore},
            {"rx_lcores", system.rx_lcores},
            {"worker_lcores", system.worker_lcores},
            {"memory",
             {{"hugepages_bytes", system.memory.hugepages},
              {"mode", word(memory_modes, system.memory.mode)},
              {"mbufs", system.memory.mbufs}}},
            {"idle", system.idle_pause ? "pause" : "busy"},
            {"log", {{"level", word(log_levels, system.log_level)}}}};
}

}  // namespace

std::string json_text(const json& value) {
    return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string protocol_text(ServiceProtocol protocol) {
    switch (protocol) {
        case ServiceProtocol::tcp:
            return "tcp";
        case ServiceProtocol::udp:
            return "udp";
        case ServiceProtocol::sctp:
            return "sctp";
        case ServiceProtocol::icmp:
            return "icmp";
        case ServiceProtocol::any:
            break;
    }
    return "any";
}

std::string state_text(BackendState state) {
    return word(backend_states, state);
}

std::string forward_text(Forward forward) {
    return name_of(forward);
}

std::string port_range_text(const ServiceKey& key) {
    if (key.first_port == 0) return "any";  // or icmp, which has none
    if (key.first_port == key.last_port) return fmt::format("{}", key.first_port);
    return fmt::format("{}-{}", key.first_port, key.last_port);
}

BackendCounts count_backends(const ServiceView& service) {
    BackendCounts counts{};
    for (const auto& backend : service.backends) {
        const auto* at = std::ranges::find(backend_view_states, backend.state);
        if (at != backend_view_states.end()) {
            ++counts[static_cast<std::size_t>(at - backend_view_states.begin())];
        }
    }
    return counts;
}

json status_json(const InstanceView& view) {
    json punted = json::object();
    for (std::size_t i = 0; i < punt_class_count; ++i) {
        punted[std::string(punt_class_names[i])] = view.punted_by_class[i];
    }
    json icmp_errors = json::object();
    for (std::size_t i = 0; i < icmp_error_type_count; ++i)
        icmp_errors[std::string(icmp_error_type_names[i])] = view.icmp_errors_sent[i];
    json backends = json::object();
    for (std::size_t i = 0; i < backend_view_states.size(); ++i) {
        std::uint64_t sum = 0;
        for (const auto& service : view.services)
            sum += count_backends(service)[i];
        backends[std::string(backend_view_states[i])] = sum;
    }
    std::uint64_t entries = 0, capacity = 0, insert_failed = 0;
    for (const auto& worker : view.workers) {
        entries += worker.flow_entries;
        capacity += worker.flow_capacity;
        insert_failed += worker.flow_insert_failed;
    }
    return {
        {"name", view.name},
        {"version", view.version},
        {"dpdk_version", view.dpdk_version},
        {"pid", view.pid},
        {"start_timestamp", view.start_timestamp},
        {"uptime_seconds", view.uptime_seconds},
        {"config",
         {{"path", view.config_path},
          {"generation", view.config_generation},
          {"last_reload_ok", view.last_reload_ok},
          {"last_reload_error", view.last_reload_error}}},
        {"tables_version", view.tables_version},
        {"packets",
         {{"received", view.received},
          {"sent", view.sent},
          {"punted", view.punted},
          {"dropped", view.dropped},
          {"injected", view.injected},
          {"fragmented", view.fragmented},
          {"punted_by_class", std::move(punted)},
          {"icmp_errors_sent", std::move(icmp_errors)}}},
        {"flows", {{"entries", entries}, {"capacity", capacity}, {"insert_failed", insert_failed}}},
        {"services", view.services.size()},
        {"backends", std::move(backends)},
        {"workers", view.workers.size()},
        {"ports", view.ports.size()},
        {"warnings", view.warnings}};
}

json service_json(const ServiceView& service, bool with_backends) {
    const BackendCounts counts = count_backends(service);
    json by_state = json::object();
    for (std::size_t i = 0; i < counts.size(); ++i) {
        by_state[std::string(backend_view_states[i])] = counts[i];
    }
    json result = {{"name", service.name},
                   {"vip", service.vip},
                   {"protocol", service.protocol},
                   {"port", service.ports},
                   {"forward", service.forward},
                   {"health", service.health},
                   {"family", service.family},
                   {"table_size", service.table_size},
                   {"quic_configs", service.quic_configs},
                   {"backend_count", service.backends.size()},
                   {"backends_by_state", std::move(by_state)},
                   {"traffic", traffic_json(service.traffic)}};
    if (with_backends) {
        json& list = result["backends"] = json::array();
        for (const auto& backend : service.backends) {
            list.push_back(backend_json(service.name, backend));
        }
    }
    return result;
}

json backend_json(const std::string& service, const BackendView& backend) {
    return {{"service", service},
            {"name", backend.name},
            {"address", to_string(backend.address)},
            {"weight", backend.weight},
            {"quic_server_id", quic_server_id_json(backend.quic_server_id)},
            {"state", backend.state},
            {"configured", backend.configured},
            {"check_detail", backend.check_detail},
            {"takes_new", backend.takes_new},
            {"keeps_flows", backend.keeps_flows},
            {"slots", backend.slots},
            {"next_hop", backend.next_hop},
            {"port", backend.port},
            {"resolved", backend.resolved},
            {"traffic", traffic_json(backend.traffic)}};
}

json backend_setup_json(const BackendSetup& setup) {
    json steps = json::array();
    for (const SetupStep& step : setup.steps)
        steps.push_back({{"command", step.command}, {"why", step.why}});
    return {{"service", setup.service}, {"backend", setup.backend},  {"address", setup.address},
            {"forward", setup.forward}, {"steps", std::move(steps)}, {"notes", setup.notes}};
}

json worker_json(const WorkerView& worker) {
    return {{"name", worker.name},
            {"lcore", worker.lcore},
            {"cpu", worker.cpu},
            {"numa", worker.numa},
            {"polls_nic", worker.polls_nic},
            {"is_worker", worker.is_worker},
            {"received", worker.received},
            {"handed_over", worker.handed_over},
            {"handed_in", worker.handed_in},
            {"sent", worker.sent},
            {"punted", worker.punted},
            {"dropped", worker.dropped},
            {"loops", worker.loops},
            {"busy_loops", worker.busy_loops},
            {"busy_seconds", worker.busy_seconds},
            {"seconds_since_loop", worker.seconds_since_loop},
            {"last_loop_timestamp", worker.last_loop_timestamp},
            {"flow_entries", worker.flow_entries},
            {"flow_capacity", worker.flow_capacity},
            {"flow_insert_failed", worker.flow_insert_failed}};
}

json port_json(const PortView& port) {
    return {{"name", port.name},
            {"device", port.device},
            {"driver", port.driver},
            {"profile", port.profile},
            {"mac", port.mac},
            {"tap", port.tap},
            {"up", port.up},
            {"mtu", port.mtu},
            {"vlan", port.vlan},
            {"rx_queues", port.rx_queues},
            {"tx_queues", port.tx_queues},
            {"numa", port.numa},
            {"rx_packets", port.rx_packets},
            {"rx_bytes", port.rx_bytes},
            {"tx_packets", port.tx_packets},
            {"tx_bytes", port.tx_bytes},
            {"rx_missed", port.rx_missed},
            {"rx_nombuf", port.rx_nombuf},
            {"tx_full", port.tx_full},
            {"tap_to_port", port.tap_to_port},
            {"port_to_tap", port.port_to_tap},
            {"probe_out", port.probe_out},
            {"probe_in", port.probe_in},
            {"addresses", port.addresses}};
}

json neighbor_json(const NeighborView& neighbor) {
    return {{"port", neighbor.port},     {"address", neighbor.address},
            {"mac", neighbor.mac},       {"state", neighbor.state},
            {"source", neighbor.source}, {"resolved", neighbor.resolved}};
}

json health_json(const HealthView& health) {
    return {{"service", health.service},
            {"backend", health.backend},
            {"check", health.check},
            {"state", health.state},
            {"detail", health.detail},
            {"streak", health.streak},
            {"successes", health.successes},
            {"failures", health.failures},
            {"transitions", health.transitions},
            {"last_seconds", health.last_seconds},
            {"since_seconds", health.since_seconds}};
}

json drops_json(const InstanceView& view) {
    json list = json::array();
    for (const auto& drop : view.drops) {
        list.push_back({{"reason", drop.reason}, {"packets", drop.packets}, {"help", drop.help}});
    }
    return {{"drops", std::move(list)}, {"total", view.dropped}};
}

json config_json(const Config& config) {
    json ports = json::array();
    for (const auto& port : config.ports)
        ports.push_back(port_config_json(port));
    json health = json::object();
    for (const auto& [name, check] : config.health)
        health[name] = health_config_json(check);
    json services = json::array();
    for (const auto& service : config.services)
        services.push_back(service_config_json(service));
    const FlowTimeouts& timeouts = config.conntrack.timeouts;
    json http;
    if (const auto& host = config.api.http_host) {
        const bool v6 = host->find(':') != std::string::npos;
        http["listen"] =
            fmt::format("{}{}{}:{}", v6 ? "[" : "", *host, v6 ? "]" : "", config.api.http_port);
    }
    return {{"path", config.path},
            {"system", system_config_json(config.system)},
            {"port", std::move(ports)},
            {"conntrack",
             {{"entries_per_worker", config.conntrack.entries_per_worker},
              {"when_full", word(when_fulls, config.conntrack.when_full)},
              {"sloppy_tcp", config.conntrack.sloppy_tcp},
              {"expire_nodest_conn", config.conntrack.expire_nodest_conn},
              {"timeout_ms",
               {{"tcp_syn", timeouts.tcp_syn},
                {"tcp_established", timeouts.tcp_established},
                {"tcp_fin", timeouts.tcp_fin},
                {"udp", timeouts.udp},
                {"icmp", timeouts.icmp}}}}},
            {"icmp", {{"errors_per_second", config.icmp.errors_per_second}}},
            {"health", std::move(health)},
            {"service", std::move(services)},
            {"api",
             {{"socket",
               {{"path", config.api.socket_path},
                {"mode", fmt::format("{:04o}", config.api.socket_mode)}}},
              {"http", std::move(http)}}}};
}

}  // namespace weir
