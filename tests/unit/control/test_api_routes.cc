// SPDX-License-Identifier: BSD-3-Clause
#include <fstream>
#include <set>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "lib/control/api_routes.hh"
#include "tests/unit/control/sample_view.hh"

using namespace weir;
using nlohmann::json;

namespace {

struct Fixture {
    std::shared_ptr<InstanceView> view = std::make_shared<InstanceView>(test::sample_view());
    std::vector<std::string> reloads;
    ReloadOutcome outcome{true, 8, {"a message"}};
    std::vector<std::tuple<std::string, std::string, BackendState>> changes;
    std::vector<FlowQuery> queries;
    ApiActions actions;
    std::size_t answers = 0;

    Fixture() {
        actions.view = [this](const ViewScope&) { return view; };
        actions.config = [] { return std::make_shared<const Config>(); };
        actions.reload = [this](const std::string& path, const auto& done) {
            reloads.push_back(path);
            done(outcome);
        };
        actions.set_state = [this](const std::string& service, const std::string& backend,
                                   BackendState state, const auto& done) {
            changes.emplace_back(service, backend, state);
            done();
        };
        actions.flows = [this](const FlowQuery& query, const ApiReply& reply) {
            queries.push_back(query);
            reply({200, "application/json", "{}"});
        };
    }
    ApiResponse ask(const std::string& method, const std::string& path,
                    std::map<std::string, std::string> query = {}, bool may_change = true) {
        ApiResponse answer;
        const std::size_t before = answers;
        route(actions, {method, path, std::move(query), may_change}, [&](ApiResponse response) {
            answer = std::move(response);
            ++answers;
        });
        CHECK(answers == before + 1);
        return answer;
    }
    ApiResponse get(const std::string& path) { return ask("GET", path); }
    int status(const std::string& path) {
        const ApiResponse answer = get(path);
        if (answer.status != 200) CHECK(json::parse(answer.body).at("error").is_string());
        return answer.status;
    }
};

}  // namespace

TEST_CASE("routes: every noun answers with its figures", "[control][routes]") {
    Fixture f;
    const auto body = [&](const std::string& path) { return json::parse(f.get(path).body); };
    CHECK(body("/api/v1/status")["config"]["generation"] == 7);
    CHECK(body("/api/v1/services")["services"].size() == 1);
    CHECK(body("/api/v1/services/web")["backends"].size() == 5);
    CHECK(body("/api/v1/backends")["backends"].size() == 5);
    CHECK(body("/api/v1/backends/web")["backends"][1]["name"] == "web-2");
    CHECK(body("/api/v1/backends/web/web-3")["state"] == "drain");
    CHECK(body("/api/v1/workers")["workers"].size() == 2);
    CHECK(body("/api/v1/ports")["ports"][0]["name"] == "lan0");
    CHECK(body("/api/v1/neighbors")["neighbors"].size() == 2);
    CHECK(body("/api/v1/health")["health"][0]["state"] == "up");
    CHECK(body("/api/v1/drops")["drops"].size() == 2);
    CHECK(body("/api/v1/config").contains("system"));
    CHECK(body("/api/v1/")["nouns"].size() == 11);
    CHECK(f.get("/metrics").content_type == "text/plain; version=0.0.4; charset=utf-8");
    CHECK(f.get("/").content_type == "text/html; charset=utf-8");
}

TEST_CASE("routes: what does not exist is 404 and says what does", "[control][routes]") {
    Fixture f;
    for (const char* path :
         {"/nosuch", "/api", "/api/v2/status", "/api/v1/nosuch", "/api/v1/services/nosuch",
          "/api/v1/services/web/more", "/api/v1/backends/nosuch", "/api/v1/backends/web/nosuch",
          "/api/v1/status/more", "/api/v1/flows/more", "/api/v1x"}) {
        INFO(path);
        CHECK(f.status(path) == 404);
    }
    CHECK(json::parse(f.get("/api/v1/nosuch").body)["nouns"].size() == 11);
    CHECK(f.status("/api/v1/services/\xff\xfe") == 404);
}

TEST_CASE("routes: methods, and changes only where they are allowed", "[control][routes]") {
    Fixture f;
    CHECK(f.ask("POST", "/api/v1/status").status == 405);
    CHECK(f.ask("PUT", "/metrics").status == 405);
    CHECK(f.ask("GET", "/api/v1/reload").status == 405);
    CHECK(f.ask("GET", "/api/v1/backends/web/web-1/drain").status == 405);
    CHECK(f.ask("POST", "/api/v1/reload", {}, false).status == 403);
    CHECK(f.ask("POST", "/api/v1/backends/web/web-1/drain", {}, false).status == 403);
    CHECK(f.reloads.empty());
    CHECK(f.changes.empty());
}

TEST_CASE("routes: reload tells the generation, or why not", "[control][routes]") {
    Fixture f;
    auto answer = f.ask("POST", "/api/v1/reload");
    CHECK(answer.status == 200);
    CHECK(json::parse(answer.body) ==
          json{{"ok", true}, {"generation", 8}, {"messages", {"a message"}}});
    CHECK(f.ask("POST", "/api/v1/reload", {{"file", "relative.toml"}}).status == 400);
    f.outcome = {false, 7, {"x:1:2: wrong", "x:3:4: too"}};
    answer = f.ask("POST", "/api/v1/reload", {{"file", "/etc/other.toml"}});
    CHECK(answer.status == 409);
    CHECK(json::parse(answer.body)["error"] == "x:1:2: wrong");
    CHECK(json::parse(answer.body)["messages"].size() == 2);
    f.outcome.busy = true;
    CHECK(f.ask("POST", "/api/v1/reload").status == 503);
    CHECK(f.reloads == std::vector<std::string>{"", "/etc/other.toml", ""});
}

TEST_CASE("routes: backend verbs set the state", "[control][routes]") {
    Fixture f;
    CHECK(f.ask("POST", "/api/v1/backends/web/web-1/drain").status == 200);
    CHECK(f.ask("POST", "/api/v1/backends/web/web-1/enable").status == 200);
    const auto answer = f.ask("POST", "/api/v1/backends/web/web-1/disable");
    CHECK(json::parse(answer.body)["name"] == "web-1");
    CHECK(f.ask("POST", "/api/v1/backends/web/web-1/explode").status == 404);
    CHECK(f.ask("POST", "/api/v1/backends/web/nosuch/drain").status == 404);
    CHECK(f.ask("POST", "/api/v1/backends/nosuch/web-1/drain").status == 404);
    REQUIRE(f.changes.size() == 3);
    CHECK(f.changes[0] == std::tuple("web", "web-1", BackendState::drain));
    CHECK(f.changes[1] == std::tuple("web", "web-1", BackendState::active));
    CHECK(f.changes[2] == std::tuple("web", "web-1", BackendState::disabled));
}

TEST_CASE("routes: a backend's set-up is read, never changed", "[control][routes]") {
    Fixture f;
    f.actions.config = [] {
        Config config;
        ServiceConfig web;
        web.name = "web";
        web.key.vip = *parse_ip("203.0.113.10");
        web.backends = {{"web-1", *parse_ip("10.0.1.11"), 100, BackendState::active}};
        config.services = {web};
        return std::make_shared<const Config>(config);
    };
    const ApiResponse answer = f.get("/api/v1/backends/web/web-1/setup");
    CHECK(answer.status == 200);
    const json body = json::parse(answer.body);
    CHECK(body.at("service") == "web");
    CHECK(body.at("backend") == "web-1");
    CHECK(body.at("address") == "10.0.1.11");
    CHECK(body.at("forward") == "dsr-l2");
    CHECK(body.at("steps").at(0).at("command") == "ip addr replace 203.0.113.10/32 dev lo");
    CHECK(body.at("steps").at(0).at("why").is_string());
    CHECK(body.at("notes") == json::array());
    CHECK(f.status("/api/v1/backends/web/nosuch/setup") == 404);
    CHECK(f.status("/api/v1/backends/nosuch/web-1/setup") == 404);
    CHECK(f.ask("POST", "/api/v1/backends/web/web-1/setup").status == 405);
    CHECK(f.changes.empty());
    std::ifstream file(WEIR_SOURCE_ROOT "/docs/api.md");
    const std::string text(std::istreambuf_iterator<char>(file), {});
    for (const char* key :
         {"service", "backend", "address", "forward", "steps", "command", "why", "notes"}) {
        INFO(key);
        CHECK(text.find(std::string("`") + key + "`") != std::string::npos);
    }
}

TEST_CASE("routes: flow filters are checked before anybody is asked", "[control][routes]") {
    Fixture f;
    const auto status = [&](std::map<std::string, std::string> query) {
        return f.ask("GET", "/api/v1/flows", std::move(query)).status;
    };
    CHECK(status({}) == 200);
    CHECK(f.queries.at(0).limit == 100);
    CHECK(status({{"service", "web"},
                  {"backend", "web-1"},
                  {"src", "10.0.0.0/8"},
                  {"limit", "10000"}}) == 200);
    CHECK(f.queries.at(1).source == parse_prefix("10.0.0.0/8"));
    CHECK(f.queries.at(1).limit == 10'000);
    CHECK(status({{"service", "nosuch"}}) == 404);
    for (const char* limit : {"0", "10001", "-1", "x", "", "1 ", "99999999999999999999"}) {
        CHECK(status({{"limit", limit}}) == 400);
    }
    CHECK(status({{"src", "10.0.0"}}) == 400);
    CHECK(status({{"nosuch", "1"}}) == 400);
    CHECK(f.queries.size() == 2);
}

TEST_CASE("routes: healthz needs tables and lcores that move", "[control][routes]") {
    Fixture f;
    CHECK(f.get("/healthz").status == 200);
    CHECK(f.get("/healthz").body == "ok\n");
    f.view->workers[1].seconds_since_loop = 7;
    CHECK(f.get("/healthz").status == 503);
    CHECK(f.get("/healthz").body == "rx0 on CPU 2 has not looped for 7 s\n");
    f.view->workers.clear();
    f.view->tables_version = 0;
    CHECK(f.get("/healthz").status == 503);
}

TEST_CASE("routes: docs/api.md names every key of every object", "[control][routes]") {
    std::ifstream file(WEIR_SOURCE_ROOT "/docs/api.md");
    REQUIRE(file);
    const std::string text(std::istreambuf_iterator<char>(file), {});
    Fixture f;
    std::set<std::string> keys;
    const std::function<void(const json&)> visit = [&](const json& value) {
        if (value.is_array() && !value.empty()) visit(value[0]);
        if (!value.is_object()) return;
        for (const auto& [key, inner] : value.items()) {
            keys.insert(key);
            visit(inner);
        }
    };
    for (const char* path :
         {"/api/v1/status", "/api/v1/services/web", "/api/v1/backends", "/api/v1/workers",
          "/api/v1/ports", "/api/v1/neighbors", "/api/v1/health", "/api/v1/drops"}) {
        visit(json::parse(f.get(path).body));
    }
    for (const auto& key : keys) {
        INFO(key);
        CHECK(text.find("`" + key + "`") != std::string::npos);
    }
}
