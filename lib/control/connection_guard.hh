// SPDX-License-Identifier: BSD-3-Clause
// ConnectionGuard: number and lifetime of one evhttp listener's connections.
//
// evhttp has a timeout for each read and write, but none for the whole request, and no limit of
// connections; and it tells nobody when it frees one. So the guard makes the bufferevents that
// evhttp uses, keeps a reference to each, and looks every few milliseconds which ones evhttp has
// let go of (their callbacks are gone) and which ones are past their deadline. Control thread only.
#pragma once

#include <chrono>
#include <list>

#include "lib/control/api_server.hh"

struct bufferevent;
struct event;
struct event_base;
struct evhttp;

namespace weir {

class ConnectionGuard {
public:
    using Clock = std::chrono::steady_clock;

    // Sets the bufferevent callback of `http`. Both must outlive the guard's last connection: free
    // `http` first, then the guard.
    ConnectionGuard(event_base* base, evhttp* http, const ApiLimits& limits);
    ~ConnectionGuard();
    ConnectionGuard(const ConnectionGuard&) = delete;
    ConnectionGuard& operator=(const ConnectionGuard&) = delete;

    // The request of the connection is complete and with the handler: the clock stands still.
    void hand_over(const bufferevent* bev);
    // The answer is on its way: the clock goes on.
    void answered(const bufferevent* bev);

    // Bytes of answers that still wait for their clients to read.
    [[nodiscard]] std::size_t unread_bytes() const;

    [[nodiscard]] std::size_t size() const noexcept { return connections_.size(); }

private:
    struct Connection {
        bufferevent* bev = nullptr;
        Clock::time_point deadline, handed_over{};
        bool handled = false;  // with the handler now
        bool closing = false;
    };
    bufferevent* accept();
    void make_room();
    void sweep();
    void arm();
    Connection* find(const bufferevent* bev);
    static void close(Connection& connection);

    event_base* base_;
    ApiLimits limits_;
    std::chrono::milliseconds period_;
    event* timer_ = nullptr;
    std::list<Connection> connections_;  // oldest first
    Clock::time_point last_sweep_{};
};

}  // namespace weir
