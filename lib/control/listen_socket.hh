// SPDX-License-Identifier: BSD-3-Clause
// Listening sockets of the API: plain system calls, errors as sentences.
#pragma once

#include <cstdint>
#include <string>

#include "lib/wire/result.hh"

namespace weir {

// Pending connections of a listener. Below ApiLimits::connections, so that one accept round cannot
// displace its own first connection.
inline constexpr int listen_backlog = 32;

// Both answer a non-blocking close-on-exec descriptor that the caller owns.
// Replaces a stale socket file; see ApiServer::create().
Result<int> listen_unix(const std::string& path, unsigned mode);
// `host`: a numeric address. `port` 0: any.
Result<int> listen_tcp(const std::string& host, std::uint16_t port);
// Local port of a TCP socket, 0 on failure.
std::uint16_t local_port(int fd);

}  // namespace weir
