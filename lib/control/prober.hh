// SPDX-License-Identifier: BSD-3-Clause
// Prober: health probes with libcurl multi on the control loop. TCP (connect) and HTTP (one GET, no
// redirect, bounded body). A probe is bound to the egress port's own address and TAP, so that it
// leaves through the port; a success counts only if the port saw the probe's packets both ways.
//
// Rounds start spread over the interval by a hash of the name; time is monotonic; a gap in the loop
// of more than an interval (a paused machine) voids the rounds under way. Control thread only.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lib/control/config.hh"
#include "lib/control/kernel_routes.hh"

struct event_base;

namespace weir {

// A probe's TCP connection as it crosses the port; addresses as the kernel writes them.
struct ProbeFlow {
    IpAddress local, remote;
    std::uint16_t local_port = 0, remote_port = 0;  // host byte order
    auto operator<=>(const ProbeFlow&) const = default;
};

// Counts probe packets that cross the ports. lib/dpdk's exception path reports them.
class ProbeLedger {
public:
    virtual ~ProbeLedger() = default;
    // Packets seen of `flow` since watch-all began: out = TAP to port, in = port to TAP. Forgets
    // the flow. Called once when the probe ends.
    struct Crossed {
        std::uint64_t out = 0, in = 0;
    };
    virtual Crossed take(const ProbeFlow& flow) = 0;
};

// One backend to probe.
struct ProbeTask {
    std::string service, backend;
    HealthConfig check;
    IpAddress address;       // of the backend
    std::uint16_t port = 0;  // resolved
    IpAddress source;        // the egress port's own address of that family
    std::string interface;   // its TAP; empty: the egress has none
    bool operator==(const ProbeTask&) const = default;
};
// Which probes a configuration asks for, by the ports that these routes of the kernel lead to.
// Backends that are `disabled` are not probed.
std::vector<ProbeTask> probe_tasks(const Config& config, const KernelRoutes& routes = {});

struct ProbeResult {
    std::string service, backend;
    bool success = false;
    std::string detail;  // "HTTP 200", "timeout after 1000 ms", "connection refused"...
    double seconds = 0;  // duration of the probe
};

class Prober {
public:
    // Called from the event loop, once for each finished probe. It may call set_tasks(), but must
    // not destroy the prober.
    using OnResult = std::function<void(const ProbeResult&)>;
    // Monotonic time; its epoch is free.
    using Clock = std::function<std::chrono::steady_clock::time_point()>;

    // Probes under way at once; more wait their turn.
    static constexpr std::size_t max_running = 512;
    // The first probe of a new task starts within this time.
    static constexpr std::chrono::milliseconds first_within{50};

    // `ledger` may be null: then crossing is not checked (unit tests on loopback).
    // Throws std::bad_alloc when libcurl or libevent cannot start.
    Prober(event_base* base, ProbeLedger* ledger, OnResult on_result,
           Clock clock = &std::chrono::steady_clock::now);
    ~Prober();
    Prober(const Prober&) = delete;
    Prober& operator=(const Prober&) = delete;

    // Replaces the set of tasks. A task that is equal to one already there keeps its schedule; of
    // two with the same service and backend the last counts. A probe of a task that left or
    // changed ends without a result.
    void set_tasks(std::vector<ProbeTask> tasks);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// When probe rounds start: at fixed instants of the monotonic clock, each task at its own phase.
struct ProbePhase {
    std::chrono::milliseconds interval{1};  // at least 1
    std::chrono::milliseconds phase{0};     // 0 .. interval - 1

    // Phase by a hash of the names: the same in every run.
    static ProbePhase of(const ProbeTask& task);
    // The first instant of the task's grid that is later than `after`.
    [[nodiscard]] std::chrono::steady_clock::time_point next(
        std::chrono::steady_clock::time_point after) const;
};

}  // namespace weir
