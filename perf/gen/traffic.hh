// SPDX-License-Identifier: BSD-3-Clause
// Traffic: the loop that sends, receives and checks, on one core.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <vector>

#include "perf/gen/check.hh"
#include "perf/gen/frames.hh"
#include "perf/gen/histogram.hh"
#include "perf/gen/link.hh"

namespace weir::gen {

struct Counts {
    std::uint64_t offered = 0;   // packets that were due: handed to the device, or late by the rate
    std::uint64_t sent = 0;      // of these, taken by the device
    std::uint64_t returned = 0;  // all that came back; the sum of `verdicts`
    std::uint64_t bursts = 0, full_bursts = 0;  // bursts handed over; those not taken whole
    std::array<std::uint64_t, verdict_count> verdicts{};
    // The part of all these that were packets of flows with one packet only
    // (TrafficOptions::fresh). What came back so broken that it names no flow is not among them.
    struct Fresh {
        std::uint64_t offered = 0, sent = 0, returned = 0, right = 0;
    } fresh;

    [[nodiscard]] std::uint64_t of(Verdict verdict) const noexcept {
        return verdicts[static_cast<std::size_t>(verdict)];
    }
    [[nodiscard]] std::uint64_t wrong() const noexcept {
        return returned - of(Verdict::right) - of(Verdict::other);
    }
    Counts operator-(const Counts& earlier) const noexcept;
};

// About a second of the run.
struct Window {
    double seconds = 0;
    Counts counts;
    std::vector<double> cpu_shares;          // of this thread, then of each watched one: 0..1
    Histogram latency;                       // TSC cycles, of TrafficOptions::latency
    std::vector<std::uint64_t> at_backends;  // right packets of each
};

struct TrafficOptions {
    std::uint64_t flows = 1000;
    double syn = -1;   // share of SYNs; negative: the first packet of each flow
    double fresh = 0;  // share of packets that are each the first and only one of a new flow, once
                       // the warm-up is over
    bool latency = false;  // frames are stamped: measure how long they were away
    double rate = 0;       // packets a second; 0: no limit
    double seconds = 10, warmup = 0;
    double window = 1;    // seconds of a Window
    double quiet = 0.2;   // nothing came for so many seconds: nothing is on its way any more
    unsigned passes = 0;  // ends when all flows were sent so often; 0: goes on
    unsigned burst = 32;
    unsigned most_away = 0;       // packets sent and not back at once; 0: no limit
    std::vector<unsigned> watch;  // thread ids
};

class Traffic {
public:
    Traffic(Link& link, const Frames& frames, Checker& checker, const TrafficOptions& options);

    // Warms up, measures, and waits for what is still on its way. `told` gets each window of the
    // measurement as it ends. Ends early when `stop` becomes true. May be called again: the flows
    // go on where they were.
    void run(const std::function<void(const Window&)>& told, const std::atomic<bool>& stop);
    // For the next run(). Flows and latency stay as they were.
    void set_options(const TrafficOptions& options) noexcept;

    // Of the last run, warm-up and the last arrivals included.
    [[nodiscard]] Counts counts() const noexcept { return counts_ - before_; }
    [[nodiscard]] const std::vector<Window>& windows() const noexcept { return windows_; }
    // Packets whose time away was not taken, because this thread itself had been away.
    [[nodiscard]] std::uint64_t untimed() const noexcept { return untimed_; }

private:
    void send() noexcept;
    unsigned receive() noexcept;
    [[nodiscard]] unsigned due(std::uint64_t now) noexcept;
    [[nodiscard]] double room() const noexcept;
    [[nodiscard]] bool is_syn(std::uint64_t number, bool first_pass) const noexcept;
    [[nodiscard]] bool is_fresh(std::uint64_t number) const noexcept {
        return flooding_ && static_cast<std::uint32_t>(number * 0x85eb'ca6bu) < fresh_threshold_;
    }
    [[nodiscard]] unsigned count_fresh(unsigned packets) const noexcept;
    [[nodiscard]] std::uint32_t fresh_flow(std::uint64_t number) const noexcept;
    void time(std::uint64_t now, std::uint64_t stamp) noexcept;
    void watch_ourselves(std::uint64_t now, unsigned received) noexcept;
    [[nodiscard]] bool warm() const noexcept { return passes_ >= (options_.fresh > 0 ? 2u : 1u); }
    [[nodiscard]] bool finished() const noexcept {
        return options_.passes != 0 && passes_ >= options_.passes;
    }
    void advance(unsigned known) noexcept;
    void spin_until(std::uint64_t end, const std::atomic<bool>& stop) noexcept;
    void warm_up(const std::atomic<bool>& stop) noexcept;
    void drain() noexcept;

    Link& link_;
    const Frames& frames_;
    Checker& checker_;
    TrafficOptions options_;
    Counts counts_, before_;  // since the first packet; until this run began
    std::vector<Window> windows_;
    std::uint32_t syn_threshold_ = 0, fresh_threshold_ = 0;
    std::uint64_t next_fresh_ = 0;  // number of fresh flows sent
    bool flooding_ = false;         // fresh flows are sent now
    Histogram latency_;             // of this window
    std::uint64_t last_poll_ = 0, untimed_ = 0;
    std::array<Frame, Link::most_burst> came_;  // of the last receive()
    bool late_ = false;                         // what comes now may have waited for us
    double hertz_ = 0, tokens_ = 0;
    std::uint64_t last_due_ = 0;  // TSC
    std::uint64_t flow_ = 0;      // next to send
    unsigned passes_ = 0;         // how often all flows were sent
};

}  // namespace weir::gen
