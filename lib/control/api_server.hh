// SPDX-License-Identifier: BSD-3-Clause
// ApiServer: evhttp on the Unix socket and, if configured, on a loopback TCP port. Bounded: header
// 16 KiB, body 64 KiB, 64 connections a listener, a total deadline of 10 s a connection in which a
// whole request must arrive and its answer leave. Control thread only.
#pragma once

#include <memory>
#include <string>

#include "lib/control/api.hh"
#include "lib/control/config.hh"
#include "lib/wire/result.hh"

struct event_base;

namespace weir {

class ApiServer {
public:
    // Listens. A socket file that nobody answers on is replaced; one that a live daemon answers on
    // is an error "already running, pid N". Creates the socket's directory (0750) when missing.
    static Result<std::unique_ptr<ApiServer>> create(event_base* base, const ApiConfig& config,
                                                     ApiHandler handler);
    ~ApiServer();  // closes, removes the socket file

    struct Impl;
    explicit ApiServer(std::unique_ptr<Impl> impl);

private:
    std::unique_ptr<Impl> impl_;
};

}  // namespace weir
