// SPDX-License-Identifier: BSD-3-Clause
// One run of the real `weir` over net_pcap ports: all cases in, what left and what was counted out.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/packet/case.hh"
#include "tests/packet/configuration.hh"

namespace weir::test {

struct BinaryResult {
    std::array<std::vector<Bytes>, 3> left;        // by port, in order
    std::map<std::string, std::uint64_t> dropped;  // by reason
    std::uint64_t received = 0, sent = 0, punted = 0;
    std::string log;  // stderr of weir
};

// Starts weir with the cases' frames as input files, waits until all were received and decided,
// reads its counters with weirctl, stops it with SIGTERM and reads what it wrote. Bounded at 30 s.
// Throws std::runtime_error with weir's log when it does not start, decide or stop.
BinaryResult run_binary(const Cases& cases, Fill fill);

}  // namespace weir::test
