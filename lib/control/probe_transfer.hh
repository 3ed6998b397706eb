// SPDX-License-Identifier: BSD-3-Clause
// ProbeTransfers: single TCP connects and HTTP requests with libcurl multi on a libevent base, for
// the prober. When to probe, and what a result means, is the prober's business.
//
// Nothing blocks: addresses are numeric, no name is resolved, no proxy is asked, nothing is
// reused. A transfer is bounded in time, header bytes and body bytes. Control thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "lib/control/prober.hh"

struct event_base;

namespace weir {

// The bounds of one HTTP answer: a status page has some hundred bytes.
inline constexpr std::size_t probe_header_limit = 32 * 1024, probe_body_limit = 64 * 1024;

struct TransferOutcome {
    bool success = false;
    bool timed_out = false;
    std::string detail;
    double seconds = 0;
    ProbeFlow flow;  // local_port is 0 when no packet can have left
};

class ProbeTransfers {
public:
    // The tag of start() comes back with the outcome. Called from the event loop, never from
    // within start() or cancel(); it may call both.
    using OnDone = std::function<void(std::uint64_t tag, const TransferOutcome&)>;
    // `before_events` is called first whenever the event loop enters this class.
    ProbeTransfers(event_base* base, OnDone on_done, std::function<void()> before_events);
    ~ProbeTransfers();
    ProbeTransfers(const ProbeTransfers&) = delete;
    ProbeTransfers& operator=(const ProbeTransfers&) = delete;

    // Begins the probe that `task` describes. `tag` must not be under way already.
    void start(std::uint64_t tag, const ProbeTask& task);
    // Ends it without an outcome; the flow that it used so far, to be forgotten by the ledger.
    ProbeFlow cancel(std::uint64_t tag);
    [[nodiscard]] std::size_t running() const noexcept;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// The words for a finished HTTP exchange: "HTTP 200" or "HTTP 503, expected 200 or 204".
std::string http_status_detail(int status, const std::vector<int>& expected);

}  // namespace weir
