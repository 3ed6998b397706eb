// SPDX-License-Identifier: BSD-3-Clause
// http_flows: many HTTP requests, each on a TCP connection of its own from a source address and
// port of a fixed list, with every outcome written down. curl and wrk cannot choose the source port
// of each connection, and here the whole point is which flow went where.
//
// Flow i comes from address i mod A (of A) and port FIRST + i / A. Its request says
// "Connection: close", so the server closes first and keeps the TIME_WAIT; the client's port is
// free again at once, and the same list can be sent as often as wanted. A connection that fails is
// reset.
//
// Output, one line a flow, tab separated:
//   address  port  start  end  result  answer
// Times are CLOCK_MONOTONIC seconds (Python's time.monotonic()); result is "ok" (status 200 and a
// whole body) or what went wrong; answer is the body's first word.
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

namespace {

struct Options {
    std::string target;  // VIP, IPv4 or IPv6 in digits
    std::uint16_t target_port = 80;
    std::vector<std::string> from;  // source addresses of the VIP's family
    std::uint32_t first_port = 20000, count = 1;
    double rate = 0;  // starts a second; 0: as fast as `concurrency` lets
    std::uint32_t concurrency = 256;
    double timeout = 3;  // seconds, of one connection from start to end
    std::string path = "/";
};

double now() {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

struct Address {
    sockaddr_storage bytes{};
    socklen_t length = 0;
};

Address numeric_address(const std::string& text, std::uint32_t port) {
    addrinfo hints{}, *found = nullptr;
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    hints.ai_socktype = SOCK_STREAM;
    if (getaddrinfo(text.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) {
        throw std::runtime_error("not a numeric address: " + text);
    }
    Address address;
    std::memcpy(&address.bytes, found->ai_addr, found->ai_addrlen);
    address.length = found->ai_addrlen;
    freeaddrinfo(found);
    return address;
}

struct Flow {
    int fd = -1;
    double start = 0, end = 0;
    bool sent = false;
    std::string reply, result;  // result empty: under way
};

class Client {
public:
    explicit Client(Options options)
        : options_(std::move(options)),
          target_(numeric_address(options_.target, options_.target_port)),
          request_("GET " + options_.path +
                   " HTTP/1.1\r\nHost: flows\r\nConnection: close\r\n\r\n"),
          flows_(options_.count),
          epoll_(epoll_create1(EPOLL_CLOEXEC)) {}

    void run() {
        const double began = now();
        while (done_ < options_.count) {
            start_due(began);
            std::array<epoll_event, 256> events{};
            const int ready = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 1);
            for (int i = 0; i < ready; ++i) {
                advance(events[static_cast<std::size_t>(i)].data.u32);
            }
            end_overdue();
        }
    }

    void print() const {
        for (std::uint32_t i = 0; i < options_.count; ++i) {
            const Flow& flow = flows_[i];
            const auto body = flow.reply.find("\r\n\r\n");
            std::string answer;
            if (flow.result == "ok") {
                answer = flow.reply.substr(body + 4);
                answer.resize(std::min(answer.find_first_of(" \r\n\t"), answer.size()));
            }
            std::printf("%s\t%u\t%.6f\t%.6f\t%s\t%s\n", source(i).c_str(), source_port(i),
                        flow.start, flow.end, flow.result.c_str(), answer.c_str());
        }
    }

private:
    [[nodiscard]] const std::string& source(std::uint32_t i) const {
        return options_.from[i % options_.from.size()];
    }
    [[nodiscard]] std::uint32_t source_port(std::uint32_t i) const {
        return options_.first_port + i / static_cast<std::uint32_t>(options_.from.size());
    }

    void start_due(double began) {
        while (started_ < options_.count && started_ - done_ < options_.concurrency) {
            if (options_.rate > 0 && now() < began + started_ / options_.rate) return;
            open(started_++);
        }
    }

    void open(std::uint32_t i) {
        Flow& flow = flows_[i];
        flow.start = now();
        under_way_.push_back(i);
        const Address from = numeric_address(source(i), source_port(i));
        flow.fd = socket(from.bytes.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        const int on = 1;
        setsockopt(flow.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        if (bind(flow.fd, reinterpret_cast<const sockaddr*>(&from.bytes), from.length) != 0) {
            return finish(i, std::string("bind: ") + std::strerror(errno));
        }
        if (connect(flow.fd, reinterpret_cast<const sockaddr*>(&target_.bytes), target_.length) !=
                0 &&
            errno != EINPROGRESS) {
            return finish(i, std::string("connect: ") + std::strerror(errno));
        }
        epoll_event event{};
        event.events = EPOLLIN | EPOLLOUT | EPOLLET;
        event.data.u32 = i;
        epoll_ctl(epoll_, EPOLL_CTL_ADD, flow.fd, &event);
    }

    void advance(std::uint32_t i) {
        Flow& flow = flows_[i];
        if (!flow.result.empty()) return;
        int error = 0;
        socklen_t size = sizeof(error);
        getsockopt(flow.fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error != 0) return finish(i, std::strerror(error));
        if (!flow.sent) {  // writable now; the request fits any socket buffer
            const ssize_t n = send(flow.fd, request_.data(), request_.size(), MSG_NOSIGNAL);
            if (n < 0) {
                if (errno != EAGAIN && errno != ENOTCONN) finish(i, std::strerror(errno));
                return;
            }
            flow.sent = true;
        }
        std::array<char, 4096> buffer;
        for (;;) {
            const ssize_t n = recv(flow.fd, buffer.data(), buffer.size(), 0);
            if (n > 0) {
                flow.reply.append(buffer.data(), static_cast<std::size_t>(n));
            } else if (n == 0) {
                return finish(i, judge(flow.reply));
            } else {
                if (errno != EAGAIN) finish(i, std::strerror(errno));
                return;
            }
        }
    }

    // "ok", or what is wrong with a whole reply.
    static std::string judge(const std::string& reply) {
        const auto head_end = reply.find("\r\n\r\n");
        if (head_end == std::string::npos) return "closed before the answer was complete";
        if (!reply.starts_with("HTTP/1.1 200 ")) return reply.substr(0, reply.find('\r'));
        const std::string_view key = "\r\nContent-Length: ";
        const auto length_at = reply.find(key);
        if (length_at == std::string::npos || length_at > head_end) return "no Content-Length";
        const auto length = std::strtoull(reply.c_str() + length_at + key.size(), nullptr, 10);
        return reply.size() - head_end - 4 == length ? "ok" : "body cut short";
    }

    void end_overdue() {
        const double oldest = now() - options_.timeout;
        while (!under_way_.empty()) {
            const std::uint32_t i = under_way_.front();
            if (flows_[i].result.empty()) {
                if (flows_[i].start > oldest) return;
                finish(i, flows_[i].sent ? "timeout waiting for the answer" : "timeout in connect");
            }
            under_way_.pop_front();
        }
    }

    void finish(std::uint32_t i, std::string result) {
        Flow& flow = flows_[i];
        flow.end = now();
        flow.result = std::move(result);
        if (flow.result != "ok") {
            const linger reset{.l_onoff = 1, .l_linger = 0};
            setsockopt(flow.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        }
        close(flow.fd);
        ++done_;
    }

    Options options_;
    Address target_;
    std::string request_;
    std::vector<Flow> flows_;
    std::deque<std::uint32_t> under_way_;  // in order of start
    int epoll_;
    std::uint32_t started_ = 0, done_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
    Options options;
    CLI::App app{
        "HTTP requests, each from its own source address and port; one line of outcome each."};
    app.add_option("--target", options.target)->required();
    app.add_option("--target-port", options.target_port);
    app.add_option("--from", options.from, "source addresses")->required()->delimiter(',');
    app.add_option("--first-port", options.first_port);
    app.add_option("--count", options.count)->required();
    app.add_option("--rate", options.rate, "starts a second; 0: as fast as possible");
    app.add_option("--concurrency", options.concurrency);
    app.add_option("--timeout", options.timeout, "seconds, of one connection");
    app.add_option("--path", options.path);
    CLI11_PARSE(app, argc, argv);
    if (options.first_port + (options.count - 1) / options.from.size() > 65535) {
        std::fprintf(stderr, "http_flows: not enough source ports for that many flows\n");
        return 2;
    }
    const rlimit files{options.concurrency + 64, options.concurrency + 64};
    setrlimit(RLIMIT_NOFILE, &files);
    try {
        Client client(options);
        client.run();
        client.print();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "http_flows: %s\n", error.what());
        return 1;
    }
    return 0;
}
