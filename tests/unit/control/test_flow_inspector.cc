// SPDX-License-Identifier: BSD-3-Clause
// The inspector against real connection tables; the test plays the workers, one serve() a turn.
#include <algorithm>
#include <cstdlib>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "lib/control/flow_inspector.hh"
#include "tests/unit/control/loop.hh"

using namespace weir;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

constexpr Tick now{1'000'000};
constexpr std::uint32_t entries = 4096;

// A connection table with its mailbox.
struct FakeWorker {
    std::unique_ptr<std::byte, void (*)(void*)> memory{
        static_cast<std::byte*>(std::aligned_alloc(64, FlowTable::footprint(entries))), std::free};
    FlowTable table{{memory.get(), FlowTable::footprint(entries)}, entries, {{1, 2, 3, 4}}};
    FlowMailbox mailbox;
    bool serves = true;

    void add(const std::string& source, std::uint16_t port, std::uint32_t backend) {
        FlowKey key;
        key.source = parse_ip(source)->bytes;
        key.source_port = port;
        const FlowValue value{backend, FlowState::established, expiry_of(now + 5000)};
        REQUIRE(table.insert(table.name(key, 7, false), value, now).done);
    }
};

struct Fixture {
    test::Loop loop;
    std::vector<std::unique_ptr<FakeWorker>> workers;
    std::size_t entries_seen = 0;
    bool hangs_later = false;  // worker 0, a few turns after the first entries were taken
    int turns_left = 3;
    std::vector<ApiResponse> answers;  // outlives the inspector, which answers when it ends
    std::unique_ptr<FlowInspector> inspector;

    explicit Fixture(std::size_t count, std::chrono::milliseconds deadline = 1h) {
        FlowInspector::Setup setup;
        setup.base = loop.base();
        for (std::size_t i = 0; i < count; ++i) {
            workers.push_back(std::make_unique<FakeWorker>());
            setup.mailboxes.push_back(&workers.back()->mailbox);
        }
        setup.now = [this] {
            ++entries_seen;  // it asks once for each
            return now;
        };
        setup.backend_name = [](BackendId id) -> Registry::BackendName {
            return {"web", fmt::format("b{}", index(id))};
        };
        setup.endpoint = [](EndpointId id) -> Registry::EndpointKey {
            if (index(id) != 7) return {};
            return {*parse_ip("203.0.113.10"), 6, 443, 443};
        };
        setup.deadline = deadline;
        inspector = std::make_unique<FlowInspector>(std::move(setup));
    }
    void ask(FlowQuery query) {
        inspector->ask(std::move(query),
                       [this](ApiResponse response) { answers.push_back(std::move(response)); });
    }
    bool wait(std::size_t count) {
        return loop.until([&] {
            if (hangs_later && entries_seen > 0 && --turns_left == 0) workers[0]->serves = false;
            for (auto& worker : workers) {
                if (worker->serves) worker->mailbox.serve(worker->table, now);
            }
            return answers.size() >= count;
        });
    }
    json answer(FlowQuery query) {
        const std::size_t count = answers.size();
        ask(std::move(query));
        REQUIRE(wait(count + 1));
        CHECK(answers.back().status == 200);
        return json::parse(answers.back().body);
    }
};

FlowQuery limit(std::size_t count) {
    FlowQuery query;
    query.limit = count;
    return query;
}

}  // namespace

TEST_CASE("flows: every flow of every worker is listed once, with its words", "[control][flows]") {
    Fixture f(3);
    for (std::uint16_t i = 0; i < 3000; ++i) {
        f.workers[i % 3u]->add("192.0.2.1", static_cast<std::uint16_t>(1000 + i), i % 7u);
    }
    const json all = f.answer(limit(10'000));
    std::vector<int> ports;
    for (const auto& flow : all["flows"])
        ports.push_back(flow["source_port"]);
    std::ranges::sort(ports);
    REQUIRE(ports.size() == 3000);
    for (int i = 0; i < 3000; ++i)
        CHECK(ports[static_cast<std::size_t>(i)] == 1000 + i);
    CHECK(all["truncated"] == false);
    CHECK(all["silent_workers"].empty());

    Fixture one(1);
    one.workers[0]->add("192.0.2.1", 4711, 3);
    CHECK(one.answer(limit(10))["flows"][0] == json{{"protocol", "tcp"},
                                                    {"source", "192.0.2.1"},
                                                    {"source_port", 4711},
                                                    {"destination", "203.0.113.10"},
                                                    {"destination_port", 443},
                                                    {"service", "web"},
                                                    {"backend", "b3"},
                                                    {"state", "established"},
                                                    {"expires_ms", 5055},
                                                    {"worker", "worker0"}});
}

TEST_CASE("flows: filters and the limit", "[control][flows]") {
    Fixture f(2);
    for (std::uint16_t i = 0; i < 200; ++i) {
        f.workers[i % 2u]->add(i < 50 ? "192.0.2.1" : "198.51.100.1", i, i % 10u);
    }
    FlowQuery query = limit(1000);
    query.source = parse_prefix("192.0.2.0/24");
    CHECK(f.answer(query)["flows"].size() == 50);
    query.backend = "b3";
    CHECK(f.answer(query)["flows"].size() == 5);
    query.service = "other";
    CHECK(f.answer(query)["flows"].empty());
    const json few = f.answer(limit(7));
    CHECK(few["flows"].size() == 7);
    CHECK(few["truncated"] == true);
    CHECK(f.answer(limit(200))["truncated"] == false);
}

TEST_CASE("flows: a silent worker delays an answer only until the deadline", "[control][flows]") {
    Fixture f(2, 30ms);
    f.workers[0]->add("192.0.2.1", 1, 1);
    f.workers[1]->add("192.0.2.1", 2, 1);
    f.workers[1]->serves = false;
    json answer = f.answer(limit(100));
    CHECK(answer["flows"].size() == 1);
    CHECK(answer["silent_workers"] == json{"worker1"});
    // It comes back: what it still held for the old question is not part of the next answer.
    answer = f.answer(limit(100));
    CHECK(answer["flows"].size() == 1);
    f.workers[1]->serves = true;
    answer = f.answer(limit(100));
    CHECK(answer["flows"].size() == 2);
    CHECK(answer["silent_workers"].empty());
}

TEST_CASE("flows: what a worker still held for an old question is not part of the next answer",
          "[control][flows]") {
    Fixture f(1, 500ms);
    for (std::uint16_t i = 0; i < 3000; ++i)
        f.workers[0]->add("192.0.2.1", i, 1);
    f.hangs_later = true;
    const json part = f.answer(limit(10'000));
    CHECK(part["silent_workers"].size() == 1);
    CHECK(part["flows"].size() > 1024 - line_slots);  // of 1024, which a line may overshoot
    CHECK(part["flows"].size() <= 1024);
    f.hangs_later = false;
    f.ask(limit(10'000));
    REQUIRE(f.loop.until([&] { return f.inspector->waiting() == 0; }));
    f.workers[0]->serves = true;  // it first finishes what it holds
    REQUIRE(f.wait(2));
    const json whole = json::parse(f.answers[1].body);
    CHECK(whole["silent_workers"].empty());
    CHECK(whole["flows"].size() == 3000);
}

TEST_CASE("flows: questions wait in a bounded queue, in order", "[control][flows]") {
    Fixture f(1);
    f.workers[0]->serves = false;
    f.ask(limit(1));
    REQUIRE(f.loop.until([&] { return f.inspector->waiting() == 0; }));
    for (std::size_t i = 0; i < FlowInspector::most_waiting; ++i)
        f.ask(limit(1));
    CHECK(f.answers.empty());
    f.ask(limit(1));
    REQUIRE(f.answers.size() == 1);
    CHECK(f.answers[0].status == 503);
    f.workers[0]->serves = true;
    CHECK(f.wait(FlowInspector::most_waiting + 2));
    CHECK(f.answers.back().status == 200);
}

TEST_CASE("flows: stopping answers everybody and leaves the worker its memory",
          "[control][flows]") {
    Fixture f(1, 1h);
    f.workers[0]->add("192.0.2.1", 1, 1);
    f.workers[0]->serves = false;
    f.ask(limit(1));
    f.ask(limit(1));
    REQUIRE(f.loop.until([&] { return f.inspector->waiting() == 1; }));
    f.inspector.reset();
    REQUIRE(f.answers.size() == 2);
    CHECK(f.answers[0].status == 503);
    CHECK(f.answers[1].status == 503);
    f.workers[0]->mailbox.serve(f.workers[0]->table, now);  // writes into the abandoned dump
}
