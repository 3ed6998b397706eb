// SPDX-License-Identifier: BSD-3-Clause
// What the tests of this room share: the devices that EAL made, and a private network namespace.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace weir::test {

// "weirunit.PID": no other process has it.
std::string file_prefix();
// A directory of this process, for pcap files and sockets.
std::string directory();
void prepare_files();
void remove_files();

// Devices on the EAL line: each is used by one test only.
std::vector<std::string> devices();

// Runs `body` in a child process with a network namespace of its own (loopback up), and answers
// what it returned: empty when all held, else the first thing that did not. A child that dies or
// hangs for 20 s is told as such.
std::string in_private_network(const std::function<std::string()>& body);

// Runs a command without shell features beyond sh; true when it exits 0. Its output to `output`.
bool run(const std::string& command, std::string* output = nullptr);

}  // namespace weir::test
