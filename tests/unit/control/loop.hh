// SPDX-License-Identifier: BSD-3-Clause
// Helpers for tests with a real event loop: they turn it until something holds, never sleep.
#pragma once

#include <chrono>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <event2/event.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace weir::test {

class Loop {
public:
    Loop() : base_(event_base_new(), event_base_free) {}
    [[nodiscard]] event_base* base() const { return base_.get(); }
    void turn() { event_base_loop(base_.get(), EVLOOP_NONBLOCK); }
    // False when `holds` still does not after `limit`: a bound for broken code, not a delay.
    bool until(const std::function<bool()>& holds,
               std::chrono::seconds limit = std::chrono::seconds(10)) {
        const auto end = std::chrono::steady_clock::now() + limit;
        while (!holds()) {
            if (std::chrono::steady_clock::now() > end) return false;
            turn();
        }
        return true;
    }

private:
    std::unique_ptr<event_base, void (*)(event_base*)> base_;
};

// A directory of its own, removed at the end.
class TemporaryDirectory {
public:
    TemporaryDirectory() {
        char name[] = "/tmp/weir-test-XXXXXX";
        path_ = ::mkdtemp(name);
    }
    ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }

private:
    std::string path_;
};

// A non-blocking client: what it received so far, and whether the other side closed.
class Client {
public:
    explicit Client(const std::string& unix_path)
        : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, unix_path.data(), unix_path.size());
        connect(reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    }
    explicit Client(std::uint16_t tcp_port)
        : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(tcp_port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        connect(reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    }
    Client(Client&& other) noexcept
        : fd_(std::exchange(other.fd_, -1)),
          connected_(other.connected_),
          closed_(other.closed_),
          received_(std::move(other.received_)) {}
    ~Client() { leave(); }

    [[nodiscard]] bool connected() const { return connected_; }
    // Bytes that the socket took.
    std::size_t send(const std::string& text) {
        const ssize_t sent = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) closed_ = true;
        return sent < 0 ? 0 : static_cast<std::size_t>(sent);
    }
    void read() {
        char bytes[65536];
        for (;;) {
            const ssize_t n = ::recv(fd_, bytes, sizeof(bytes), 0);
            if (n == 0 || (n < 0 && errno != EAGAIN)) closed_ = true;
            if (n <= 0) return;
            received_.append(bytes, static_cast<std::size_t>(n));
        }
    }
    bool closed() {
        read();
        return closed_;
    }
    const std::string& received() {
        read();
        return received_;
    }
    [[nodiscard]] std::string body() const {
        const auto blank = received_.find("\r\n\r\n");
        return blank == std::string::npos ? "" : received_.substr(blank + 4);
    }
    void leave() {
        if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    }

private:
    void connect(const sockaddr* address, socklen_t size) {
        connected_ = ::connect(fd_, address, size) == 0;
        ::fcntl(fd_, F_SETFL, O_NONBLOCK);
    }
    int fd_;
    bool connected_ = false, closed_ = false;
    std::string received_;
};

}  // namespace weir::test
