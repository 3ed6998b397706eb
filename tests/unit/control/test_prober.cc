// SPDX-License-Identifier: BSD-3-Clause
// Probes of real servers on loopback, good and bad ones, with the loop in this thread.
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include <catch2/catch.hpp>

#include "lib/control/probe_transfer.hh"
#include "lib/control/prober.hh"
#include "tests/unit/control/loop.hh"
#include "tests/unit/control/probe_servers.hh"

using namespace weir;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using test::say;
using test::Server;

namespace {

struct FakeLedger final : ProbeLedger {
    Crossed answer{3, 3};
    std::vector<ProbeFlow> taken;
    Crossed take(const ProbeFlow& flow) override {
        taken.push_back(flow);
        return answer;
    }
};

ProbeTask task_for(std::uint16_t port, HealthType type, std::string backend = "b1") {
    ProbeTask task;
    task.service = "web";
    task.backend = std::move(backend);
    task.check.type = type;
    task.check.interval = 60'000;  // one round a test, and a machine under load has time for it
    task.check.timeout = 5000;
    task.address = *parse_ip("127.0.0.1");
    task.port = port;
    task.source = *parse_ip("127.0.0.1");
    task.interface = "lo";
    return task;
}

// One whose timeout a test can wait for.
ProbeTask quick_task(std::uint16_t port) {
    ProbeTask task = task_for(port, HealthType::http);
    task.check.interval = 200;
    task.check.timeout = 150;
    return task;
}

struct Fixture {
    test::Loop loop;
    FakeLedger ledger;
    std::vector<ProbeResult> results;
    std::chrono::nanoseconds offset{0};  // of the prober's clock
    // Set: the prober's clock stands there, so that no load of the machine looks like a pause.
    std::optional<std::chrono::steady_clock::time_point> standing;
    Prober prober{loop.base(), &ledger,
                  [this](const ProbeResult& result) { results.push_back(result); },
                  [this] { return standing.value_or(std::chrono::steady_clock::now()) + offset; }};

    ProbeResult first_result(const ProbeTask& task) {
        prober.set_tasks({task});
        REQUIRE(loop.until([this] { return !results.empty(); }));
        prober.set_tasks({});
        return results.front();
    }
    ProbeResult http(Server::Answer answer, std::uint32_t timeout = 5000) {
        Server server(loop.base(), std::move(answer));
        ProbeTask task = task_for(server.port(), HealthType::http);
        task.check.timeout = timeout;
        return first_result(task);
    }
    // The last flow that the ledger was asked for is one that it can have seen.
    void check_flow_freed(std::uint16_t remote_port) const {
        REQUIRE_FALSE(ledger.taken.empty());
        const ProbeFlow& flow = ledger.taken.back();
        CHECK(to_string(flow.local) == "127.0.0.1");
        CHECK(to_string(flow.remote) == "127.0.0.1");
        CHECK(flow.local_port != 0);
        CHECK(flow.remote_port == remote_port);
    }
};

const std::string ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

}  // namespace

TEST_CASE("prober: an HTTP answer with the expected status is a success", "[control][prober]") {
    Fixture fixture;
    std::string request;
    Server server(fixture.loop.base(), [&](bufferevent* connection, const std::string& text) {
        request = text;
        test::write_text(connection, ok);
    });
    ProbeTask task = task_for(server.port(), HealthType::http);
    task.check.path = "/a/../healthz?x=%20#y";
    task.check.host = "www.example.net";
    const ProbeResult result = fixture.first_result(task);
    CHECK(result.success);
    CHECK(result.detail == "HTTP 200");
    CHECK(result.service == "web");
    CHECK(result.backend == "b1");
    CHECK(result.seconds > 0);
    CHECK(result.seconds < 5);
    CHECK_THAT(request, StartsWith("GET /a/../healthz?x=%20#y HTTP/1.1\r\n"));
    CHECK_THAT(request, Contains("\r\nHost: www.example.net\r\n"));
    CHECK_THAT(request, Contains("\r\nConnection: close\r\n"));
    fixture.check_flow_freed(server.port());
}

TEST_CASE("prober: without a host the Host header is the address and port", "[control][prober]") {
    Fixture fixture;
    std::string request;
    Server server(fixture.loop.base(), [&](bufferevent* connection, const std::string& text) {
        request = text;
        test::write_text(connection, ok);
    });
    CHECK(fixture.first_result(task_for(server.port(), HealthType::http)).success);
    CHECK_THAT(request, Contains(fmt::format("\r\nHost: 127.0.0.1:{}\r\n", server.port())));
}

TEST_CASE("prober: the status decides", "[control][prober]") {
    CHECK(http_status_detail(503, {200, 204}) == "HTTP 503, expected 200 or 204");
    CHECK(http_status_detail(204, {200, 204}) == "HTTP 204");

    struct Case {
        const char* answer;
        std::vector<int> expected;
        bool success;
        const char* detail;
    };
    const Case cases[] = {
        {"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", {200}, false, "HTTP 500, expected 200"},
        {"HTTP/1.1 204 None\r\n\r\n", {200, 204}, true, "HTTP 204"},
        {"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
         {200},
         false,
         "HTTP 302, expected 200"},
        {"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", {302}, true, "HTTP 302"},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
         {200},
         true,
         "HTTP 200"},
        {"SSH-2.0-OpenSSH_9.2\r\n", {200}, false, "the answer is not HTTP"},
    };
    for (const Case& one : cases) {
        CAPTURE(one.answer);
        Fixture fixture;
        Server server(fixture.loop.base(), say(one.answer));
        ProbeTask task = task_for(server.port(), HealthType::http);
        task.check.expect_status = one.expected;
        const ProbeResult result = fixture.first_result(task);
        CHECK(result.success == one.success);
        CHECK(result.detail == one.detail);
        CHECK(server.accepted == 1);  // no redirect is followed
    }
}

TEST_CASE("prober: a body beyond the bound is cut and judged by its status", "[control][prober]") {
    const std::string piece(8192, 'x');
    Fixture good;
    const ProbeResult cut = good.http(test::endless("HTTP/1.1 200 OK\r\n\r\n", piece));
    CHECK(cut.success);
    CHECK(cut.detail == "HTTP 200");
    CHECK(cut.seconds < 5);
    Fixture bad;
    const ProbeResult wrong = bad.http(test::endless("HTTP/1.1 503 No\r\n\r\n", piece));
    CHECK_FALSE(wrong.success);
    CHECK(wrong.detail == "HTTP 503, expected 200");
}

TEST_CASE("prober: endless headers end at the bound", "[control][prober]") {
    Fixture lines;
    const ProbeResult many = lines.http(test::endless("HTTP/1.1 200 OK\r\n", "X-A: bcdefgh\r\n"));
    CHECK_FALSE(many.success);
    CHECK(many.detail == "answer with more than 32768 bytes of headers");
    Fixture line;
    CHECK_FALSE(line.http(test::endless("HTTP/1.1 200 OK\r\nX: ", std::string(4096, 'y'))).success);
    Fixture interim;
    CHECK_FALSE(interim.http(test::endless("", "HTTP/1.1 100 Continue\r\n\r\n")).success);
}

TEST_CASE("prober: a server that never answers is a timeout of the whole probe",
          "[control][prober]") {
    Fixture fixture;
    Server server(fixture.loop.base(), [](bufferevent*, const std::string&) {});
    ProbeTask task = task_for(server.port(), HealthType::http);
    task.check.timeout = 150;
    const ProbeResult result = fixture.first_result(task);
    CHECK_FALSE(result.success);
    CHECK(result.detail == "timeout after 150 ms (no answer)");
    CHECK(result.seconds >= 0.15);
    fixture.check_flow_freed(server.port());
}

TEST_CASE("prober: dripping bytes do not stretch the timeout", "[control][prober]") {
    const std::string long_body =
        "HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + std::string(9999, 'x');
    Fixture fixture;
    test::Dripper dripper(fixture.loop.base(), long_body);
    const ProbeResult result = fixture.http(dripper.answer(), 150);
    CHECK_FALSE(result.success);
    CHECK_THAT(result.detail, StartsWith("timeout after 150 ms"));
}

TEST_CASE("prober: connections that end badly", "[control][prober]") {
    SECTION("refused") {
        for (const HealthType type : {HealthType::tcp, HealthType::http}) {
            Fixture fixture;
            const test::RefusedPort refused;
            const ProbeResult result = fixture.first_result(task_for(refused.port(), type));
            CHECK_FALSE(result.success);
            CHECK(result.detail == "connection refused");
        }
    }
    SECTION("the SYN is not answered") {
        Fixture fixture;
        const test::DeafPort deaf;
        ProbeTask task = task_for(deaf.port(), HealthType::tcp);
        task.check.timeout = 150;
        const ProbeResult result = fixture.first_result(task);
        CHECK_FALSE(result.success);
        CHECK(result.detail == "timeout after 150 ms (no connection)");
        fixture.check_flow_freed(deaf.port());
    }
    SECTION("reset") {
        Fixture fixture;
        Server server(fixture.loop.base(), say(""));
        server.reset_at_once = true;
        const ProbeResult result = fixture.first_result(task_for(server.port(), HealthType::http));
        CHECK_FALSE(result.success);
        CHECK(result.detail == "connection reset by peer");
        fixture.check_flow_freed(server.port());
    }
    SECTION("closed without an answer, and in the middle of one") {
        const auto close_after = [](const char* text) {
            return [text](bufferevent* connection, const std::string&) {
                const int fd = bufferevent_getfd(connection);
                CHECK(send(fd, text, std::strlen(text), MSG_NOSIGNAL) ==
                      static_cast<ssize_t>(std::strlen(text)));
                shutdown(fd, SHUT_WR);
            };
        };
        Fixture nothing;
        CHECK(nothing.http(close_after("")).detail == "connection closed without an answer");
        Fixture part;
        const ProbeResult cut =
            part.http(close_after("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx"));
        CHECK_FALSE(cut.success);
        CHECK(cut.detail == "answer cut short");
    }
}

TEST_CASE("prober: a TCP check needs a connection and nothing more", "[control][prober]") {
    Fixture fixture;
    Server server(fixture.loop.base(), say(""));
    const ProbeResult result = fixture.first_result(task_for(server.port(), HealthType::tcp));
    CHECK(result.success);
    CHECK(result.detail == "connected");
    fixture.check_flow_freed(server.port());
}

TEST_CASE("prober: a success counts only when it crossed the port both ways", "[control][prober]") {
    for (const auto& crossed :
         {ProbeLedger::Crossed{0, 0}, ProbeLedger::Crossed{3, 0}, ProbeLedger::Crossed{0, 3}}) {
        Fixture fixture;
        fixture.ledger.answer = crossed;
        const ProbeResult result = fixture.http(say(ok));
        CHECK_FALSE(result.success);
        CHECK(result.detail == "probe did not cross port (TAP lo)");
    }
}

TEST_CASE("prober: what keeps a probe from leaving is said", "[control][prober]") {
    Fixture device;
    ProbeTask task = task_for(80, HealthType::tcp);
    task.interface = "no-such-tap";
    CHECK(device.first_result(task).detail == "cannot bind to TAP no-such-tap: no such device");
    CHECK(device.ledger.taken.empty());

    Fixture source;
    task = task_for(80, HealthType::tcp);
    task.source = *parse_ip("192.0.2.77");
    CHECK(source.first_result(task).detail ==
          "cannot bind to source 192.0.2.77: cannot assign requested address");
}

TEST_CASE("prober: a proxy in the environment is not asked", "[control][prober]") {
    Fixture fixture;
    const test::RefusedPort proxy;
    const std::string url = fmt::format("http://127.0.0.1:{}", proxy.port());
    setenv("http_proxy", url.c_str(), 1);
    const ProbeResult result = fixture.http(say(ok));
    unsetenv("http_proxy");
    CHECK(result.success);
}

TEST_CASE("prober: rounds come one interval apart and never overlap", "[control][prober]") {
    Fixture fixture;
    Server server(fixture.loop.base(), say(ok));
    Server silent(fixture.loop.base(), [](bufferevent*, const std::string&) {});
    ProbeTask good = task_for(server.port(), HealthType::http, "good");
    ProbeTask slow = task_for(silent.port(), HealthType::http, "slow");
    good.check.interval = slow.check.interval = slow.check.timeout = 500;
    const auto begin = std::chrono::steady_clock::now();
    auto seen = begin;
    std::chrono::nanoseconds longest_turn{0};
    const auto count = [&](const char* name) {
        return std::ranges::count(fixture.results, name, &ProbeResult::backend);
    };
    fixture.prober.set_tasks({good, slow});
    REQUIRE(fixture.loop.until([&] {
        const auto now = std::chrono::steady_clock::now();
        longest_turn = std::max(longest_turn, now - std::exchange(seen, now));
        return count("good") >= 4 && count("slow") >= 4;
    }));
    // The first within 50 ms, the second at the task's phase, the others 500 ms apart.
    CHECK(std::chrono::steady_clock::now() - begin >= 1000ms);
    if (longest_turn > 100ms) {
        WARN("the pace is not judged: the machine kept the loop from turning");
        return;
    }
    // A timeout as long as the interval must not halve the pace.
    CHECK(count("good") * 2 < count("slow") * 3);
    CHECK(silent.accepted <= static_cast<unsigned>(count("slow")) + 1);
}

TEST_CASE("prober: the phase is a property of the name and spreads the rounds",
          "[control][prober]") {
    std::map<std::int64_t, unsigned> tenths;
    for (int i = 0; i < 1000; ++i) {
        ProbeTask task = task_for(80, HealthType::tcp, fmt::format("backend-{}", i));
        task.check.interval = 1000;
        const ProbePhase phase = ProbePhase::of(task);
        CHECK(phase.phase == ProbePhase::of(task).phase);
        REQUIRE(phase.phase < 1000ms);
        ++tenths[phase.phase.count() / 100];
        const std::chrono::steady_clock::time_point now(123'456ms);
        const auto next = phase.next(now);
        REQUIRE(next > now);
        REQUIRE(next - now <= 1000ms);
        REQUIRE(phase.next(next) - next == 1000ms);
    }
    REQUIRE(tenths.size() == 10);
    for (const auto& [tenth, count] : tenths)
        CHECK((count > 60 && count < 140));
}

TEST_CASE("prober: equal tasks keep their schedule, others end without a result",
          "[control][prober]") {
    Fixture fixture;
    Server silent(fixture.loop.base(), [](bufferevent*, const std::string&) {});
    ProbeTask task = task_for(silent.port(), HealthType::http);
    task.check.timeout = 300;
    fixture.prober.set_tasks({task});
    REQUIRE(fixture.loop.until([&] { return silent.accepted == 1; }));
    fixture.standing = std::chrono::steady_clock::now();

    SECTION("equal") {
        ProbeTask another = task;
        another.backend = "another";
        fixture.prober.set_tasks({task, another});
        fixture.offset += Prober::first_within;
        REQUIRE(fixture.loop.until([&] { return fixture.results.size() >= 2; }));
        CHECK(silent.accepted == 2);  // the second is the other task's
    }
    SECTION("changed") {
        ProbeTask changed = task;
        changed.check.path = "/other";
        fixture.prober.set_tasks({changed});
        fixture.offset += Prober::first_within;
        fixture.check_flow_freed(silent.port());  // the ledger forgets the broken off one
        CHECK(fixture.results.empty());
        REQUIRE(fixture.loop.until([&] { return silent.accepted == 2; }));
        CHECK(fixture.results.empty());
    }
    SECTION("gone") {
        fixture.prober.set_tasks({});
        fixture.check_flow_freed(silent.port());
        Server good(fixture.loop.base(), say(ok));
        fixture.standing.reset();
        CHECK(fixture.first_result(task_for(good.port(), HealthType::http, "c")).backend == "c");
        CHECK(fixture.results.size() == 1);
    }
}

TEST_CASE("prober: a result handler may change the tasks", "[control][prober]") {
    test::Loop loop;
    Server server(loop.base(), say(ok));
    std::vector<std::string> seen;
    Prober* self = nullptr;
    Prober prober(loop.base(), nullptr, [&](const ProbeResult& result) {
        seen.push_back(result.backend);
        self->set_tasks({task_for(server.port(), HealthType::http, "second")});
        CHECK(seen.back() == result.backend);
    });
    self = &prober;
    prober.set_tasks({task_for(server.port(), HealthType::http, "first")});
    REQUIRE(loop.until([&] { return seen.size() >= 2; }));
    CHECK(seen[1] == "second");
}

TEST_CASE("prober: a pause of the loop voids the round under way", "[control][prober]") {
    Fixture fixture;
    bool answer = false;
    Server server(fixture.loop.base(), [&](bufferevent* connection, const std::string&) {
        if (answer) test::write_text(connection, ok);
    });
    fixture.prober.set_tasks({quick_task(server.port())});
    REQUIRE(fixture.loop.until([&] { return server.accepted == 1; }));
    fixture.offset += 30s;  // a machine that was paused
    answer = true;
    REQUIRE(fixture.loop.until([&] { return !fixture.results.empty(); }));
    CHECK(fixture.results.front().success);  // the timeout of the first round was not told
    CHECK(server.accepted >= 2);
}

TEST_CASE("prober: a success from before a pause is old news", "[control][prober]") {
    Fixture fixture;
    bufferevent* held = nullptr;
    Server server(fixture.loop.base(), [&](bufferevent* connection, const std::string&) {
        if (held != nullptr) test::write_text(connection, ok);
        held = connection;
    });
    fixture.prober.set_tasks({quick_task(server.port())});
    REQUIRE(fixture.loop.until([&] { return held != nullptr; }));
    fixture.offset += 30s;
    test::write_text(held, ok);
    REQUIRE(fixture.loop.until([&] { return !fixture.results.empty(); }));
    CHECK(server.accepted >= 2);
}

TEST_CASE("prober: a loop that never keeps time does not silence a check", "[control][prober]") {
    Fixture fixture;
    Server server(fixture.loop.base(), [&](bufferevent*, const std::string&) {
        fixture.offset += 30s;  // a pause in every round
    });
    const ProbeResult result = fixture.first_result(quick_task(server.port()));
    CHECK_FALSE(result.success);
    CHECK(server.accepted >= 4);  // three void ones, and the next may have begun
    CHECK(server.accepted <= 5);
}

TEST_CASE("prober: more tasks than may run at once all get their turn", "[control][prober]") {
    Fixture fixture;
    Server server(fixture.loop.base(), say(ok));
    Server silent(fixture.loop.base(), [](bufferevent*, const std::string&) {});
    std::vector<ProbeTask> tasks;
    for (int i = 0; i < 700; ++i) {
        ProbeTask task = task_for(i % 2 == 0 ? server.port() : silent.port(), HealthType::http,
                                  fmt::format("b{}", i));
        task.check.interval = task.check.timeout = 5000;
        if (i % 2 != 0) task.check.timeout = 1000;
        tasks.push_back(task);
    }
    fixture.prober.set_tasks(tasks);
    std::set<std::string> told;
    REQUIRE(fixture.loop.until(
        [&] {
            for (const ProbeResult& result : fixture.results)
                told.insert(result.backend);
            return told.size() == tasks.size();
        },
        30s));
    for (const ProbeResult& result : fixture.results)
        CHECK(
            (result.detail == "HTTP 200" || result.detail == "timeout after 1000 ms (no answer)"));
}
