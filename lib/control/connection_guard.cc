// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/connection_guard.hh"

#include <algorithm>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <sys/socket.h>

namespace weir {
namespace {

using namespace std::chrono_literals;

// A loop that stood still for so many periods (a big reload) must not cost clients their time.
constexpr int long_gap = 5;

bool freed_by_evhttp(bufferevent* bev) {
    bufferevent_event_cb on_event = nullptr;
    bufferevent_getcb(bev, nullptr, nullptr, &on_event, nullptr);
    return on_event == nullptr;
}

}  // namespace

ConnectionGuard::ConnectionGuard(event_base* base, evhttp* http, const ApiLimits& limits)
    : base_(base), limits_(limits), period_(std::clamp(limits.deadline / 50, 2ms, 20ms)) {
    timer_ = event_new(
        base, -1, EV_PERSIST,
        [](evutil_socket_t, short, void* self) { static_cast<ConnectionGuard*>(self)->sweep(); },
        this);
    evhttp_set_bevcb(
        http, [](event_base*, void* self) { return static_cast<ConnectionGuard*>(self)->accept(); },
        this);
}

ConnectionGuard::~ConnectionGuard() {
    event_free(timer_);
    for (const auto& connection : connections_)
        bufferevent_decref(connection.bev);
}

bufferevent* ConnectionGuard::accept() {
    bufferevent* bev = bufferevent_socket_new(base_, -1, BEV_OPT_CLOSE_ON_FREE);
    if (bev == nullptr) return nullptr;
    if (connections_.size() >= limits_.connections) sweep();  // gives back what evhttp let go of
    if (connections_.empty()) arm();
    make_room();
    bufferevent_incref(bev);
    connections_.push_back({bev, Clock::now() + limits_.deadline});
    // No room: evhttp sets the descriptor after this callback, so the next sweep closes it.
    const auto open = std::ranges::count(connections_, false, &Connection::closing);
    if (static_cast<std::size_t>(open) > limits_.connections) {
        connections_.back().deadline = Clock::time_point();
        event_active(timer_, EV_TIMEOUT, 0);
    }
    return bev;
}

void ConnectionGuard::make_room() {
    const auto open = std::ranges::count(connections_, false, &Connection::closing);
    if (static_cast<std::size_t>(open) < limits_.connections) return;
    const auto oldest = std::ranges::find_if(
        connections_, [](const Connection& one) { return !one.handled && !one.closing; });
    if (oldest != connections_.end()) close(*oldest);
}

void ConnectionGuard::hand_over(const bufferevent* bev) {
    if (Connection* connection = find(bev)) {
        connection->handled = true;
        connection->handed_over = Clock::now();
    }
}

void ConnectionGuard::answered(const bufferevent* bev) {
    if (Connection* connection = find(bev)) {
        connection->handled = false;
        connection->deadline += Clock::now() - connection->handed_over;
    }
}

std::size_t ConnectionGuard::unread_bytes() const {
    std::size_t sum = 0;
    for (const auto& connection : connections_) {
        sum += evbuffer_get_length(bufferevent_get_output(connection.bev));
    }
    return sum;
}

void ConnectionGuard::sweep() {
    const auto now = Clock::now();
    const auto gap = now - last_sweep_;
    last_sweep_ = now;
    for (auto it = connections_.begin(); it != connections_.end();) {
        if (freed_by_evhttp(it->bev)) {
            bufferevent_decref(it->bev);
            it = connections_.erase(it);
            continue;
        }
        const bool doomed = it->deadline == Clock::time_point();
        if (gap > long_gap * period_ && !doomed) it->deadline += gap;
        if (!it->handled && !it->closing && now >= it->deadline) close(*it);
        ++it;
    }
    if (connections_.empty()) event_del(timer_);
}

void ConnectionGuard::arm() {
    last_sweep_ = Clock::now();
    timeval every{};
    every.tv_usec = static_cast<suseconds_t>(period_.count() * 1000);
    event_add(timer_, &every);
}

ConnectionGuard::Connection* ConnectionGuard::find(const bufferevent* bev) {
    const auto at = std::ranges::find(connections_, bev, &Connection::bev);
    return at != connections_.end() ? &*at : nullptr;
}

// evhttp sees the end of the stream in its next round and frees the connection.
void ConnectionGuard::close(Connection& connection) {
    connection.closing = true;
    const int fd = bufferevent_getfd(connection.bev);
    if (fd >= 0) ::shutdown(fd, SHUT_RDWR);
}

}  // namespace weir
