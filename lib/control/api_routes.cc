// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/api_routes.hh"

#include <algorithm>
#include <array>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "lib/control/json.hh"
#include "lib/control/metrics.hh"
#include "lib/control/status_page.hh"

namespace weir {
namespace {

using nlohmann::json;
using Words = std::vector<std::string>;  // of the path behind /api/v1/

constexpr std::string_view api_prefix = "/api/v1";
using Services = ViewScope::Services;
constexpr double longest_silence = 5;  // seconds

ApiResponse ok(const json& body) {
    return {200, "application/json", json_text(body) + "\n"};
}

ApiResponse fail(int status, const std::string& sentence) {
    return {status, "application/json", json_text({{"error", sentence}}) + "\n"};
}

const ServiceView* find_service(const InstanceView& view, const std::string& name) {
    const auto at = std::ranges::find(view.services, name, &ServiceView::name);
    return at != view.services.end() ? &*at : nullptr;
}

const BackendView* find_backend(const ServiceView& service, const std::string& name) {
    const auto at = std::ranges::find(service.backends, name, &BackendView::name);
    return at != service.backends.end() ? &*at : nullptr;
}

ApiResponse no_service(const std::string& name) {
    return fail(404, fmt::format("no service '{}'; /api/v1/services lists them", name));
}

ApiResponse no_backend(const std::string& service, const std::string& name) {
    return fail(404, fmt::format("no backend '{}' in service '{}'; /api/v1/backends/{} lists them",
                                 name, service, service));
}

template <typename Value>
ApiResponse list(const char* noun, const std::vector<Value>& values,
                 json (*to_json)(const Value&)) {
    json all = json::array();
    for (const auto& value : values)
        all.push_back(to_json(value));
    return ok({{noun, std::move(all)}});
}

ViewScope all_services() {
    return {Services::all, {}, false, false};
}

ApiResponse status(const ApiActions& actions, const Words&) {
    return ok(status_json(*actions.view({Services::states, {}, false, false})));
}

ApiResponse services(const ApiActions& actions, const Words& words) {
    if (words.size() == 2) {
        const auto view = actions.view(ViewScope::only(words[1]));
        const ServiceView* service = find_service(*view, words[1]);
        return service != nullptr ? ok(service_json(*service, true)) : no_service(words[1]);
    }
    return list<ServiceView>("services", actions.view(all_services())->services,
                             [](const ServiceView& one) { return service_json(one, false); });
}

ApiResponse backends(const ApiActions& actions, const Words& words) {
    const auto view = actions.view(words.size() >= 2 ? ViewScope::only(words[1]) : all_services());
    const ServiceView* only = nullptr;
    if (words.size() >= 2) {
        only = find_service(*view, words[1]);
        if (only == nullptr) return no_service(words[1]);
    }
    if (words.size() == 3) {
        const BackendView* backend = find_backend(*only, words[2]);
        return backend != nullptr ? ok(backend_json(words[1], *backend))
                                  : no_backend(words[1], words[2]);
    }
    json all = json::array();
    for (const auto& service : view->services) {
        if (only != nullptr && &service != only) continue;
        for (const auto& one : service.backends)
            all.push_back(backend_json(service.name, one));
    }
    return ok({{"backends", std::move(all)}});
}

ApiResponse workers(const ApiActions& actions, const Words&) {
    return list("workers", actions.view(ViewScope::small())->workers, worker_json);
}
ApiResponse ports(const ApiActions& actions, const Words&) {
    return list("ports", actions.view(ViewScope::small())->ports, port_json);
}
ApiResponse neighbors(const ApiActions& actions, const Words&) {
    return list("neighbors", actions.view({Services::none, {}, true, false})->neighbors,
                neighbor_json);
}
ApiResponse health(const ApiActions& actions, const Words&) {
    return list("health", actions.view({Services::none, {}, false, true})->health, health_json);
}
ApiResponse drops(const ApiActions& actions, const Words&) {
    return ok(drops_json(*actions.view(ViewScope::small())));
}
ApiResponse config(const ApiActions& actions, const Words&) {
    return ok(config_json(*actions.config()));
}

// Of the running file, not of what the operator changed since: that changes no set-up.
ApiResponse setup(const ApiActions& actions, const Words& words) {
    const auto running = actions.config();
    if (const auto found = backend_setup(*running, words[1], words[2]))
        return ok(backend_setup_json(*found));
    const bool known = std::ranges::find(running->services, words[1], &ServiceConfig::name) !=
                       running->services.end();
    return known ? no_backend(words[1], words[2]) : no_service(words[1]);
}

struct ReadRoute {
    std::string_view noun;
    std::size_t most_words;
    ApiResponse (*answer)(const ApiActions&, const Words&);
};
constexpr std::array<ReadRoute, 9> read_routes{{{"status", 1, status},
                                                {"services", 2, services},
                                                {"backends", 3, backends},
                                                {"workers", 1, workers},
                                                {"ports", 1, ports},
                                                {"neighbors", 1, neighbors},
                                                {"health", 1, health},
                                                {"drops", 1, drops},
                                                {"config", 1, config}}};

json nouns() {
    json names = json::array();
    for (const auto& one : read_routes)
        names.push_back(one.noun);
    names.push_back("flows");
    names.push_back("reload");
    return names;
}

ApiResponse unknown_path(const std::string& path) {
    json body = {{"error", fmt::format("no such path: {}", path)}, {"nouns", nouns()}};
    return {404, "application/json", json_text(body) + "\n"};
}

ApiResponse not_allowed(const std::string& method, const std::string& path) {
    return fail(405, fmt::format("{} is not for {}", method, path));
}

void reload(const ApiActions& actions, const ApiRequest& request, ApiReply reply) {
    const auto file = request.query.find("file");
    const std::string path = file != request.query.end() ? file->second : "";
    if (!path.empty() && path.front() != '/') {
        return reply(fail(400, fmt::format("file '{}' must be an absolute path", path)));
    }
    actions.reload(path, [reply = std::move(reply)](const ReloadOutcome& outcome) {
        json body = {
            {"ok", outcome.ok}, {"generation", outcome.generation}, {"messages", outcome.messages}};
        if (outcome.ok) return reply(ok(body));
        body["error"] = outcome.messages.empty() ? "the reload failed" : outcome.messages.front();
        reply({outcome.busy ? 503 : 409, "application/json", json_text(body) + "\n"});
    });
}

void change_backend(const ApiActions& actions, const Words& words, ApiReply reply) {
    static constexpr std::array<std::pair<std::string_view, BackendState>, 3> verbs{
        {{"drain", BackendState::drain},
         {"enable", BackendState::active},
         {"disable", BackendState::disabled}}};
    const auto& [noun, service_name, backend_name, verb] =
        std::tie(words[0], words[1], words[2], words[3]);
    const auto at =
        std::ranges::find(verbs, std::string_view(verb), &decltype(verbs)::value_type::first);
    if (at == verbs.end()) {
        return reply(fail(
            404,
            fmt::format("no verb '{}': there are drain, enable, disable, and GET setup", verb)));
    }
    const auto view = actions.view(ViewScope::only(service_name));
    const ServiceView* service = find_service(*view, service_name);
    if (service == nullptr) return reply(no_service(service_name));
    if (find_backend(*service, backend_name) == nullptr) {
        return reply(no_backend(service_name, backend_name));
    }
    actions.set_state(
        service_name, backend_name, at->second,
        [fresh = actions.view, service = service_name, backend = backend_name,
         reply = std::move(reply)] {
            const auto after = fresh(ViewScope::only(service));
            const ServiceView* of = find_service(*after, service);
            const BackendView* one = of != nullptr ? find_backend(*of, backend) : nullptr;
            reply(one != nullptr ? ok(backend_json(service, *one)) : no_backend(service, backend));
        });
}

void flows(const ApiActions& actions, const ApiRequest& request, ApiReply reply) {
    auto query = parse_flow_query(request.query);
    if (!query) return reply(fail(400, query.error().message));
    const FlowQuery& asked = query.value();
    if (!asked.service.empty()) {
        const auto view = actions.view(ViewScope::only(asked.service));
        if (find_service(*view, asked.service) == nullptr) return reply(no_service(asked.service));
    }
    actions.flows(std::move(query).value(), std::move(reply));
}

Words split(std::string_view path) {
    Words words;
    while (!path.empty()) {
        const auto slash = std::min(path.find('/'), path.size());
        if (slash > 0) words.emplace_back(path.substr(0, slash));
        path.remove_prefix(std::min(slash + 1, path.size()));
    }
    return words;
}

bool is_setup(const Words& words) {
    return words.size() == 4 && words[0] == "backends" && words[3] == "setup";
}

bool is_change(const Words& words) {
    return (words.size() == 1 && words[0] == "reload") ||
           (words.size() == 4 && words[0] == "backends" && !is_setup(words));
}

void change(const ApiActions& actions, const ApiRequest& request, const Words& words,
            ApiReply reply) {
    if (request.method != "POST") return reply(not_allowed(request.method, request.path));
    if (!request.may_change) {
        return reply(fail(403, "changes go only through the control socket: use weirctl"));
    }
    if (words[0] == "reload") return reload(actions, request, std::move(reply));
    change_backend(actions, words, std::move(reply));
}

void api(const ApiActions& actions, const ApiRequest& request, const Words& words, ApiReply reply) {
    if (is_change(words)) return change(actions, request, words, std::move(reply));
    const auto at = words.empty() ? read_routes.end()
                                  : std::ranges::find(read_routes, words[0], &ReadRoute::noun);
    const bool known = words.empty() || is_setup(words) ||
                       (words.size() == 1 && words[0] == "flows") ||
                       (at != read_routes.end() && words.size() <= at->most_words);
    if (!known) return reply(unknown_path(request.path));
    if (request.method != "GET") return reply(not_allowed(request.method, request.path));
    if (words.empty()) return reply(ok({{"nouns", nouns()}}));
    if (is_setup(words)) return reply(setup(actions, words));
    if (at == read_routes.end()) return flows(actions, request, std::move(reply));
    reply(at->answer(actions, words));
}

}  // namespace

ApiResponse healthz(const InstanceView& view) {
    if (view.tables_version == 0) return {503, "text/plain", "no tables are published yet\n"};
    for (const auto& worker : view.workers) {
        if (worker.seconds_since_loop > longest_silence) {
            return {503, "text/plain",
                    fmt::format("{} on CPU {} has not looped for {:.0f} s\n", worker.name,
                                worker.cpu, worker.seconds_since_loop)};
        }
    }
    return {200, "text/plain", "ok\n"};
}

void route(const ApiActions& actions, const ApiRequest& request, ApiReply reply) {
    const std::string& path = request.path;
    if (path == api_prefix || path.starts_with(std::string(api_prefix) + "/")) {
        return api(actions, request, split(std::string_view(path).substr(api_prefix.size())),
                   std::move(reply));
    }
    if (path != "/" && path != "/metrics" && path != "/healthz") return reply(unknown_path(path));
    if (request.method != "GET") return reply(not_allowed(request.method, path));
    if (path == "/healthz") return reply(healthz(*actions.view(ViewScope::small())));
    const auto view = actions.view({});
    if (path == "/metrics") {
        return reply({200, "text/plain; version=0.0.4; charset=utf-8", to_prometheus(*view)});
    }
    reply({200, "text/html; charset=utf-8", status_page(*view)});
}

}  // namespace weir
