// SPDX-License-Identifier: BSD-3-Clause
// HTTP over the daemon's Unix socket.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace weir::ctl {

struct Answer {
    enum class Kind { ok, refused, not_running, broken };  // refused: an HTTP error status
    Kind kind = Kind::broken;
    nlohmann::json body;
    std::string error;  // one sentence unless ok
};

// `method` is GET or POST; `path` begins with /api/v1/ and is percent-encoded. Waits at most 30 s.
Answer ask(const std::string& socket, const std::string& method, const std::string& path);

// For one part of a path or query.
std::string encoded(const std::string& text);

}  // namespace weir::ctl
