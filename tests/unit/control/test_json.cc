// SPDX-License-Identifier: BSD-3-Clause
#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "lib/control/json.hh"
#include "lib/control/status_page.hh"
#include "tests/unit/control/sample_view.hh"

using namespace weir;
using nlohmann::json;

namespace {

// What DPDK's telemetry can carry: flat dictionaries of text and 64-bit integers inside one
// dictionary, keys of letters, digits and '_', text below 128 bytes.
void check_telemetry_shape(const json& object, int depth) {
    CHECK(object.size() <= 256);
    for (const auto& [key, value] : object.items()) {
        INFO(key);
        CHECK(key.find_first_not_of(
                  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") ==
              std::string::npos);
        if (value.is_object()) {
            CHECK(depth == 0);
            check_telemetry_shape(value, depth + 1);
        } else if (value.is_string()) {
            CHECK(value.get_ref<const std::string&>().size() <= 127);
        } else {
            CHECK(value.is_number_integer());
        }
    }
}

InstanceView big_view(std::size_t backends) {
    InstanceView view = test::sample_view();
    const BackendView model = view.services[0].backends[0];
    view.services[0].backends.assign(backends, model);
    for (std::size_t i = 0; i < backends; ++i) {
        view.services[0].backends[i].name = fmt::format("b{}", i);
    }
    return view;
}

}  // namespace

TEST_CASE("json: counters are numbers under stable keys", "[control][json]") {
    const InstanceView view = test::sample_view();
    const json status = status_json(view);
    CHECK(status["config"]["generation"] == 7);
    CHECK(status["packets"]["punted_by_class"]["vip_icmp"] == 3103);
    CHECK(status["packets"]["icmp_errors_sent"]["time_exceeded"] == 3202);
    CHECK(status["backends"]["down"] == 1);
    CHECK(status["flows"]["entries"] == 2018);
    const json service = service_json(view.services[0], true);
    CHECK(service["backends_by_state"]["drain"] == 1);
    CHECK(service["backends"].size() == 5);
    CHECK(service["backends"][1]["state"] == "down");
    CHECK(service["backends"][1]["traffic"]["bytes"] == 6002);
    CHECK_FALSE(service_json(view.services[0], false).contains("backends"));
    CHECK(worker_json(view.workers[0])["busy_seconds"] == 12.5);
    CHECK(port_json(view.ports[0])["rx_nombuf"] == 2006);
    CHECK(health_json(view.health[0])["successes"] == 90);
    CHECK(neighbor_json(view.neighbors[1])["resolved"] == false);
    CHECK(drops_json(view)["drops"][1]["packets"] == 8002);
}

TEST_CASE("json: a configuration is told in the file's words", "[control][json]") {
    Config config;
    config.path = "/etc/weir.toml";
    config.system.hash_seed = 0x5765697200000001;
    config.system.worker_lcores = {1, 2};
    PortConfig port;
    port.name = "lan0";
    port.addresses = {*parse_prefix("10.0.0.5/16")};
    port.neighbors = {{*parse_ip("10.0.0.1"), *parse_mac("02:00:00:00:00:01")}};
    config.ports = {port};
    ServiceConfig service;
    service.name = "web";
    service.key = {*parse_ip("203.0.113.10"), ServiceProtocol::udp, 8000, 8099};
    service.forward = Forward::ipip;
    service.backends = {{"web-1", *parse_ip("fd00::1"), 5, BackendState::drain}};
    config.services = {service};
    config.api.http_host = "::1";
    config.api.http_port = 8404;
    const json told = config_json(config);
    CHECK(told["system"]["hash_seed"] == "0x5765697200000001");
    CHECK(told["port"][0]["address"][0] == "10.0.0.5/16");
    CHECK(told["port"][0]["exception_tap"].is_null());
    CHECK(told["port"][0]["neighbor"][0]["mac"] == "02:00:00:00:00:01");
    CHECK(told["service"][0]["protocol"] == "udp");
    CHECK(told["service"][0]["port"] == "8000-8099");
    CHECK(told["service"][0]["forward"] == "ipip");
    CHECK(told["service"][0]["backend"][0]["state"] == "drain");
    CHECK(told["service"][0]["backend"][0]["port"].is_null());
    CHECK(told["service"][0]["backend"][0]["quic_server_id"].is_null());
    CHECK_FALSE(told["service"][0].contains("quic"));
    CHECK(told["api"]["http"]["listen"] == "[::1]:8404");
    CHECK(told["api"]["socket"]["mode"] == "0660");
}

TEST_CASE("json: bytes that are not UTF-8 do not throw", "[control][json]") {
    CHECK(json_text(json{{"path", "/etc/\xff"}}) == "{\"path\":\"/etc/\xef\xbf\xbd\"}");
}

TEST_CASE("telemetry: every command keeps to what DPDK can carry", "[control][telemetry]") {
    InstanceView view = test::sample_view();
    view.config_path = "/" + std::string(500, 'x');
    view.services[0].backends[0].check_detail = std::string(126, 'x') + "\xc3\xa4";
    for (std::size_t i = 0; i < telemetry_command_count; ++i) {
        const std::string_view command = telemetry_commands[i].name;
        INFO(command);
        const bool named = command == "service" || command == "backends";
        const json answer = telemetry_json(view, command, named ? "web" : "");
        CHECK_FALSE(answer.contains("error"));
        CHECK_FALSE(answer.empty());
        check_telemetry_shape(answer, 0);
        CHECK(std::string_view(telemetry_commands[i].help).size() <= 63);
    }
    const json backends = telemetry_json(view, "backends", "web");
    CHECK(backends["0"]["check_detail"] == std::string(126, 'x'));
}

TEST_CASE("telemetry: every figure of /metrics can be reached", "[control][telemetry]") {
    // sample_view() gives almost every figure a value of its own: look for the values.
    const InstanceView view = test::sample_view();
    std::string all;
    for (std::size_t i = 0; i < telemetry_command_count; ++i) {
        const std::string_view command = telemetry_commands[i].name;
        const bool named = command == "service" || command == "backends";
        all += telemetry_json(view, command, named ? "web" : "").dump();
    }
    for (const char* value : {"4001",
                              "4002",
                              "4003",
                              "4004",
                              "5001",
                              "5002",
                              "5003",
                              "5004",
                              "1001",
                              "1002",
                              "1003",
                              "1009",
                              "1010",
                              "2001",
                              "2002",
                              "2003",
                              "2004",
                              "2005",
                              "2006",
                              "2007",
                              "2008",
                              "2009",
                              "2010",
                              "2011",
                              "3001",
                              "3002",
                              "3003",
                              "3004",
                              "3005",
                              "3101",
                              "3102",
                              "3103",
                              "3104",
                              "8001",
                              "8002",
                              "8101",
                              "8102",
                              "8201",
                              "8202",
                              "12500000",
                              "19",
                              "90",
                              "10",
                              "2",
                              "70",
                              "1048576",
                              "1700000000250000",
                              "250000",
                              "1700000000500000",
                              "0.1.0",
                              "22.11.11",
                              "REACHABLE",
                              "duration_le_500us"}) {
        INFO(value);
        CHECK(all.find(value) != std::string::npos);
    }
}

TEST_CASE("telemetry: pages together give the whole list, each within 16 KiB",
          "[control][telemetry]") {
    const InstanceView view = big_view(1000);
    std::string parameters = "web";
    std::size_t seen = 0, pages = 0;
    for (;;) {
        const json answer = telemetry_json(view, "backends", parameters);
        CHECK(answer.dump().size() < 15'000);
        check_telemetry_shape(answer, 0);
        for (; answer.contains(std::to_string(seen)); ++seen) {
            CHECK(answer[std::to_string(seen)]["name"] == fmt::format("b{}", seen));
        }
        ++pages;
        CHECK(answer["total"] == 1000);
        if (!answer.contains("next")) break;
        CHECK(answer["next"] == seen);
        parameters = fmt::format("web,{}", seen);
    }
    CHECK(seen == 1000);
    CHECK(pages > 10);
    CHECK_FALSE(telemetry_json(big_view(3), "backends", "web").contains("total"));
    CHECK(telemetry_json(view, "backends", "web,5000") == json{{"total", 1000}});
}

TEST_CASE("telemetry: unknown names and offsets are errors", "[control][telemetry]") {
    const InstanceView view = test::sample_view();
    CHECK(telemetry_json(view, "nosuch", "").contains("error"));
    CHECK(telemetry_json(view, "service", "").contains("error"));
    CHECK(telemetry_json(view, "service", "nosuch").contains("error"));
    CHECK(telemetry_json(view, "backends", "nosuch,0").contains("error"));
    for (const char* offset : {"-1", "x", "1x", "99999999999999999999999", " 1"}) {
        CHECK(telemetry_json(view, "workers", offset).contains("error"));
    }
    check_telemetry_shape(telemetry_json(view, "service", std::string(4000, 'x')), 0);
}

TEST_CASE("status page: names what is there and escapes it", "[control][page]") {
    InstanceView view = test::sample_view();
    view.warnings = {"<script>alert(\"1\")</script> & more"};
    const std::string page = status_page(view);
    CHECK(page.find("lb1.ams") != std::string::npos);
    CHECK(page.find("web-3") != std::string::npos);
    CHECK(page.find("lan0x") != std::string::npos);
    CHECK(page.find("<script") == std::string::npos);
    CHECK(page.find("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; more") !=
          std::string::npos);
    CHECK(page.find("src=") == std::string::npos);
    CHECK(page.find("http://") == std::string::npos);
    CHECK(status_page(big_view(10'000)).size() < 300'000);
}

TEST_CASE("json: of QUIC configurations all is told but the key", "[control][json][quic]") {
    Config config;
    ServiceConfig& service = config.services.emplace_back();
    Aes128::Key key;
    key.fill(0x5c);
    service.quic = {{0, 4, 8, std::nullopt}, {6, 4, 12, key}};
    service.backends.emplace_back().quic_server_id = {0x0a, 0xb0, 0x00, 0xff};
    const json told = config_json(config);
    const json& configs = told["service"][0]["quic"]["configs"];
    REQUIRE(configs.size() == 2);
    CHECK(configs[0] ==
          json{{"id", 0}, {"server_id_length", 4}, {"nonce_length", 8}, {"encrypted", false}});
    CHECK(configs[1] ==
          json{{"id", 6}, {"server_id_length", 4}, {"nonce_length", 12}, {"encrypted", true}});
    CHECK(told["service"][0]["backend"][0]["quic_server_id"] == "0ab000ff");
    CHECK(told.dump().find("5c5c") == std::string::npos);
    CHECK(told.dump().find("92,92") == std::string::npos);

    InstanceView view = test::sample_view();
    view.services[0].backends[0].quic_server_id.clear();
    const json shown = service_json(view.services[0], true);
    CHECK(shown["quic_configs"] == json{0, 6});
    CHECK(shown["backends"][0]["quic_server_id"].is_null());
    CHECK(shown["backends"][1]["quic_server_id"] == "0ab0");
}
