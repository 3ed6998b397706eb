// SPDX-License-Identifier: BSD-3-Clause
// TCP servers on loopback that answer well or badly, on the test's own event loop.
#pragma once

#include <csignal>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/wire/address.hh"

namespace weir::test {

inline sockaddr_in loopback(std::uint16_t port = 0) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
}

inline std::uint16_t port_of_socket(int fd) {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    return ntohs(address.sin_port);
}

// Accepts, waits for the end of a request's headers, and calls `answer` once with it.
class Server {
public:
    using Answer = std::function<void(bufferevent*, const std::string& request)>;
    Server(event_base* base, Answer answer) : base_(base), answer_(std::move(answer)) {
        std::signal(SIGPIPE, SIG_IGN);  // bufferevent writes to clients that left
        const sockaddr_in address = loopback();
        listener_ = evconnlistener_new_bind(
            base, &Server::on_accept, this, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, 64,
            reinterpret_cast<const sockaddr*>(&address), sizeof address);
        if (listener_ == nullptr) throw std::bad_alloc();
    }
    ~Server() {
        evconnlistener_free(listener_);
        for (bufferevent* connection : connections_)
            bufferevent_free(connection);
    }
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    [[nodiscard]] std::uint16_t port() const {
        return port_of_socket(evconnlistener_get_fd(listener_));
    }
    unsigned accepted = 0;
    bool reset_at_once = false;  // RST instead of reading

private:
    static void on_accept(evconnlistener*, evutil_socket_t fd, sockaddr*, int, void* user) {
        auto& self = *static_cast<Server*>(user);
        ++self.accepted;
        if (self.reset_at_once) {
            const linger hard{1, 0};
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
            close(fd);
            return;
        }
        bufferevent* connection = bufferevent_socket_new(self.base_, fd, BEV_OPT_CLOSE_ON_FREE);
        self.connections_.push_back(connection);
        bufferevent_setcb(connection, &Server::on_read, nullptr, nullptr, user);
        bufferevent_enable(connection, EV_READ | EV_WRITE);
    }
    static void on_read(bufferevent* connection, void* user) {
        auto& self = *static_cast<Server*>(user);
        evbuffer* input = bufferevent_get_input(connection);
        const auto end = evbuffer_search(input, "\r\n\r\n", 4, nullptr).pos;
        if (end < 0) return;
        std::string request(static_cast<std::size_t>(end) + 4, '\0');
        evbuffer_remove(input, request.data(), request.size());
        self.answer_(connection, request);
    }

    event_base* base_;
    Answer answer_;
    evconnlistener* listener_;
    std::vector<bufferevent*> connections_;
};

inline void write_text(bufferevent* connection, const std::string& text) {
    bufferevent_write(connection, text.data(), text.size());
}

inline Server::Answer say(std::string text) {
    return [text = std::move(text)](bufferevent* connection, const std::string&) {
        write_text(connection, text);
    };
}

// Says `head`, then `piece` again and again, as fast as the other side takes it.
inline Server::Answer endless(std::string head, std::string piece) {
    auto shared = std::make_shared<std::string>(std::move(piece));
    return [head = std::move(head), shared](bufferevent* connection, const std::string&) {
        bufferevent_setcb(
            connection, nullptr,
            [](bufferevent* self, void* text) {
                write_text(self, *static_cast<std::string*>(text));
            },
            nullptr, shared.get());
        write_text(connection, head + *shared);
    };
}

// Says `text`, one byte every 10 ms.
class Dripper {
public:
    Dripper(event_base* base, std::string text) : text_(std::move(text)) {
        timer_ = event_new(
            base, -1, EV_PERSIST,
            [](evutil_socket_t, short, void* user) { static_cast<Dripper*>(user)->drip(); }, this);
    }
    ~Dripper() { event_free(timer_); }
    Dripper(const Dripper&) = delete;
    Dripper& operator=(const Dripper&) = delete;

    Server::Answer answer() {
        return [this](bufferevent* connection, const std::string&) {
            connection_ = connection;
            next_ = 0;
            const timeval period{0, 10'000};
            event_add(timer_, &period);
        };
    }

private:
    void drip() {
        if (next_ < text_.size()) bufferevent_write(connection_, &text_[next_++], 1);
    }
    std::string text_;
    event* timer_;
    bufferevent* connection_ = nullptr;
    std::size_t next_ = 0;
};

// A port that nobody listens on: bound, so that nobody else can.
class RefusedPort {
public:
    RefusedPort() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        const sockaddr_in address = loopback();
        bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    }
    ~RefusedPort() { close(fd_); }
    RefusedPort(const RefusedPort&) = delete;
    RefusedPort& operator=(const RefusedPort&) = delete;
    [[nodiscard]] std::uint16_t port() const { return port_of_socket(fd_); }

protected:
    int fd_;
};

// A listener whose queue is full: the kernel drops further SYNs, so a connect hangs.
class DeafPort : public RefusedPort {
public:
    DeafPort() {
        listen(fd_, 0);
        for (int& filler : fillers_) {
            filler = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
            const sockaddr_in address = loopback(port());
            if (connect(filler, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
                // EINPROGRESS: the queue is full, which is what is wanted.
            }
        }
    }
    ~DeafPort() {
        for (const int filler : fillers_)
            close(filler);
    }

private:
    int fillers_[3];
};

}  // namespace weir::test
