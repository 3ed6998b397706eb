// SPDX-License-Identifier: BSD-3-Clause
// The API: requests to answers, without I/O. The HTTP server (loopback, read-only) and the Unix
// socket (also changes) both call handle(); weirctl speaks HTTP over the Unix socket.
//
//   GET  /metrics /healthz /
//   GET  /api/v1/status services services/NAME backends backends/SERVICE backends/SERVICE/BACKEND
//        backends/SERVICE/BACKEND/setup workers ports neighbors health drops config
//   GET  /api/v1/flows?service=&backend=&src=&limit=      (asynchronous: asks the workers)
//   POST /api/v1/reload[?file=PATH]                        (answers after publication)
//   POST /api/v1/backends/SERVICE/BACKEND/{drain,enable,disable}
// Errors: {"error": "one sentence"} with 400, 404, 405, 409 or 503.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace weir {

struct ApiRequest {
    std::string method, path;  // path without query, percent-decoded
    std::map<std::string, std::string> query;
    bool may_change = false;  // came over the Unix socket
};

struct ApiResponse {
    int status = 200;
    std::string content_type = "application/json";
    std::string body;
};

// Called exactly once, at once or later, on the control thread.
using ApiReply = std::function<void(ApiResponse)>;
using ApiHandler = std::function<void(const ApiRequest&, ApiReply)>;

}  // namespace weir
