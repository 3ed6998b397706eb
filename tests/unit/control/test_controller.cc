// SPDX-License-Identifier: BSD-3-Clause
#include <list>

#include "lib/control/controller.hh"
#include "lib/control/json.hh"
#include "tests/unit/control/controller_fixture.hh"

using namespace weir;
using namespace std::chrono_literals;
using nlohmann::json;
using test::ControllerFixture;
using test::small_config;

namespace {

// A listener that health probes can reach.
struct Listener {
    int fd = -1;
    std::uint16_t port = 0;
    explicit Listener(const char* address, std::uint16_t at = 0) {
        fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        const int on = 1;
        ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        sockaddr_in name{};
        name.sin_family = AF_INET;
        name.sin_port = htons(at);
        std::memcpy(&name.sin_addr, parse_ip(address)->bytes.data(), 4);
        REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&name), sizeof(name)) == 0);
        REQUIRE(::listen(fd, 64) == 0);
        socklen_t size = sizeof(name);
        ::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size);
        port = ntohs(name.sin_port);
    }
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
    ~Listener() { ::close(fd); }
};

Config checked_config(std::uint16_t port) {
    Config config = small_config();
    HealthConfig check;
    check.name = "tcp";
    check.port = port;
    check.interval = 20;
    check.timeout = 1000;
    check.rise = 1;
    check.fall = 2;
    config.health["tcp"] = check;
    config.services[0].health = "tcp";
    return config;
}

}  // namespace

TEST_CASE("controller: the first tables are published before create() returns",
          "[control][controller]") {
    ControllerFixture f;
    REQUIRE(f.data_plane.published.size() == 1);
    CHECK(f.tables().version == 1);
    CHECK(f.tables().generation == 1);
    REQUIRE(f.tables().services.size() == 1);
    CHECK(f.tables().services[0]->slots.size() == 251);
    REQUIRE(f.data_plane.vips.size() == 1);
    CHECK(f.data_plane.vips[0] == std::vector{*parse_ip("203.0.113.10")});
    // Static neighbours are in it.
    std::size_t resolved = 0;
    for (const auto& hop : f.tables().next_hops)
        resolved += hop.resolved ? 1 : 0;
    CHECK(resolved == 2);
}

TEST_CASE("controller: VIPs that cannot be placed stop the start", "[control][controller]") {
    test::Loop loop;
    test::FakeDataPlane data_plane;
    data_plane.refuse_vips = true;
    Controller::Setup setup;
    setup.base = loop.base();
    setup.data_plane = &data_plane;
    setup.ports.resize(1);
    setup.taps.resize(1);
    const auto created = Controller::create(std::move(setup), small_config());
    REQUIRE_FALSE(created.ok());
    CHECK(created.error().message == "cannot set the VIPs");
    CHECK(data_plane.published.empty());
}

TEST_CASE("controller: a part of the view is that of the whole", "[control][controller]") {
    Config config = small_config();
    config.services[0].backends[1].state = BackendState::drain;
    config.services[0].backends[2].state = BackendState::disabled;
    config.services.push_back(config.services[0]);
    config.services[1].name = "web2";
    config.services[1].key.first_port = config.services[1].key.last_port = 81;
    ControllerFixture f(std::move(config));
    CHECK(f.ask("POST", "/api/v1/backends/web2/a/disable").status == 200);
    const auto whole = f.controller->view();
    REQUIRE(whole->services.size() == 2);
    for (const ServiceView& service : whole->services) {
        const auto part = f.controller->view(ViewScope::only(service.name));
        REQUIRE(part->services.size() == 1);
        CHECK(service_json(part->services[0], true) == service_json(service, true));
        CHECK(part->neighbors.empty());
        CHECK(part->workers.size() == whole->workers.size());
    }
    CHECK(f.controller->view(ViewScope::only("we"))->services.empty());
    CHECK(f.controller->view(ViewScope::small())->services.empty());
    auto all = status_json(*whole);
    auto states = status_json(*f.controller->view({ViewScope::Services::states}));
    all.erase("uptime_seconds");
    states.erase("uptime_seconds");
    CHECK(all == states);
    CHECK(all["backends"]["disabled"] == 3);
}

TEST_CASE("controller: a change touches its service alone, and is whole at once",
          "[control][controller]") {
    ControllerFixture f;
    Config config = small_config();
    config.services.push_back(config.services[0]);
    config.services[1].name = "web2";
    config.services[1].key.first_port = config.services[1].key.last_port = 81;
    f.put("two.toml", config);
    REQUIRE(f.reload("two.toml").ok);
    const Tables* before = &f.tables();
    REQUIRE(f.ask("POST", "/api/v1/backends/web2/a/drain").status == 200);
    CHECK(&f.tables() != before);
    CHECK(f.tables().services[0] == before->services[0]);
    CHECK_FALSE(f.tables().services[1]->live[0]);
    CHECK(f.tables().index.find(config.services[1].key.vip, 6, 81).place == 1);
    REQUIRE(f.ask("POST", "/api/v1/backends/web2/a/disable").status == 200);
    CHECK_FALSE(f.tables().services[1]->seats[0].keeps_flows);
    REQUIRE(f.ask("POST", "/api/v1/backends/web2/a/enable").status == 200);
    CHECK(f.tables().services[1]->slots == before->services[1]->slots);
}

TEST_CASE("controller: the view tells what is configured and what runs", "[control][controller]") {
    Config config = small_config();
    config.services[0].backends[1].state = BackendState::drain;
    config.services[0].backends[2].state = BackendState::disabled;
    ControllerFixture f(std::move(config));
    f.data_plane.services[0] = {1, 2, 3, 4};
    const auto view = f.controller->view();
    CHECK(view->version == "0.1.0");
    CHECK(view->pid == ::getpid());
    CHECK(view->config_generation == 1);
    CHECK(view->tables_version == 1);
    const ServiceView& web = view->services.at(0);
    CHECK(web.family == "ipv4");
    CHECK(web.ports == "80");
    CHECK(web.traffic.active_flows == 4);
    const BackendView a = f.backend("a"), b = f.backend("b"), c = f.backend("c");
    CHECK(a.state == "up");
    CHECK(a.takes_new);
    CHECK(a.slots == 251);
    CHECK(a.resolved);
    CHECK(a.next_hop == "127.0.0.11");
    CHECK(a.port == "lan0");
    CHECK(b.state == "drain");
    CHECK(b.configured == "drain");
    CHECK_FALSE(b.takes_new);
    CHECK(b.keeps_flows);
    CHECK(b.slots == 0);
    CHECK(c.state == "disabled");
    CHECK_FALSE(c.keeps_flows);
    CHECK_FALSE(c.resolved);
    REQUIRE(view->neighbors.size() == 3);
    CHECK(view->neighbors[0].source == "static");
    CHECK(view->neighbors[0].mac == "02:00:00:00:00:11");
    CHECK(view->neighbors[2].state == "NONE");
    // Only reasons that this version can give.
    const auto has = [&](std::string_view reason) {
        return std::ranges::count(view->drops, reason, &DropView::reason) == 1;
    };
    CHECK(has("l2_truncated"));
    CHECK(has("tx_full"));
    CHECK(has("nat_ports_exhausted"));
    CHECK_FALSE(has("new_flow_limited"));
}

TEST_CASE("controller: views come by themselves, after publications and from time to time",
          "[control][controller]") {
    ControllerFixture f;
    CHECK(f.loop.until([&] { return f.views.size() >= 2; }));
    CHECK(f.views.back()->tables_version == 1);
}

TEST_CASE("controller: a reload swaps whole and counts one generation", "[control][controller]") {
    ControllerFixture f;
    Config next = small_config();
    next.services[0].backends[0].weight = 7;
    ServiceConfig dns = next.services[0];
    dns.name = "dns";
    dns.key = {*parse_ip("203.0.113.53"), ServiceProtocol::udp, 53, 53};
    next.services.push_back(dns);
    f.put("next.toml", next);
    const ReloadOutcome outcome = f.reload("next.toml");
    CHECK(outcome.ok);
    CHECK(outcome.generation == 2);
    CHECK(outcome.messages.empty());
    CHECK(f.tables().generation == 2);
    CHECK(f.tables().services.size() == 2);
    CHECK(f.data_plane.vips.back().size() == 2);
    CHECK(f.backend("a").weight == 7);
    CHECK(f.controller->view()->last_reload_ok);
    // The file that runs is the one that was loaded last.
    CHECK(f.reload("").generation == 3);
    CHECK(f.controller->view()->config_path == "next.toml");
}

TEST_CASE("controller: a reload that fails changes nothing", "[control][controller]") {
    ControllerFixture f;
    const auto unchanged = [&] {
        CHECK(f.data_plane.published.size() == 1);
        CHECK(f.controller->view()->config_generation == 1);
        CHECK(f.controller->view()->services.size() == 1);
        CHECK_FALSE(f.controller->view()->last_reload_ok);
    };
    SECTION("errors in the file: fifty and the number of the rest") {
        for (unsigned i = 0; i < 60; ++i) {
            f.files["bad.toml"].errors.push_back({"bad.toml", i + 1, 1, "wrong"});
        }
        const ReloadOutcome outcome = f.reload("bad.toml");
        CHECK_FALSE(outcome.ok);
        CHECK(outcome.generation == 1);
        REQUIRE(outcome.messages.size() == 51);
        CHECK(outcome.messages[0] == "bad.toml:1:1: wrong");
        CHECK(outcome.messages[50] == "and 10 more");
        unchanged();
        CHECK(f.controller->view()->last_reload_error == "bad.toml:1:1: wrong");
    }
    SECTION("keys that only a restart can change: each is named") {
        Config next = small_config();
        next.system.hash_seed = 99;
        next.ports[0].mtu = 9000;
        next.services.clear();
        f.put("restart.toml", next);
        CHECK(f.reload("restart.toml").messages.size() == 2);
        unchanged();
    }
    SECTION("VIPs that cannot be placed: the old ones are set again") {
        Config next = small_config();
        next.services[0].key.vip = *parse_ip("203.0.113.99");
        next.services[0].backends.pop_back();
        f.put("next.toml", next);
        f.data_plane.refuse_vips = true;
        CHECK(f.reload("next.toml").messages == std::vector<std::string>{"cannot set the VIPs"});
        CHECK(f.data_plane.vips.back() == std::vector{*parse_ip("203.0.113.10")});
        unchanged();
        f.data_plane.refuse_vips = false;
        CHECK(f.reload("next.toml").ok);
        CHECK(f.controller->view()->last_reload_ok);
    }
}

TEST_CASE("controller: reloads wait in order, at most 64", "[control][controller]") {
    ControllerFixture f;
    f.put("next.toml", small_config());
    std::vector<std::uint64_t> generations;
    std::size_t busy = 0;
    for (int i = 0; i < 70; ++i) {
        f.controller->reload("next.toml", [&](const ReloadOutcome& outcome) {
            if (outcome.busy) {
                ++busy;
            } else {
                CHECK(outcome.ok);
                // Answered after publication of exactly this one.
                CHECK(f.tables().generation == outcome.generation);
                generations.push_back(outcome.generation);
            }
        });
    }
    CHECK(busy == 6);
    REQUIRE(f.loop.until([&] { return generations.size() == 64; }));
    for (std::size_t i = 0; i < 64; ++i)
        CHECK(generations[i] == i + 2);
    CHECK(f.controller->view()->config_generation == 65);
}

TEST_CASE("controller: stopping answers the reloads that wait", "[control][controller]") {
    ControllerFixture f;
    std::size_t answered = 0;
    for (int i = 0; i < 3; ++i) {
        f.controller->reload("", [&](const ReloadOutcome& outcome) {
            CHECK_FALSE(outcome.ok);
            ++answered;
        });
    }
    f.controller.reset();
    CHECK(answered == 3);
}

TEST_CASE("controller: an operator's state holds until the next reload, which says so",
          "[control][controller]") {
    ControllerFixture f;
    auto answer = f.ask("POST", "/api/v1/backends/web/a/drain");
    CHECK(answer.status == 200);
    CHECK(json::parse(answer.body)["state"] == "drain");
    CHECK(json::parse(answer.body)["configured"] == "active");
    CHECK(json::parse(answer.body)["slots"] == 0);  // answered after publication
    CHECK(f.data_plane.published.size() == 2);
    CHECK(f.controller->view()->warnings.size() == 1);
    CHECK(json::parse(f.ask("POST", "/api/v1/backends/web/b/disable").body)["state"] == "disabled");
    // Back to the file's state is no override any more.
    CHECK(json::parse(f.ask("POST", "/api/v1/backends/web/b/enable").body)["state"] == "up");
    f.put("running.toml", small_config());
    const ReloadOutcome outcome = f.reload("");
    REQUIRE(outcome.messages.size() == 1);
    CHECK(outcome.messages[0].find("web/a follows the file again") == 0);
    CHECK(f.backend("a").state == "up");
    CHECK(f.controller->view()->warnings.empty());
}

TEST_CASE("controller: a burst of changes is one publication", "[control][controller]") {
    ControllerFixture f;
    std::size_t answered = 0;
    for (const char* name : {"a", "b", "c"}) {
        f.controller->handle({"POST", fmt::format("/api/v1/backends/web/{}/drain", name), {}, true},
                             [&](const ApiResponse& response) {
                                 CHECK(response.status == 200);
                                 ++answered;
                             });
    }
    CHECK(answered == 0);
    REQUIRE(f.loop.until([&] { return answered == 3; }));
    CHECK(f.data_plane.published.size() == 2);
    // A reload does not leave a second one behind.
    f.put("running.toml", small_config());
    f.controller->handle({"POST", "/api/v1/backends/web/a/drain", {}, true},
                         [&](const ApiResponse&) { ++answered; });
    f.reload("");
    CHECK(answered == 4);
    f.loop.until([end = std::chrono::steady_clock::now() + 20ms] {
        return std::chrono::steady_clock::now() > end;
    });
    CHECK(f.data_plane.published.size() == 3);
}

TEST_CASE("controller: a change is answered when every worker reads it", "[control][controller]") {
    ControllerFixture f;
    f.put("running.toml", small_config());
    f.data_plane.is_settled = false;
    bool drained = false, reloaded = false;
    f.controller->handle({"POST", "/api/v1/backends/web/a/drain", {}, true},
                         [&](const ApiResponse& response) { drained = response.status == 200; });
    REQUIRE(f.loop.until([&] { return f.data_plane.published.size() == 2; }));
    f.controller->reload("", [&](const ReloadOutcome& outcome) { reloaded = outcome.ok; });
    REQUIRE(f.loop.until([&] { return f.data_plane.published.size() == 3; }));
    CHECK_FALSE(drained);
    CHECK_FALSE(reloaded);
    f.data_plane.is_settled = true;
    REQUIRE(f.loop.until([&] { return drained && reloaded; }));
    CHECK(f.data_plane.published.size() == 3);

    // A worker that never turns keeps nobody waiting for ever.
    f.data_plane.is_settled = false;
    CHECK(f.reload("").ok);
    // Nor does the end of the program.
    reloaded = false;
    f.controller->reload("", [&](const ReloadOutcome& outcome) { reloaded = outcome.ok; });
    REQUIRE(f.loop.until([&] { return f.data_plane.published.size() == 5; }));
    f.controller.reset();
    CHECK(reloaded);
}

TEST_CASE("controller: an id is reused only when no flow names it, and counts from zero then",
          "[control][controller]") {
    ControllerFixture f;
    const auto id_of = [&](const std::string& name) {
        const ServiceTable& web = *f.tables().services[0];
        const auto at = std::ranges::find(web.backend_names, name);
        REQUIRE(at != web.backend_names.end());
        return index(web.seats[static_cast<std::size_t>(at - web.backend_names.begin())].id);
    };
    const auto period_passes = [&] {
        const std::size_t seen = f.views.size();
        REQUIRE(f.loop.until([&] { return f.views.size() >= seen + 2; }));
    };
    const std::uint32_t c = id_of("c");
    f.data_plane.backends[c] = {1000, 2000, 30, 1};
    Config without = small_config();
    without.services[0].backends.pop_back();
    f.put("without.toml", without);
    Config with_d = without;
    with_d.services[0].backends.push_back(
        {"d", *parse_ip("127.0.0.14"), 100, BackendState::active});
    f.put("with-d.toml", with_d);

    CHECK(f.reload("without.toml").ok);
    period_passes();
    CHECK(f.reload("with-d.toml").ok);
    CHECK(id_of("d") != c);  // a flow still names c
    CHECK(f.reload("without.toml").ok);
    f.data_plane.backends[c].active_flows = 0;
    f.data_plane.is_settled = false;
    period_passes();
    CHECK(f.reload("with-d.toml").ok);
    CHECK(id_of("d") != c);  // a worker may still read tables that name c
    CHECK(f.reload("without.toml").ok);
    f.data_plane.is_settled = true;
    period_passes();
    CHECK(f.reload("with-d.toml").ok);
    CHECK(id_of("d") == c);
    CHECK(f.backend("d").traffic.packets == 0);
    f.data_plane.backends[c].packets += 5;
    CHECK(f.backend("d").traffic.packets == 5);
}

TEST_CASE("controller: probes move backends, and their health outlives a reload",
          "[control][controller]") {
    std::optional<Listener> a(std::in_place, "127.0.0.11");
    std::optional<Listener> b(std::in_place, "127.0.0.12", a->port);
    ControllerFixture f(checked_config(a->port));
    CHECK(f.backend("a").state == "unknown");
    CHECK(f.backend("c").takes_new);  // unknown counts as up
    // Nobody listens on c.
    REQUIRE(f.loop.until([&] { return f.backend("c").state == "down"; }));
    REQUIRE(f.loop.until([&] {
        return f.backend("a").state == "up" && f.backend("b").state == "up" &&
               f.backend("c").slots == 0;
    }));
    CHECK_FALSE(f.backend("c").check_detail.empty());

    // A reload keeps what it does not touch.
    Config next = checked_config(a->port);
    next.services[0].backends[0].weight = 50;
    next.services[0].backends.push_back(
        {"d", *parse_ip("127.0.0.14"), 100, BackendState::disabled});
    f.put("next.toml", next);
    CHECK(f.reload("next.toml").ok);
    CHECK(f.backend("a").state == "up");
    CHECK(f.backend("c").state == "down");
    CHECK(f.backend("d").state == "disabled");
    // Another address is another backend to the check.
    next.services[0].backends[2].address = *parse_ip("127.0.0.12");
    f.put("moved.toml", next);
    CHECK(f.reload("moved.toml").ok);
    CHECK(f.backend("c").state == "unknown");
    CHECK(f.backend("c").slots > 0);

    b.reset();
    REQUIRE(
        f.loop.until([&] { return f.backend("b").state == "down" && f.backend("b").slots == 0; }));
    CHECK(f.backend("a").state == "up");
    const auto view = f.controller->view();
    const auto at = std::ranges::find(view->health, "b", &HealthView::backend);
    REQUIRE(at != view->health.end());
    CHECK(at->transitions == 1);
    CHECK(at->failures >= 2);
}

TEST_CASE("controller: a disabled backend is not probed, an enabled one is again",
          "[control][controller]") {
    Listener a("127.0.0.11");
    ControllerFixture f(checked_config(a.port));
    REQUIRE(f.loop.until([&] { return f.backend("c").state == "down"; }));
    CHECK(f.ask("POST", "/api/v1/backends/web/c/disable").status == 200);
    CHECK(f.backend("c").state == "disabled");
    CHECK(f.controller->view()->health.size() == 2);
    CHECK(f.ask("POST", "/api/v1/backends/web/c/enable").status == 200);
    CHECK(f.controller->view()->health.size() == 3);
    CHECK(f.loop.until([&] { return f.backend("c").state == "down"; }));
}
