// SPDX-License-Identifier: BSD-3-Clause
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "lib/control/metrics.hh"
#include "tests/unit/control/sample_view.hh"

using namespace weir;

namespace {

std::set<std::string> families_of(const std::string& text) {
    std::set<std::string> result;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("# TYPE ")) result.insert(line.substr(7, line.find(' ', 7) - 7));
    }
    return result;
}

}  // namespace

TEST_CASE("metrics: a full view fills every metric, each exactly once", "[control][metrics]") {
    const std::string text = to_prometheus(test::sample_view());
    std::set<std::string> expected;
    for (const auto& info : metric_infos())
        expected.emplace(info.name);
    CHECK(expected.size() == metric_infos().size());
    CHECK(families_of(text) == expected);
    for (const auto& name : expected) {
        const auto head = "# TYPE " + name + " ";
        CHECK(text.find(head) == text.rfind(head));
    }
}

TEST_CASE("metrics: what nothing fills is absent, not zero", "[control][metrics]") {
    const auto families = families_of(to_prometheus(InstanceView()));
    CHECK(families.count("weir_config_generation") == 1);
    for (const char* name : {"weir_service_packets_total", "weir_backend_up", "weir_port_up",
                             "weir_health_probe_duration_seconds", "weir_conntrack_entries",
                             "weir_dropped_packets_total", "weir_mempool_free_mbufs"}) {
        CHECK(families.count(name) == 0);
    }
    CHECK(families.count("weir_packet_latency_seconds") == 0);
}

TEST_CASE("metrics: values and labels of the view appear as they are", "[control][metrics]") {
    const std::string text = "\n" + to_prometheus(test::sample_view());
    for (const char* line : {
             "weir_build_info{version=\"0.1.0\",dpdk_version=\"DPDK 22.11.11\"} 1",
             "weir_service_packets_total{service=\"web\",family=\"ipv4\"} 4001",
             "weir_service_backends{service=\"web\",state=\"down\"} 1",
             "weir_backend_up{service=\"web\",backend=\"web-1\"} 1",
             "weir_backend_up{service=\"web\",backend=\"web-2\"} 0",
             "weir_backend_up{service=\"web\",backend=\"web-3\"} 1",
             "weir_backend_up{service=\"web\",backend=\"web-4\"} 1",
             "weir_backend_up{service=\"web\",backend=\"web-5\"} 0",
             "weir_backend_active_flows{service=\"web\",backend=\"web-1\"} 5004",
             "weir_health_probe_duration_seconds_bucket{service=\"web\",le=\"0.0005\"} 80",
             "weir_health_probe_duration_seconds_bucket{service=\"web\",le=\"+Inf\"} 200",
             "weir_health_probe_duration_seconds_sum{service=\"web\"} 0.5",
             "weir_health_probe_duration_seconds_count{service=\"web\"} 200",
             "weir_conntrack_entries{worker=\"worker0\"} 1009",
             "weir_dropped_packets_total{reason=\"no_backend\"} 8002",
             "weir_port_tx_full_packets_total{port=\"lan0\"} 2007",
             "weir_mempool_size_mbufs{pool=\"mbufs0\"} 8102",
             "weir_ring_used_slots{ring=\"handover 0-1\"} 8201",
             "weir_worker_last_loop_timestamp_seconds{worker=\"rx0\"} 1700000000.25",
             "weir_punted_packets_total{class=\"probe_reply\"} 3102",
             "weir_icmp_errors_sent_total{type=\"too_big\"} 3201",
             "weir_icmp_errors_sent_total{type=\"time_exceeded\"} 3202",
             "weir_neighbors{port=\"lan0\",state=\"unresolved\"} 1",
             "weir_config_last_reload_successful 1",
             "weir_config_generation 7",
         }) {
        INFO(line);
        CHECK(text.find("\n" + std::string(line) + "\n") != std::string::npos);
    }
    // Lcores that only receive have no connection table.
    CHECK(text.find("weir_conntrack_entries{worker=\"rx0\"}") == std::string::npos);
}

TEST_CASE("metrics: label values are escaped", "[control][metrics]") {
    InstanceView view;
    view.rings = {{"a\"b\\c\nd", 1, 2}};
    CHECK(to_prometheus(view).find("{ring=\"a\\\"b\\\\c\\nd\"} 1\n") != std::string::npos);
}

TEST_CASE("metrics: promtool finds nothing to say", "[control][metrics]") {
    if (std::system("command -v promtool >/dev/null 2>&1") != 0) {
        WARN("promtool is not installed: not checked");
        return;
    }
    const std::string base = fmt::format("/tmp/weir-metrics-{}", ::getpid());
    std::ofstream(base) << to_prometheus(test::sample_view());
    const auto command =
        fmt::format("promtool check metrics < {0} > {0}.out 2>&1 && ! grep . {0}.out", base);
    const int status = std::system(command.c_str());
    std::ifstream output(base + ".out");
    INFO(std::string(std::istreambuf_iterator<char>(output), {}));
    CHECK(status == 0);
    ::unlink(base.c_str());
    ::unlink((base + ".out").c_str());
}

TEST_CASE("metrics: docs/metrics.md lists exactly these", "[control][metrics]") {
    std::ifstream file(WEIR_SOURCE_ROOT "/docs/metrics.md");
    REQUIRE(file);
    std::set<std::string> documented;
    // "| `name` | type | labels | meaning |"
    for (std::string line; std::getline(file, line);) {
        if (!line.starts_with("| `weir_") || !line.ends_with(" |")) continue;
        line = line.substr(2, line.size() - 4);
        for (std::size_t bar; (bar = line.find(" | ")) != std::string::npos;) {
            line.replace(bar, 3, "|");
        }
        std::erase(line, '`');
        documented.insert(line);
    }
    std::set<std::string> expected;
    for (const auto& info : metric_infos()) {
        std::string labels;
        std::istringstream parts{std::string(info.labels)};
        for (std::string label; std::getline(parts, label, ',');) {
            labels += (labels.empty() ? "" : ", ") + label;
        }
        expected.insert(fmt::format("{}|{}|{}|{}", info.name, info.type, labels, info.help));
    }
    CHECK(documented == expected);
}
