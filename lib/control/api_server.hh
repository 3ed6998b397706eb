// SPDX-License-Identifier: BSD-3-Clause
// ApiServer: evhttp on the Unix socket and, if configured, on a loopback TCP port. Bounded: header
// 16 KiB, body 64 KiB, 64 connections a listener, a total deadline of 10 s a connection in which a
// whole request must arrive and its answer leave (the time that the handler takes is not counted).
// When a listener is full, a newcomer displaces the oldest connection whose request is not
// complete, so half-sent requests lock nobody out. One request a connection. Control thread only.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "lib/control/api.hh"
#include "lib/control/config.hh"
#include "lib/wire/result.hh"

struct event_base;

namespace weir {

struct ApiLimits {
    std::chrono::milliseconds deadline{10'000};
    unsigned connections = 64;  // of each listener
    std::size_t header_bytes = 16 * 1024, body_bytes = 64 * 1024;
    // Answers that clients of a listener have not read yet; more are answered with 503.
    std::size_t unread_bytes = 256 << 20;
};

class ApiServer {
public:
    // Listens. A socket file that nobody answers on is replaced; one that a live daemon answers on
    // is an error "already running, pid N". Creates the socket's directory (0750) when missing.
    // `base` must outlive the server. The process ignores SIGPIPE from here on.
    static Result<std::unique_ptr<ApiServer>> create(event_base* base, const ApiConfig& config,
                                                     ApiHandler handler, ApiLimits limits = {});
    // Closes, removes the socket file. Replies that the handler still holds may be called later and
    // do nothing.
    ~ApiServer();

    // The TCP port that it listens on, 0 without HTTP (the configured one, or what the kernel gave
    // for port 0).
    [[nodiscard]] std::uint16_t http_port() const;
    // Connections of both listeners.
    [[nodiscard]] std::size_t connections() const;

    struct Impl;
    explicit ApiServer(std::shared_ptr<Impl> impl);

private:
    std::shared_ptr<Impl> impl_;
};

// Whether a daemon may use the control socket `path`: fails with "already running, pid N" when one
// answers there. Call before touching ports; create() asks again. Any thread.
Result<void> control_socket_free(const std::string& path);

}  // namespace weir
