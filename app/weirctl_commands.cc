// SPDX-License-Identifier: BSD-3-Clause
#include "app/weirctl_commands.hh"

#include <algorithm>
#include <array>
#include <filesystem>

#include <fmt/format.h>

#include "app/weirctl_client.hh"
#include "app/weirctl_print.hh"

namespace weir::ctl {
namespace {

using nlohmann::json;
using Arguments = std::vector<std::string>;

const std::vector<Column> service_columns{{"NAME", "/name"},
                                          {"VIP", "/vip"},
                                          {"PROTO", "/protocol"},
                                          {"PORT", "/port"},
                                          {"FORWARD", "/forward"},
                                          {"UP", "/backends_by_state/up"},
                                          {"OF", "/backend_count"},
                                          {"FLOWS", "/traffic/active_flows"},
                                          {"NEW", "/traffic/new_flows"},
                                          {"PACKETS", "/traffic/packets"},
                                          {"BYTES", "/traffic/bytes"}};
const std::vector<Column> backend_columns{{"SERVICE", "/service"},
                                          {"NAME", "/name"},
                                          {"STATE", "/state"},
                                          {"ADDRESS", "/address"},
                                          {"WEIGHT", "/weight"},
                                          {"SLOTS", "/slots"},
                                          {"FLOWS", "/traffic/active_flows"},
                                          {"NEW", "/traffic/new_flows"},
                                          {"PACKETS", "/traffic/packets"},
                                          {"LAST CHECK", "/check_detail"}};
const std::vector<Column> backend_sheet{{"service", "/service"},
                                        {"backend", "/name"},
                                        {"state", "/state"},
                                        {"configured", "/configured"},
                                        {"last check", "/check_detail"},
                                        {"address", "/address"},
                                        {"weight", "/weight"},
                                        {"slots", "/slots"},
                                        {"QUIC server ID", "/quic_server_id"},
                                        {"takes new flows", "/takes_new"},
                                        {"keeps its flows", "/keeps_flows"},
                                        {"port", "/port"},
                                        {"next hop", "/next_hop"},
                                        {"next hop known", "/resolved"},
                                        {"active flows", "/traffic/active_flows"},
                                        {"new flows", "/traffic/new_flows"},
                                        {"packets", "/traffic/packets"},
                                        {"bytes", "/traffic/bytes"}};
const std::vector<Column> worker_columns{
    {"NAME", "/name"},           {"LCORE", "/lcore"},        {"CPU", "/cpu"},
    {"POLLS NIC", "/polls_nic"}, {"RECEIVED", "/received"},  {"HANDED OVER", "/handed_over"},
    {"HANDED IN", "/handed_in"}, {"SENT", "/sent"},          {"PUNTED", "/punted"},
    {"DROPPED", "/dropped"},     {"FLOWS", "/flow_entries"}, {"BUSY s", "/busy_seconds"}};
const std::vector<Column> port_columns{{"NAME", "/name"},
                                       {"UP", "/up"},
                                       {"DRIVER", "/driver"},
                                       {"MAC", "/mac"},
                                       {"TAP", "/tap"},
                                       {"MTU", "/mtu"},
                                       {"RXQ", "/rx_queues"},
                                       {"TXQ", "/tx_queues"},
                                       {"RX", "/rx_packets"},
                                       {"TX", "/tx_packets"},
                                       {"MISSED", "/rx_missed"},
                                       {"NOMBUF", "/rx_nombuf"},
                                       {"TX FULL", "/tx_full"},
                                       {"TO TAP", "/port_to_tap"},
                                       {"FROM TAP", "/tap_to_port"}};
const std::vector<Column> neighbor_columns{{"PORT", "/port"},     {"ADDRESS", "/address"},
                                           {"MAC", "/mac"},       {"STATE", "/state"},
                                           {"SOURCE", "/source"}, {"USABLE", "/resolved"}};
const std::vector<Column> health_columns{{"SERVICE", "/service"},     {"BACKEND", "/backend"},
                                         {"STATE", "/state"},         {"FOR s", "/since_seconds"},
                                         {"CHECK", "/check"},         {"OK", "/successes"},
                                         {"FAILED", "/failures"},     {"CHANGES", "/transitions"},
                                         {"TOOK s", "/last_seconds"}, {"LAST CHECK", "/detail"}};
const std::vector<Column> drop_columns{
    {"REASON", "/reason"}, {"PACKETS", "/packets"}, {"MEANING", "/help"}};
const std::vector<Column> flow_columns{{"PROTO", "/protocol"},      {"SOURCE", "/from"},
                                       {"DESTINATION", "/to"},      {"SERVICE", "/service"},
                                       {"BACKEND", "/backend"},     {"STATE", "/state"},
                                       {"EXPIRES s", "/expires_s"}, {"WORKER", "/worker"}};
const std::vector<Column> status_sheet{{"name", "/name"},
                                       {"version", "/version"},
                                       {"DPDK", "/dpdk_version"},
                                       {"pid", "/pid"},
                                       {"up for s", "/uptime_seconds"},
                                       {"configuration", "/config/path"},
                                       {"generation", "/config/generation"},
                                       {"last reload ok", "/config/last_reload_ok"},
                                       {"reload error", "/config/last_reload_error"},
                                       {"services", "/services"},
                                       {"backends up", "/backends/up"},
                                       {"backends unknown", "/backends/unknown"},
                                       {"backends down", "/backends/down"},
                                       {"backends draining", "/backends/drain"},
                                       {"backends disabled", "/backends/disabled"},
                                       {"ports", "/ports"},
                                       {"workers", "/workers"},
                                       {"flows", "/flows/entries"},
                                       {"of at most", "/flows/capacity"},
                                       {"packets received", "/packets/received"},
                                       {"sent", "/packets/sent"},
                                       {"to the kernel", "/packets/punted"},
                                       {"dropped", "/packets/dropped"},
                                       {"warnings", "/warnings"}};

Result<std::string> backend_path(const std::string& text) {
    const auto name = split_backend(text);
    if (!name) return name.error();
    return "/api/v1/backends/" + encoded(name.value().service) + "/" +
           encoded(name.value().backend);
}

std::string flow_query(const FlowFilter& filter) {
    const std::uint64_t limit = std::min(filter.limit.value_or(100), most_flows);
    std::string query = "/api/v1/flows?limit=" + std::to_string(limit);
    if (!filter.service.empty()) query += "&service=" + encoded(filter.service);
    if (!filter.backend.empty()) query += "&backend=" + encoded(filter.backend);
    if (!filter.source.empty()) query += "&src=" + encoded(filter.source);
    return query;
}

// Of a service that goes by connection IDs, each backend's server ID, too.
std::string show_service(const json& service) {
    std::vector<Column> columns = backend_columns;
    if (const auto quic = service.find("quic_configs"); quic != service.end() && !quic->empty())
        columns.insert(columns.begin() + 2, {"QUIC ID", "/quic_server_id"});
    return table(json::array({service}), service_columns, "") + "\n" +
           table(service.at("backends"), columns, "no backends");
}

// "192.0.2.1:80", "[2001:db8::1]:80".
std::string endpoint(const json& address, const json& port) {
    const std::string text = text_of(address);
    const bool v6 = text.find(':') != std::string::npos;
    return fmt::format("{}{}{}:{}", v6 ? "[" : "", text, v6 ? "]" : "", text_of(port));
}

std::string list_flows(const json& answer) {
    json rows = answer.at("flows");
    for (json& flow : rows) {
        flow["from"] = endpoint(flow.at("source"), flow.at("source_port"));
        flow["to"] = endpoint(flow.at("destination"), flow.at("destination_port"));
        flow["expires_s"] = flow.at("expires_ms").get<double>() / 1000;
    }
    std::string text = table(rows, flow_columns, "no flows");
    if (answer.value("truncated", false)) {
        text += fmt::format("(there are more; --limit takes up to {})\n", most_flows);
    }
    if (const auto& silent = answer.at("silent_workers"); !silent.empty()) {
        text += fmt::format("(without the flows of {}, which did not answer)\n", text_of(silent));
    }
    return text;
}

// How a command asks, and how its answer looks.
struct Handler {
    const char* method = "GET";
    Result<std::string> (*path)(const Arguments&, const Context&) = nullptr;
    std::string (*print)(const json&) = nullptr;
};

struct Command {
    Words words;
    Handler handler;
};

Result<std::string> reload_path(const Arguments& arguments, const Context&) {
    if (arguments.empty()) return std::string("/api/v1/reload");
    std::error_code failed;
    const auto absolute = std::filesystem::absolute(arguments[0], failed);
    if (failed) return Error{fmt::format("{}: {}", arguments[0], failed.message())};
    return "/api/v1/reload?file=" + encoded(absolute.string());
}

std::string print_reload(const json& answer) {
    std::string text;
    for (const auto& message : answer.at("messages"))
        text += text_of(message) + "\n";
    return text + fmt::format("generation {}\n", answer.at("generation").get<std::uint64_t>());
}

template <const char* Path>
Result<std::string> fixed(const Arguments&, const Context&) {
    return std::string(Path);
}
template <const char* Verb>
Result<std::string> backend_verb(const Arguments& arguments, const Context&) {
    auto path = backend_path(arguments[0]);
    if (!path) return path.error();
    return path.value() + Verb;
}

constexpr char status_at[] = "/api/v1/status", services_at[] = "/api/v1/services",
               workers_at[] = "/api/v1/workers", ports_at[] = "/api/v1/ports",
               neighbors_at[] = "/api/v1/neighbors", health_at[] = "/api/v1/health",
               drops_at[] = "/api/v1/drops", config_at[] = "/api/v1/config", nothing[] = "",
               drain[] = "/drain", enable[] = "/enable", disable[] = "/disable", setup[] = "/setup";

std::string print_backend(const json& backend) {
    return sheet(backend, backend_sheet);
}

// A shell script: all but the commands stands in comments.
std::string print_setup(const json& answer) {
    std::string text = fmt::format("# {}/{} at {}, forward = \"{}\": on the backend, as root\n",
                                   text_of(answer.at("service")), text_of(answer.at("backend")),
                                   text_of(answer.at("address")), text_of(answer.at("forward")));
    for (const json& step : answer.at("steps"))
        text += fmt::format("\n# {}\n{}\n", text_of(step.at("why")), text_of(step.at("command")));
    for (const json& note : answer.at("notes"))
        text += fmt::format("\n# Note: {}\n", text_of(note));
    return text;
}

const std::array commands{
    Command{{"status", "", "", 0, 0, "is it well?"},
            {"GET", fixed<status_at>, [](const json& a) { return sheet(a, status_sheet); }}},
    Command{
        {"service", "list", "", 0, 0, "every service"},
        {"GET", fixed<services_at>,
         [](const json& a) { return table(a.at("services"), service_columns, "no services"); }}},
    Command{{"service", "show", "NAME", 1, 1, "one service and its backends"},
            {"GET",
             [](const Arguments& arguments, const Context&) {
                 return Result<std::string>(std::string(services_at) + "/" + encoded(arguments[0]));
             },
             show_service}},
    Command{
        {"backend", "list", "[SERVICE]", 0, 1, "backends, of one service or all"},
        {"GET",
         [](const Arguments& arguments, const Context&) {
             const std::string path = "/api/v1/backends";
             return Result<std::string>(arguments.empty() ? path
                                                          : path + "/" + encoded(arguments[0]));
         },
         [](const json& a) { return table(a.at("backends"), backend_columns, "no backends"); }}},
    Command{{"backend", "show", "SERVICE/BACKEND", 1, 1, "one backend"},
            {"GET", backend_verb<nothing>, print_backend}},
    Command{{"backend", "drain", "SERVICE/BACKEND", 1, 1, "keep its flows, give it no new ones"},
            {"POST", backend_verb<drain>, print_backend}},
    Command{{"backend", "enable", "SERVICE/BACKEND", 1, 1, "active again"},
            {"POST", backend_verb<enable>, print_backend}},
    Command{{"backend", "disable", "SERVICE/BACKEND", 1, 1, "take its flows away too"},
            {"POST", backend_verb<disable>, print_backend}},
    Command{{"backend", "setup", "SERVICE/BACKEND", 1, 1,
             "the Linux commands that make it ready for its service's mode"},
            {"GET", backend_verb<setup>, print_setup}},
    Command{{"flow", "list", "[OPTIONS]", 0, 0,
             "connections; --service, --backend, --src PREFIX, --limit"},
            {"GET",
             [](const Arguments&, const Context& context) {
                 return Result<std::string>(flow_query(context.flows));
             },
             list_flows}},
    Command{{"worker", "list", "", 0, 0, "lcores that poll and work"},
            {"GET", fixed<workers_at>,
             [](const json& a) { return table(a.at("workers"), worker_columns, "no workers"); }}},
    Command{{"port", "list", "", 0, 0, "ports and their counters"},
            {"GET", fixed<ports_at>,
             [](const json& a) { return table(a.at("ports"), port_columns, "no ports"); }}},
    Command{
        {"neighbor", "list", "", 0, 0, "next hops that the configuration needs"},
        {"GET", fixed<neighbors_at>,
         [](const json& a) { return table(a.at("neighbors"), neighbor_columns, "no neighbors"); }}},
    Command{
        {"health", "list", "", 0, 0, "health checks"},
        {"GET", fixed<health_at>,
         [](const json& a) { return table(a.at("health"), health_columns, "no health checks"); }}},
    Command{{"drop", "list", "", 0, 0, "dropped packets by reason"},
            {"GET", fixed<drops_at>,
             [](const json& a) { return table(a.at("drops"), drop_columns, "no drops"); }}},
    Command{{"reload", "", "[FILE]", 0, 1, "read the configuration again; prints the generation"},
            {"POST", reload_path, print_reload}},
    Command{{"config", "show", "", 0, 0, "the running configuration with its defaults"},
            {"GET", fixed<config_at>, [](const json& a) { return a.dump(2) + "\n"; }}},
    Command{{"backend", "weight", "SERVICE/BACKEND N", 2, 2, "", false}, {}},
    Command{{"backend", "test", "SERVICE/BACKEND", 1, 1, "", false}, {}},
    Command{{"group", "weight", "SERVICE GROUP N", 3, 3, "", false}, {}},
    Command{{"flow", "show", "PROTO SRC:PORT DST:PORT", 3, 3, "", false}, {}},
    Command{{"flow", "delete", "PROTO SRC:PORT DST:PORT", 3, 3, "", false}, {}},
    Command{{"top", "", "", 0, 0, "", false}, {}},
    Command{{"plan", "", "[FILE]", 0, 1, "", false}, {}},
    Command{{"explain", "", "PROTO SRC:PORT DST:PORT", 3, 3, "", false}, {}},
    Command{{"trace", "", "-n N [FILTER]", 0, 99, "", false}, {}},
    Command{{"capture", "", "-c N -w FILE.pcapng [FILTER]", 0, 99, "", false}, {}},
    Command{{"doctor", "", "[--config FILE]", 0, 1, "", false}, {}},
};

Output failed(const Answer& answer) {
    Output output;
    output.exit = answer.kind == Answer::Kind::not_running ? exit_not_running : exit_failed;
    // A refused reload has a list of errors, of which `error` is the first.
    if (answer.body.is_object() && answer.body.contains("messages")) {
        for (const auto& message : answer.body.at("messages"))
            output.error += text_of(message) + "\n";
    }
    if (output.error.empty()) output.error = fmt::format("weirctl: {}\n", answer.error);
    return output;
}

}  // namespace

std::span<const Words> words() {
    static const std::vector<Words> all = [] {
        std::vector<Words> list;
        for (const Command& command : commands)
            list.push_back(command.words);
        return list;
    }();
    return all;
}

Output run(const Context& context, const Match& match) {
    const Command& command = commands.at(match.command);
    if (command.handler.print != list_flows && context.flows != FlowFilter{}) {
        return {exit_usage,
                {},
                "weirctl: --service, --backend, --src and --limit are for 'flow list'\n"};
    }
    const auto path = command.handler.path(match.arguments, context);
    if (!path) return {exit_usage, {}, fmt::format("weirctl: {}\n", path.error().message)};
    const Answer answer = ask(context.socket, command.handler.method, path.value());
    const bool ok = answer.kind == Answer::Kind::ok;
    Output output = ok ? Output{} : failed(answer);
    try {
        if (context.json && answer.body.is_object()) {
            output.out = answer.body.dump(2) + "\n";
        } else if (ok) {
            output.out = command.handler.print(answer.body);
        }
    } catch (const json::exception&) {
        return {exit_failed,
                {},
                "weirctl: the answer has another form than this version knows; are weir and "
                "weirctl of one version?\n"};
    }
    return output;
}

}  // namespace weir::ctl
