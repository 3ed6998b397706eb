// SPDX-License-Identifier: BSD-3-Clause
// Real sockets against the server, with the loop in this thread.
#include <fstream>
#include <list>
#include <vector>

#include <catch2/catch.hpp>
#include <sys/stat.h>

#include "lib/control/api_server.hh"
#include "tests/unit/control/loop.hh"

using namespace weir;
using namespace std::chrono_literals;
using test::Client;

namespace {

struct Fixture {
    test::TemporaryDirectory directory;
    test::Loop loop;
    ApiConfig config;
    std::vector<ApiRequest> requests;
    std::vector<ApiReply> held;
    bool hold = false;
    std::string body = "{}\n";
    std::unique_ptr<ApiServer> server;

    explicit Fixture(std::chrono::milliseconds deadline = 1h) {
        config.socket_path = directory.file("run/ctl.sock");
        config.http_host = "127.0.0.1";
        ApiLimits limits;
        limits.deadline = deadline;
        auto created = ApiServer::create(
            loop.base(), config,
            [this](const ApiRequest& request, ApiReply reply) {
                requests.push_back(request);
                if (hold) {
                    held.push_back(std::move(reply));
                } else {
                    reply({200, "application/json", body});
                }
            },
            limits);
        REQUIRE(created.ok());
        server = std::move(created.value());
    }
    Client tcp() const { return Client(server->http_port()); }
    Client local() const { return Client(config.socket_path); }

    // Asks and waits for the whole answer.
    bool answers(Client client) {
        client.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        return loop.until([&] { return client.closed(); }) &&
               client.received().starts_with("HTTP/1.1 200 ") && client.body() == body;
    }
    bool quiet() {
        return loop.until([&] { return server->connections() == 0; });
    }
};

std::string file_mode(const std::string& path) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) return "absent";
    return fmt::format("{:o}", status.st_mode & 07777);
}

}  // namespace

TEST_CASE("api server: a request arrives decoded; only the Unix socket may change",
          "[control][api]") {
    Fixture f;
    Client tcp = f.tcp();
    tcp.send("GET /api/v1/services/we%62?a=1%202&b= HTTP/1.1\r\nHost: x\r\n\r\n");
    REQUIRE(f.loop.until([&] { return tcp.closed(); }));
    CHECK(tcp.received().starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(tcp.received().find("Content-Type: application/json\r\n") != std::string::npos);
    CHECK(tcp.body() == "{}\n");
    REQUIRE(f.requests.size() == 1);
    CHECK(f.requests[0].method == "GET");
    CHECK(f.requests[0].path == "/api/v1/services/web");
    CHECK(f.requests[0].query.at("a") == "1 2");
    CHECK_FALSE(f.requests[0].may_change);

    Client malformed = f.tcp();
    malformed.send("GET /?a HTTP/1.1\r\nHost: x\r\n\r\n");
    REQUIRE(f.loop.until([&] { return malformed.closed(); }));
    CHECK(malformed.received().starts_with("HTTP/1.1 400 "));
    CHECK(f.requests.size() == 1);

    Client local = f.local();
    local.send("POST /api/v1/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    REQUIRE(f.loop.until([&] { return local.closed(); }));
    REQUIRE(f.requests.size() == 2);
    CHECK(f.requests[1].method == "POST");
    CHECK(f.requests[1].may_change);
    CHECK(f.quiet());
}

TEST_CASE("api server: HEAD has no body, other methods reach the handler", "[control][api]") {
    Fixture f;
    Client head = f.tcp();
    head.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
    REQUIRE(f.loop.until([&] { return head.closed(); }));
    CHECK(head.received().starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(head.body().empty());
    Client del = f.tcp();
    del.send("DELETE / HTTP/1.1\r\nHost: x\r\n\r\n");
    REQUIRE(f.loop.until([&] { return del.closed(); }));
    CHECK(f.requests.at(1).method == "DELETE");
}

TEST_CASE("api server: socket file, its mode, its directory, its end", "[control][api]") {
    std::string path;
    {
        Fixture f;
        path = f.config.socket_path;
        CHECK(file_mode(path) == "660");
        CHECK(file_mode(f.directory.file("run")) == "750");
        f.server.reset();
        CHECK(file_mode(path) == "absent");
    }
}

TEST_CASE("api server: a second daemon is told the first one's pid", "[control][api]") {
    Fixture f;
    const auto busy = control_socket_free(f.config.socket_path);
    REQUIRE_FALSE(busy.ok());
    CHECK(busy.error().message.find(fmt::format("already running, pid {}", ::getpid())) !=
          std::string::npos);
    const auto second = ApiServer::create(f.loop.base(), f.config, {});
    REQUIRE_FALSE(second.ok());
    CHECK(second.error().message.find("already running, pid ") != std::string::npos);
    CHECK(f.answers(f.local()));
}

TEST_CASE("api server: a stale socket is replaced, any other file is not", "[control][api]") {
    test::TemporaryDirectory directory;
    test::Loop loop;
    ApiConfig config;
    config.socket_path = directory.file("ctl.sock");
    {
        // As after kill -9: bound, not removed, nobody listens.
        const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, config.socket_path.data(), config.socket_path.size());
        REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
        ::close(fd);
    }
    CHECK(control_socket_free(config.socket_path).ok());
    CHECK(ApiServer::create(loop.base(), config, {}).ok());

    std::ofstream(config.socket_path) << "precious";
    const auto refused = ApiServer::create(loop.base(), config, {});
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().message.find("not a socket") != std::string::npos);
    CHECK(std::filesystem::file_size(config.socket_path) == 8);
    config.socket_path = directory.file(std::string(200, 'x'));
    CHECK_FALSE(ApiServer::create(loop.base(), config, {}).ok());
}

TEST_CASE("api server: an occupied HTTP port is a clear error", "[control][api]") {
    Fixture f;
    ApiConfig other = f.config;
    other.socket_path = f.directory.file("other.sock");
    other.http_port = f.server->http_port();
    const auto refused = ApiServer::create(f.loop.base(), other, {});
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().message.find("api.http.listen") != std::string::npos);
}

TEST_CASE("api server: garbage closes its own connection and nothing else",
          "[control][api][fault]") {
    Fixture f;
    std::string noise;
    for (int i = 0; i < 1000; ++i)
        noise += static_cast<char>(i * 7919 % 256);
    for (const std::string& garbage :
         {std::string("hello\r\n\r\n"), noise + "\r\n\r\n", std::string("GET\r\n\r\n"),
          std::string("GET / HTTP/9.9\r\n\r\n"), std::string("\0\0\0\0\r\n\r\n", 8),
          std::string("GET / HTTP/1.1\r\nno colon\r\n\r\n"),
          std::string("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"),
          std::string("POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n"),
          std::string("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
          "GET /" + std::string(100, '%') + " HTTP/1.1\r\n\r\n"}) {
        for (const bool over_tcp : {true, false}) {
            Client client = over_tcp ? f.tcp() : f.local();
            client.send(garbage);
            CHECK(f.loop.until([&] { return client.closed(); }));
            CHECK(f.answers(f.tcp()));
            CHECK(f.answers(f.local()));
        }
    }
    CHECK(f.quiet());
}

TEST_CASE("api server: a client with a long name of its own is served", "[control][api][fault]") {
    Fixture f;
    const auto name = f.directory.file(std::string(70, 'n'));
    sockaddr_un own{}, server{};
    own.sun_family = server.sun_family = AF_UNIX;
    std::memcpy(own.sun_path, name.data(), name.size());
    std::memcpy(server.sun_path, f.config.socket_path.data(), f.config.socket_path.size());
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&own), sizeof(own)) == 0);
    REQUIRE(::connect(fd, reinterpret_cast<const sockaddr*>(&server), sizeof(server)) == 0);
    const std::string request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    REQUIRE(::send(fd, request.data(), request.size(), 0) == static_cast<ssize_t>(request.size()));
    CHECK(f.loop.until([&] { return f.requests.size() == 1; }));
    ::close(fd);
    CHECK(f.answers(f.local()));
    CHECK(f.quiet());
}

TEST_CASE("api server: half-sent requests lock nobody out", "[control][api][fault]") {
    Fixture f;  // a deadline that never comes: only displacement can help
    std::list<Client> half;
    for (int i = 0; i < 200; ++i) {
        half.push_back(i % 2 == 0 ? f.tcp() : f.local());
        REQUIRE(half.back().connected());
        half.back().send("GET /healthz HTTP/1.1\r\nHo");
        f.loop.turn();
        CHECK(f.server->connections() <= 2 * (64 + 32));
    }
    CHECK(f.answers(f.tcp()));
    CHECK(f.answers(f.local()));
    // The youngest half-sent ones are still there.
    CHECK_FALSE(half.back().closed());
    CHECK(half.front().closed());
}

TEST_CASE("api server: half-sent and dripped requests end at the deadline",
          "[control][api][fault]") {
    Fixture f(50ms);
    Client half = f.tcp(), drip = f.local();
    half.send("GET / HTTP/1.1\r\n");
    drip.send("GET / HTTP/1.1\r\nX: ");
    CHECK(f.loop.until([&] {
        drip.send("x");  // a byte in every round: no pause is ever long
        return half.closed() && drip.closed();
    }));
    CHECK(f.requests.empty());
    CHECK(f.quiet());
    CHECK(f.answers(f.tcp()));
}

TEST_CASE("api server: too much header, body or line is refused early", "[control][api][fault]") {
    Fixture f;
    const std::string chunk(64 * 1024, 'a');
    const auto taken_until_closed = [&](Client client, const std::string& start) {
        client.send(start);
        std::size_t taken = 0;
        const bool closed = f.loop.until([&] {
            taken += client.send(chunk);
            return client.closed() || taken > (1u << 30);
        });
        CHECK(closed);
        return taken;
    };
    // What the kernel's socket buffers hold is not the server's memory.
    CHECK(taken_until_closed(f.tcp(), "") < 16u << 20);
    CHECK(taken_until_closed(f.local(), "GET /") < 16u << 20);
    CHECK(taken_until_closed(f.tcp(), "GET / HTTP/1.1\r\nX: ") < 16u << 20);
    CHECK(taken_until_closed(f.local(), "POST / HTTP/1.1\r\nContent-Length: 1000000000\r\n\r\n") <
          16u << 20);
    CHECK(taken_until_closed(f.local(),
                             "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3fffffff\r\n") <
          16u << 20);
    CHECK(f.requests.empty());

    Client headers = f.tcp();
    std::string many = "GET / HTTP/1.1\r\n";
    for (int i = 0; many.size() < 100 * 1024; ++i)
        many += fmt::format("X-{}: {}\r\n", i, i);
    headers.send(many + "\r\n");
    CHECK(f.loop.until([&] { return headers.closed(); }));
    CHECK(f.requests.empty());
    CHECK(f.answers(f.tcp()));
}

TEST_CASE("api server: a client that never reads ends at the deadline; others are served",
          "[control][api][fault]") {
    Fixture f(300ms);
    f.body = std::string(32 << 20, 'x');
    Client deaf = f.tcp();
    deaf.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    REQUIRE(f.loop.until([&] { return f.requests.size() == 1; }));
    f.body = "{}\n";
    CHECK(f.answers(f.tcp()));
    CHECK(f.server->connections() >= 1);
    CHECK(f.quiet());
    CHECK(f.loop.until([&] { return deaf.closed(); }));
    CHECK(deaf.body().size() < (32u << 20));
}

TEST_CASE("api server: answers that nobody reads are bounded", "[control][api][fault]") {
    Fixture f;
    f.body = std::string(100 << 20, 'x');
    std::list<Client> deaf;
    for (std::size_t i = 0; i < 3; ++i) {
        deaf.push_back(f.tcp());
        deaf.back().send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        REQUIRE(f.loop.until([&] { return f.requests.size() == i + 1; }));
    }
    REQUIRE(f.loop.until([&] { return deaf.back().closed(); }));
    CHECK(deaf.back().received().starts_with("HTTP/1.1 503 "));
    CHECK(f.answers(f.local()));  // the other listener has its own bound
    f.body = "{}\n";
    CHECK(f.answers(f.tcp()));
}

TEST_CASE("api server: the handler's time does not count", "[control][api]") {
    Fixture f(50ms);
    f.hold = true;
    Client client = f.local();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    REQUIRE(f.loop.until([&] { return f.held.size() == 1; }));
    const auto later = std::chrono::steady_clock::now() + 150ms;
    f.loop.until([&] { return std::chrono::steady_clock::now() > later; });
    CHECK_FALSE(client.closed());
    f.held[0]({503, "application/json", "late"});
    REQUIRE(f.loop.until([&] { return client.closed(); }));
    CHECK(client.received().starts_with("HTTP/1.1 503 "));
    CHECK(client.body() == "late");
    f.held[0]({200, "application/json", "twice"});  // ignored
    CHECK(f.quiet());
}

TEST_CASE("api server: a client or the server may leave before the answer",
          "[control][api][fault]") {
    Fixture f;
    f.hold = true;
    {
        Client client = f.local();
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        REQUIRE(f.loop.until([&] { return f.held.size() == 1; }));
    }
    for (int i = 0; i < 10; ++i)
        f.loop.turn();
    f.held[0]({200, "text/plain", "to nobody"});
    CHECK(f.quiet());

    Client second = f.local();
    second.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    REQUIRE(f.loop.until([&] { return f.held.size() == 2; }));
    f.server.reset();
    f.held[1]({200, "text/plain", "from nobody"});
    f.loop.turn();
    CHECK(second.closed());
    CHECK(second.received().empty());
}

TEST_CASE("api server: when every connection is being served, the newest is closed",
          "[control][api][fault]") {
    Fixture f;
    f.hold = true;
    std::list<Client> busy;
    for (std::size_t i = 0; i < 64; ++i) {
        busy.push_back(f.local());
        busy.back().send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        REQUIRE(f.loop.until([&] { return f.held.size() == i + 1; }));
    }
    Client newest = f.local();
    CHECK(f.loop.until([&] { return newest.closed(); }));
    CHECK(f.held.size() == 64);
    for (auto& reply : f.held)
        reply({200, "text/plain", "ok"});
    for (auto& client : busy) {
        CHECK(f.loop.until([&] { return client.closed(); }));
        CHECK(client.body() == "ok");
    }
    f.hold = false;
    CHECK(f.answers(f.local()));
    CHECK(f.quiet());
}
