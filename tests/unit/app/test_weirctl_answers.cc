// SPDX-License-Identifier: BSD-3-Clause
// weirctl against the real API server and its real routes, over a view made by hand.
#include <atomic>
#include <filesystem>
#include <sstream>
#include <thread>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "app/weirctl_commands.hh"
#include "lib/control/api_routes.hh"
#include "lib/control/api_server.hh"
#include "tests/unit/control/loop.hh"
#include "tests/unit/control/sample_view.hh"

using namespace weir;
using namespace weir::ctl;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

namespace {

ApiResponse two_flows() {
    return {200, "application/json",
            R"({"flows":[{"protocol":"tcp","source":"192.0.2.1","source_port":4711,
              "destination":"203.0.113.10","destination_port":443,"service":"web",
              "backend":"web-1","state":"established","expires_ms":61500,"worker":"worker0"},
              {"protocol":"udp","source":"2001:db8::1","source_port":53,
              "destination":"2001:db8:443::10","destination_port":443,"service":"quic6",
              "backend":"q-1","state":"untracked","expires_ms":1,"worker":"worker0"}],
              "truncated":true,"silent_workers":["worker1"]})"};
}

// A daemon without a data plane, on a thread of its own.
class Daemon {
public:
    Daemon() {
        api.socket_path = directory.file("ctl.sock");
        actions.view = [](const ViewScope&) {
            return std::make_shared<const InstanceView>(test::sample_view());
        };
        actions.config = [] { return std::make_shared<const Config>(); };
        actions.reload = [this](const std::string& path, const auto& done) {
            asked = path;
            done(outcome);
        };
        actions.set_state = [this](const std::string& service, const std::string& backend,
                                   BackendState state, const auto& done) {
            asked = fmt::format("{}/{} {}", service, backend, static_cast<int>(state));
            done();
        };
        actions.flows = [this](const FlowQuery& query, const ApiReply& reply) {
            asked = fmt::format("{} {} {}", query.service, query.backend, query.limit);
            reply(two_flows());
        };
        auto created =
            ApiServer::create(loop.base(), api, [this](const ApiRequest& request, ApiReply reply) {
                if (!canned.empty()) return reply({200, "application/json", canned});
                route(actions, request, std::move(reply));
            });
        REQUIRE(created.ok());
        server = std::move(created.value());
        thread = std::thread([this] {
            while (!stop)
                loop.turn();
        });
    }
    ~Daemon() {
        stop = true;
        thread.join();
    }

    // As if typed, with unique or whole words.
    Output type(const std::vector<std::string>& typed) {
        Context context = options;
        context.socket = api.socket_path;
        const auto found = match(words(), typed);
        REQUIRE(found.ok());
        return run(context, found.value());
    }

    test::TemporaryDirectory directory;
    test::Loop loop;
    ApiConfig api;
    Context options;
    ApiActions actions;
    ReloadOutcome outcome;
    std::string asked;   // what the last action was asked for
    std::string canned;  // answered to everything, if not empty
    std::unique_ptr<ApiServer> server;
    std::atomic<bool> stop = false;
    std::thread thread;
};

const std::vector<std::vector<std::string>> reading{
    {"status"},          {"service", "list"},        {"service", "show", "web"},
    {"backend", "list"}, {"backend", "list", "web"}, {"backend", "show", "web/web-1"},
    {"worker", "list"},  {"port", "list"},           {"neighbor", "list"},
    {"health", "list"},  {"drop", "list"},           {"flow", "list"},
    {"config", "show"}};

}  // namespace

TEST_CASE("weirctl: every column finds its value in the API's answer", "[app][weirctl]") {
    Daemon daemon;
    for (const auto& typed : reading) {
        CAPTURE(typed);
        const Output output = daemon.type(typed);
        CHECK(output.exit == exit_ok);
        CHECK(output.error.empty());
        CHECK_FALSE(output.out.empty());
        // The sample leaves two values empty: the MAC of a neighbour that is not resolved, and the
        // error of a reload that went well.
        std::size_t dashes = 0;
        std::istringstream words_of(output.out);
        for (std::string word; words_of >> word;)
            dashes += word == "-" ? 1 : 0;
        CHECK(dashes == (typed[0] == "neighbor" || typed[0] == "status" ? 1 : 0));
    }
}

TEST_CASE("weirctl: tables for people", "[app][weirctl]") {
    Daemon daemon;
    CHECK_THAT(daemon.type({"backend", "list"}).out,
               StartsWith("SERVICE  NAME   STATE     ADDRESS    WEIGHT  SLOTS") &&
                   Contains("\nweb      web-2  down      10.0.1.11      70  21846"));
    CHECK_THAT(daemon.type({"flow", "list"}).out,
               Contains("tcp    192.0.2.1:4711    ") && Contains(" 203.0.113.10:443 ") &&
                   Contains("[2001:db8::1]:53 ") && Contains(" [2001:db8:443::10]:443 ") &&
                   Contains("61.500") &&
                   Contains("(there are more; --limit takes up to 10000)\n") &&
                   Contains("(without the flows of worker1, which did not answer)\n"));
}

TEST_CASE("weirctl: -j prints the API's answer as it is", "[app][weirctl]") {
    Daemon daemon;
    daemon.options.json = true;
    for (const auto& typed : reading) {
        CAPTURE(typed);
        const Output output = daemon.type(typed);
        CHECK(output.exit == exit_ok);
        CHECK(nlohmann::json::accept(output.out));
    }
    const auto status = nlohmann::json::parse(daemon.type({"status"}).out);
    CHECK(status.at("packets").at("received") == 3001);
    // A refusal too, with the sentence on stderr beside it.
    const Output refused = daemon.type({"service", "show", "nosuch"});
    CHECK(refused.exit == exit_failed);
    CHECK(nlohmann::json::parse(refused.out).contains("error"));
    CHECK_THAT(refused.error, StartsWith("weirctl: no service 'nosuch'"));
}

TEST_CASE("weirctl: changes reach the daemon", "[app][weirctl]") {
    Daemon daemon;
    CHECK(daemon.type({"backend", "drain", "web/web-1"}).exit == exit_ok);
    CHECK(daemon.asked == "web/web-1 1");
    CHECK(daemon.type({"backend", "disable", "web/web-2"}).exit == exit_ok);
    CHECK(daemon.asked == "web/web-2 2");
    CHECK(daemon.type({"backend", "enable", "web/web-2"}).exit == exit_ok);
    CHECK(daemon.asked == "web/web-2 0");
    const Output unknown = daemon.type({"backend", "drain", "web/nosuch"});
    CHECK(unknown.exit == exit_failed);
    CHECK_THAT(unknown.error, StartsWith("weirctl: no backend 'nosuch' in service 'web'"));
}

TEST_CASE("weirctl: reload prints the generation, or every error", "[app][weirctl]") {
    Daemon daemon;
    daemon.outcome = {true, 8, {}};
    Output output = daemon.type({"reload"});
    CHECK(output.exit == exit_ok);
    CHECK(output.out == "generation 8\n");
    CHECK(daemon.asked.empty());

    CHECK(daemon.type({"reload", "a file&x=%41.toml"}).exit == exit_ok);
    CHECK(daemon.asked == (std::filesystem::current_path() / "a file&x=%41.toml").string());

    daemon.outcome = {false, 8, {"w.toml:1:2: first", "w.toml:3:4: second"}};
    output = daemon.type({"reload"});
    CHECK(output.exit == exit_failed);
    CHECK(output.out.empty());
    CHECK(output.error == "w.toml:1:2: first\nw.toml:3:4: second\n");
}

TEST_CASE("weirctl: backend setup is a shell script", "[app][weirctl]") {
    Daemon daemon;
    daemon.canned = R"({"service":"web","backend":"b1","address":"10.0.1.11","forward":"gre",
        "steps":[{"command":"ip link set weir-gre up","why":"It works."},
                 {"command":"nft 'add x { y; }'","why":"Why not."}],"notes":["A note."]})";
    CHECK(daemon.type({"backend", "setup", "web/b1"}).out ==
          "# web/b1 at 10.0.1.11, forward = \"gre\": on the backend, as root\n"
          "\n# It works.\nip link set weir-gre up\n"
          "\n# Why not.\nnft 'add x { y; }'\n"
          "\n# Note: A note.\n");
    daemon.canned = R"({"steps":1})";
    CHECK(daemon.type({"backend", "setup", "web/b1"}).exit == exit_failed);
}

TEST_CASE("weirctl: filters are for flow list", "[app][weirctl]") {
    Daemon daemon;
    daemon.options.flows = {"web", "web-1", "", 1'000'000};
    CHECK(daemon.type({"flow", "list"}).exit == exit_ok);
    CHECK(daemon.asked == "web web-1 10000");
    CHECK(daemon.type({"backend", "list"}).exit == exit_usage);
    CHECK(daemon.type({"backend", "drain", "web/web-1"}).exit == exit_usage);
    CHECK(daemon.asked == "web web-1 10000");
}

TEST_CASE("weirctl: an answer of another form is told, not guessed", "[app][weirctl]") {
    Daemon daemon;
    for (const char* canned : {"{}", R"({"flows":{}})", R"({"flows":[1]})"}) {
        daemon.canned = canned;
        CAPTURE(canned);
        const Output output = daemon.type({"flow", "list"});
        CHECK(output.exit == exit_failed);
        CHECK_THAT(output.error, Contains("another form"));
    }
    daemon.canned = "no JSON";
    CHECK(daemon.type({"status"}).exit == exit_failed);
}

TEST_CASE("weirctl: no daemon is exit code 3", "[app][weirctl]") {
    test::TemporaryDirectory directory;
    Context context;
    context.socket = directory.file("none.sock");
    const Output output = run(context, match(words(), {"status"}).value());
    CHECK(output.exit == exit_not_running);
    CHECK(output.out.empty());
    CHECK(output.error ==
          fmt::format("weirctl: weir is not running (no answer at {})\n", context.socket));
}
