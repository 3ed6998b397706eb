// SPDX-License-Identifier: BSD-3-Clause
// tests/packet/packet.toml with its blanks filled in.
#pragma once

#include <array>
#include <string>

namespace weir::test {

struct Fill {
    std::array<std::string, 3> devices{"net_null0", "net_null1", "net_null2"};
    std::string rx_lcores = "[]", worker_lcores = "[1]";
};

// Throws std::runtime_error when the file is missing.
std::string packet_configuration(const Fill& fill);

}  // namespace weir::test
