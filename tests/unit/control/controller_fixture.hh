// SPDX-License-Identifier: BSD-3-Clause
// A controller with its loop in the test's thread, a data plane that only remembers, and files that
// are Config values.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "lib/control/controller.hh"
#include "lib/control/log.hh"
#include "tests/unit/control/fake_data_plane.hh"
#include "tests/unit/control/loop.hh"
#include "tests/unit/control/namespaces.hh"

namespace weir::test {

// One port, one service "web" of backends a, b, c on 127.0.0.11, .12, .13; no health check.
inline Config small_config() {
    Config config;
    config.path = "running.toml";
    config.system.worker_lcores = {1};
    PortConfig port;
    port.name = "lan0";
    port.device = "net_null0";
    port.addresses = {*parse_prefix("127.0.0.1/8")};
    port.neighbors = {{*parse_ip("127.0.0.11"), *parse_mac("02:00:00:00:00:11")},
                      {*parse_ip("127.0.0.12"), *parse_mac("02:00:00:00:00:12")}};
    config.ports = {port};
    ServiceConfig web;
    web.name = "web";
    web.key = {*parse_ip("203.0.113.10"), ServiceProtocol::tcp, 80, 80};
    web.table_size = 251;
    for (const char* name : {"a", "b", "c"}) {
        const auto last = std::to_string(11 + (name[0] - 'a'));
        web.backends.push_back({name, *parse_ip("127.0.0." + last), 100, BackendState::active});
    }
    config.services = {web};
    return config;
}

struct ControllerFixture {
    Loop loop;
    FakeDataPlane data_plane;
    std::map<std::string, ConfigResult> files;
    std::vector<std::shared_ptr<const InstanceView>> views;
    std::unique_ptr<Controller> controller;
    Config running;

    // `taps`: by port. `where`: in whose network its sockets are; null: the process's.
    explicit ControllerFixture(Config config = small_config(), std::vector<std::string> taps = {},
                               const Namespace* where = nullptr)
        : running(config) {
        process_log().set_level(LogLevel::error);
        Controller::Setup setup;
        setup.base = loop.base();
        setup.data_plane = &data_plane;
        setup.ports.resize(config.ports.size());
        setup.taps = std::move(taps);
        setup.taps.resize(config.ports.size());
        setup.version = "0.1.0";
        setup.period = std::chrono::milliseconds(20);
        setup.load = [this](const std::string& path) {
            const auto found = files.find(path);
            if (found != files.end()) return found->second;
            return ConfigResult{std::nullopt, {{path, 1, 1, "no such file"}}};
        };
        setup.on_view = [this](const auto& view) { views.push_back(view); };
        const auto create = [&] {
            auto created = Controller::create(std::move(setup), std::move(config));
            if (created) controller = std::move(created).value();
        };
        if (where != nullptr)
            where->inside(create);
        else
            create();
        REQUIRE(controller != nullptr);
    }

    void put(const std::string& path, Config config) {
        config.path = path;
        files[path] = {std::move(config), {}};
    }
    ReloadOutcome reload(const std::string& path) {
        std::optional<ReloadOutcome> outcome;
        controller->reload(path, [&](const ReloadOutcome& result) {
            CHECK_FALSE(outcome);
            outcome = result;
        });
        REQUIRE(loop.until([&] { return outcome.has_value(); }));
        return *outcome;
    }
    ApiResponse ask(const std::string& method, const std::string& path) {
        std::optional<ApiResponse> answer;
        controller->handle({method, path, {}, true},
                           [&](ApiResponse response) { answer = std::move(response); });
        REQUIRE(loop.until([&] { return answer.has_value(); }));
        return *answer;
    }
    [[nodiscard]] BackendView backend(const std::string& name) const {
        const auto view = controller->view();
        for (const auto& one : view->services.at(0).backends) {
            if (one.name == name) return one;
        }
        FAIL("no backend " << name);
        return {};
    }
    [[nodiscard]] const Tables& tables() const { return *data_plane.current(); }
};

}  // namespace weir::test
