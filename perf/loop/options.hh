// SPDX-License-Identifier: BSD-3-Clause
// Options of perf/loop, read by CLI11.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace weir::loop {

struct Options {
    std::string mode = "direct";  // direct | ring | scaling | swap | flips
    std::string forward = "dsr-l2";
    std::uint32_t flows = 1'000'000;  // of each worker
    std::uint32_t entries = 4'194'304;
    unsigned backends = 16, windows = 10, mbufs = 2047;
    unsigned tries = 1;
    double seconds = 0.25;
    std::string memory = "auto";  // auto | in-memory | no-huge
    std::vector<unsigned> cpus;   // of the worker, then of the RX lcore, second worker and control
    bool json = false;
};

// nullopt: CLI11 has printed help or the mistake, and `exit_code` is set.
std::optional<Options> read_options(int argc, char** argv, int& exit_code);

}  // namespace weir::loop
