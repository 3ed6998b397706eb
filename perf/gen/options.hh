// SPDX-License-Identifier: BSD-3-Clause
// Options of the generator, read by CLI11.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "perf/gen/check.hh"

namespace weir::gen {

struct Options {
    // The link
    std::string device;  // vdev or PCI address with arguments; empty: memif client of `socket`
    std::string socket = "@weir";
    bool serve = false;           // the memif server of `socket` ourselves, without a driver
    std::string memory = "auto";  // auto | in-memory | no-huge
    unsigned cpu = 0;
    std::vector<std::string> eal;  // what stood before "--"

    // What is sent
    std::string vip;
    std::uint16_t port = 0;  // 0: of the service, else 80
    std::string protocol;    // tcp | udp; empty: of the service, else tcp
    std::uint64_t flows = 1000;
    std::uint16_t size = 0;
    std::optional<double> syn;  // share of SYNs; absent: the first packet of each flow
    std::string mac;            // of the balancer's port
    double fresh = 0;           // share of packets of flows that never repeat
    bool latency = false;
    double rate = 0;  // packets a second; 0: as many as the link takes
    double seconds = 10, warmup = 0, window = 1;
    unsigned passes = 0;  // of all flows; 0: no limit
    unsigned burst = 32;
    unsigned most_away = 0;  // packets; 0: no limit
    bool junk = false;
    bool turns = false;  // a run for each line of standard input

    // What should come back
    std::string forward;         // dsr-l2 | ipip | gre | gue | l3dsr | nat | macfwd; empty: of the
                                 // service, else dsr-l2
    std::uint16_t gue_port = 0;  // 0: of the service, else 6080
    std::optional<int> gue_variant;  // absent: of the service, else 1
    unsigned dscp = 0;               // of l3dsr; 0: of the service
    std::vector<std::string> backends, tunnel_sources;
    std::vector<std::string> leaves, joins;  // backends that may leave, or come later
    std::string peer_mac;                    // macfwd: the destination that testpmd writes
    std::string control_socket, service;     // of a running weir; empty: not asked
    std::string weir_port;                   // its port; empty: the first that is a memif

    // What is told
    bool json = false, quiet = false;
    std::vector<unsigned> watch;  // thread ids
    double wait = 10;             // seconds for the link to come up
};

// nullopt: CLI11 has printed help or the mistake, and `exit_code` is set.
std::optional<Options> read_options(int argc, char** argv, int& exit_code);

}  // namespace weir::gen
