// SPDX-License-Identifier: BSD-3-Clause
#include "perf/gen/options.hh"

#include <algorithm>
#include <cstring>

#include <CLI/CLI.hpp>

namespace weir::gen {

namespace {

constexpr const char* about =
    "Sends the packets of an exact number of flows to a VIP over a memif link, and checks every "
    "byte of every packet that comes back.\nExit 0: something came back and nothing was wrong.\n"
    "usage: gen [EAL arguments --] options";

void add_link(CLI::App& app, Options& options) {
    const char* group = "Link";
    app.add_option("--socket", options.socket, "memif socket of the balancer's port")
        ->group(group)
        ->capture_default_str();
    app.add_option("--device", options.device, "another DPDK device, with its arguments")
        ->group(group);
    app.add_flag("--serve", options.serve,
                 "be the server of --socket, without a driver: the balancer is the client, started "
                 "after us")
        ->group(group);
    app.add_option("--cpu", options.cpu, "CPU to run on")->group(group)->capture_default_str();
    app.add_option("--memory", options.memory, "auto: hugepages when some are free")
        ->check(CLI::IsMember({"auto", "in-memory", "no-huge"}))
        ->group(group)
        ->capture_default_str();
    app.add_option("--wait", options.wait, "seconds to wait for the link")
        ->group(group)
        ->capture_default_str();
}

void add_packets(CLI::App& app, Options& options) {
    const char* group = "Packets";
    app.add_option("--vip", options.vip, "destination address, IPv4 or IPv6")->group(group);
    app.add_option("--port", options.port, "destination port (80)")->group(group);
    app.add_option("--protocol", options.protocol, "tcp or udp (tcp)")
        ->check(CLI::IsMember({"tcp", "udp"}))
        ->group(group);
    app.add_option("--mac", options.mac, "MAC address of the balancer's port")->group(group);
    app.add_option("--flows", options.flows, "number of flows")
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 32))
        ->group(group)
        ->capture_default_str();
    app.add_option("--size", options.size, "bytes of a packet with its FCS (the least: 64)")
        ->group(group);
    app.add_option("--syn", options.syn,
                   "share of packets that are SYNs, 0..1 (the first of each flow)")
        ->check(CLI::Range(0.0, 1.0))
        ->group(group);
    app.add_option(
           "--new", options.fresh,
           "share of packets that are SYNs of flows that never repeat, 0..1, beside --flows")
        ->check(CLI::Range(0.0, 1.0))
        ->group(group);
    app.add_flag("--latency", options.latency,
                 "time stamps in the packets: how long they were away (with --rate)")
        ->group(group);
    app.add_option("--rate", options.rate, "packets a second (0: as fast as the link takes them)")
        ->check(CLI::NonNegativeNumber)
        ->group(group);
    app.add_option("--seconds", options.seconds, "how long to measure")
        ->check(CLI::Range(0.1, 86400.0))
        ->group(group)
        ->capture_default_str();
    app.add_option("--warmup", options.warmup,
                   "seconds before that, at least until every flow was sent once (0: none)")
        ->check(CLI::Range(0.0, 600.0))
        ->group(group);
    app.add_option("--passes", options.passes,
                   "end when all flows were sent so often (0: by --seconds alone)")
        ->group(group);
    app.add_option("--burst", options.burst, "packets handed to the device at once")
        ->check(CLI::Range(1u, 256u))
        ->group(group)
        ->capture_default_str();
    app.add_option("--most-away", options.most_away,
                   "send nothing while so many packets are on their way (0: no limit)")
        ->group(group);
    app.add_flag("--junk", options.junk,
                 "send to an address of the balancer itself (--vip); expect nothing back")
        ->group(group);
}

void add_expectation(CLI::App& app, Options& options) {
    const char* group = "Expected";
    app.add_option(
           "--forward", options.forward,
           "dsr-l2, ipip, gre, gue, l3dsr, nat, or macfwd: testpmd on the other end (dsr-l2)")
        ->check(CLI::IsMember({"dsr-l2", "ipip", "gre", "gue", "l3dsr", "nat", "macfwd"}))
        ->group(group);
    app.add_option("--backend", options.backends,
                   "of dsr-l2: MAC; else: ADDRESS or ADDRESS=MAC of the next hop; repeat")
        ->group(group);
    app.add_option("--gue-port", options.gue_port, "of gue: UDP destination port (6080)")
        ->group(group);
    app.add_option("--gue-variant", options.gue_variant, "of gue: 0 or 1 (1)")
        ->check(CLI::Range(0, 1))
        ->group(group);
    app.add_option("--dscp", options.dscp, "of l3dsr")->check(CLI::Range(1, 63))->group(group);
    app.add_option("--leaves", options.leaves,
                   "ADDRESS or MAC of a backend that may leave meanwhile: its flows may then move")
        ->group(group);
    app.add_option("--joins", options.joins,
                   "a backend, as for --backend, that may come meanwhile; no known flow may move "
                   "to it but from --leaves")
        ->group(group);
    app.add_option("--tunnel-source", options.tunnel_sources,
                   "of tunnels: prefix or address of the outer source; repeat")
        ->group(group);
    app.add_option("--peer-mac", options.peer_mac,
                   "of macfwd: destination that testpmd writes (02:00:00:00:00:00)")
        ->group(group);
    app.add_option("--weir", options.control_socket,
                   "control socket of a running weir: asks it for all that is not given")
        ->group(group);
    app.add_option("--service", options.service, "the service of --weir to load")->group(group);
    app.add_option("--weir-port", options.weir_port, "the port of --weir (its first memif)")
        ->group(group);
}

void add_report(CLI::App& app, Options& options) {
    const char* group = "Report";
    app.add_flag("--json", options.json, "print one JSON object at the end")->group(group);
    app.add_option("--window", options.window, "seconds of each line, or window of the JSON")
        ->check(CLI::Range(0.01, 3600.0))
        ->group(group)
        ->capture_default_str();
    app.add_flag("--turns", options.turns,
                 "wait for lines such as 'seconds=1 warmup=0.1 window=0.5 rate=1e6 new=0.5 "
                 "passes=2 burst=8 watch=THREAD' on standard input; "
                 "each is a run, answered by a line of JSON")
        ->group(group);
    app.add_flag("--quiet", options.quiet, "no line each second")->group(group);
    app.add_option("--watch", options.watch, "thread ids whose share of a CPU is told, too; repeat")
        ->group(group);
}

}  // namespace

std::optional<Options> read_options(int argc, char** argv, int& exit_code) {
    Options options;
    char** const end = argv + argc;
    char** const dashes =
        std::find_if(argv, end, [](const char* word) { return std::strcmp(word, "--") == 0; });
    std::vector<std::string> words;
    if (dashes != end) {
        options.eal.assign(argv + 1, dashes);
        words.assign(dashes + 1, end);
    } else {
        words.assign(argv + 1, end);
    }
    CLI::App app(about, "gen");
    add_link(app, options);
    add_packets(app, options);
    add_expectation(app, options);
    add_report(app, options);
    try {
        std::ranges::reverse(words);  // as CLI11 takes them
        app.parse(std::move(words));
    } catch (const CLI::ParseError& error) {
        exit_code = app.exit(error) == 0 ? 0 : 2;
        return std::nullopt;
    }
    return options;
}

}  // namespace weir::gen
