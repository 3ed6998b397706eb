// SPDX-License-Identifier: BSD-3-Clause
// Through DPDK's real socket: what a client reads.
#include <algorithm>
#include <array>
#include <stdexcept>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <rte_eal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/dpdk/telemetry.hh"
#include "tests/unit/dpdk/support.hh"

using namespace weir;
using Catch::Matchers::Contains;
using nlohmann::json;

namespace {

class Client {
public:
    Client() : socket_(socket(AF_UNIX, SOCK_SEQPACKET, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        const std::string path = std::string(rte_eal_get_runtime_dir()) + "/dpdk_telemetry.v2";
        std::ranges::copy(path, address.sun_path);
        REQUIRE(connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        CHECK(json::parse(receive())["max_output_len"] == 16384);
    }
    ~Client() { close(socket_); }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    std::string raw(const std::string& command) {
        REQUIRE(send(socket_, command.data(), command.size(), 0) > 0);
        return receive();
    }
    json ask(const std::string& command) {
        const json reply = json::parse(raw(command));
        return reply.begin().value();
    }

private:
    std::string receive() {
        pollfd waiting{socket_, POLLIN, 0};
        REQUIRE(poll(&waiting, 1, 5000) == 1);
        std::array<char, 20'000> buffer;
        const ssize_t got = recv(socket_, buffer.data(), buffer.size(), 0);
        REQUIRE(got > 0);
        return {buffer.data(), static_cast<std::size_t>(got)};
    }
    int socket_;
};

json wanted_answer;

// Registers once; each test sets the answer that it wants to see.
void answer_with(json object) {
    static const bool registered = [] {
        const std::array commands{
            TelemetryEntry{"services", "All services. Parameters: offset"},
            TelemetryEntry{"service", std::string(100, 'h')},
        };
        return register_telemetry(commands, {}).ok();
    }();
    REQUIRE(registered);
    wanted_answer = std::move(object);
    set_telemetry_provider([](std::string_view command, std::string_view parameters) {
        if (parameters == "throw") throw std::runtime_error("thrown");
        json reply = wanted_answer;
        if (parameters == "echo") reply["asked"] = std::string(command);
        return reply;
    });
}

}  // namespace

TEST_CASE("telemetry: commands are listed with their help", "[dpdk]") {
    answer_with(json::object());
    Client client;
    CHECK_THAT(client.raw("/"), Contains("\"/weir/services\""));
    CHECK(client.ask("/help,/weir/services")["/weir/services"] ==
          "All services. Parameters: offset");
    CHECK(client.ask("/help,/weir/service")["/weir/service"] == std::string(63, 'h'));
}

TEST_CASE("telemetry: numbers, texts, and dictionaries in dictionaries arrive as they are",
          "[dpdk]") {
    json object = {{"count", std::uint64_t{18'446'744'073'709'551'615U}},
                   {"negative", -5},
                   {"far", std::int64_t{-5'000'000'000}},
                   {"yes", true},
                   {"share", 0.25},
                   {"none", nullptr},
                   {"text", "a \"quoted\\ \n\x01 text"},
                   {"a-b.c", 1},
                   {"list", {{{"name", "web"}}, {{"name", "dns"}}}},
                   {"deep", {{"er", {{"still", {{"n", 7}, {"name", "x"}}}}}}}};
    answer_with(object);
    Client client;
    const json got = client.ask("/weir/services,echo");
    CAPTURE(got.dump());
    CHECK(got["asked"] == "services");
    CHECK(got["count"] == std::uint64_t{18'446'744'073'709'551'615U});
    CHECK(got["negative"] == -5);
    CHECK(got["yes"] == 1);
    CHECK(got["share"] == "0.25");
    CHECK(got["none"] == "");
    CHECK(got["text"] == "a \"quoted\\  text");
    CHECK(got["a_b_c"] == 1);
    CHECK(got["list"]["0"]["name"] == "web");
    CHECK(got["list"]["1"]["name"] == "dns");
    CHECK(got["deep"]["er"]["still"]["n"] == 7);
}

TEST_CASE("telemetry: long texts are cut at a character's border", "[dpdk]") {
    std::string text(126, 'x');
    text += "\u00e4\u00e4";
    answer_with({{"text", text}});
    Client client;
    CHECK(client.ask("/weir/services")["text"] == std::string(126, 'x'));
}

TEST_CASE("telemetry: what is too large is an error, never a cut answer", "[dpdk]") {
    json many = json::object();
    for (int i = 0; i < 257; ++i)
        many[std::to_string(i)] = i;
    answer_with(many);
    Client client;
    CHECK_THAT(client.ask("/weir/services")["error"].get<std::string>(), Contains("offset"));
    many.erase("256");
    answer_with(many);
    CHECK(client.ask("/weir/services").size() == 256);

    // Growing answers: whole up to the limit, then an error; nothing between.
    bool refused = false;
    for (int entries = 90; entries <= 150; ++entries) {
        json large = json::object();
        for (int i = 0; i < entries; ++i)
            large[std::to_string(i)] = {{"name", std::string(110, 'n')}, {"n", i}};
        answer_with(large);
        const json got = client.ask("/weir/services");
        if (got.contains("error"))
            refused = true;
        else
            CHECK((!refused && got == large));
    }
    CHECK(refused);
    json nested = 1;
    for (int i = 0; i < 12; ++i)
        nested = json{{"x", nested}};
    answer_with(nested);
    CHECK(client.ask("/weir/services").contains("error"));
    answer_with(json::array());
    CHECK(client.ask("/weir/services").contains("error"));
}

TEST_CASE("telemetry: a provider that throws or is gone answers an error", "[dpdk]") {
    answer_with({{"a", 1}});
    Client client;
    CHECK(client.ask("/weir/services,throw")["error"] == "thrown");
    set_telemetry_provider({});
    CHECK(client.ask("/weir/services").contains("error"));
}

TEST_CASE("telemetry: garbage changes nothing", "[dpdk]") {
    answer_with({{"a", 1}});
    Client client;
    for (const char* garbage :
         {"x", "/weir/", "/weir/nosuch,1", "\x01\x02", ",,,", "/weir/services\n"})
        CHECK(client.raw(garbage).size() > 2);
    CHECK(client.ask("/weir/services")["a"] == 1);
}

TEST_CASE("telemetry: dpdk-telemetry.py reads it", "[dpdk]") {
    answer_with({{"0", {{"name", "web"}}}});
    std::string output;
    CHECK(test::run(
        "(echo /weir/services,0; echo quit) | dpdk-telemetry.py -f " + test::file_prefix(),
        &output));
    CHECK_THAT(output, Contains("\"web\""));
}
