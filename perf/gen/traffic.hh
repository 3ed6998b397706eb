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
#include "perf/gen/link.hh"

namespace weir::gen {

struct Counts {
    std::uint64_t offered = 0;   // packets that were due: handed to the device, or late by the rate
    std::uint64_t sent = 0;      // of these, taken by the device
    std::uint64_t returned = 0;  // all that came back; the sum of `verdicts`
    std::uint64_t bursts = 0, full_bursts = 0;  // bursts handed over; those not taken whole
    std::array<std::uint64_t, verdict_count> verdicts{};

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
    std::vector<double> cpu_shares;  // of this thread, then of each watched one: 0..1
};

struct TrafficOptions {
    std::uint64_t flows = 1000;
    double syn = -1;  // share of SYNs; negative: the first packet of each flow
    double rate = 0;  // packets a second; 0: no limit
    double seconds = 10, warmup = 0;
    unsigned burst = 32;
    std::vector<unsigned> watch;  // thread ids
};

class Traffic {
public:
    Traffic(Link& link, const Frames& frames, Checker& checker, const TrafficOptions& options);

    // Warms up, measures, and waits for what is still on its way. `told` gets each window of the
    // measurement as it ends. Ends early when `stop` becomes true.
    void run(const std::function<void(const Window&)>& told, const std::atomic<bool>& stop);

    // Since the first packet, warm-up and the last arrivals included.
    [[nodiscard]] const Counts& counts() const noexcept { return counts_; }
    [[nodiscard]] const std::vector<Window>& windows() const noexcept { return windows_; }

private:
    static constexpr unsigned most_burst = 256;

    void send() noexcept;
    unsigned receive() noexcept;
    [[nodiscard]] unsigned due(std::uint64_t now) noexcept;
    [[nodiscard]] bool is_syn(std::uint64_t number, bool first_pass) const noexcept;
    void spin_until(std::uint64_t end, const std::atomic<bool>& stop) noexcept;
    void warm_up(const std::atomic<bool>& stop) noexcept;
    void drain() noexcept;

    Link& link_;
    const Frames& frames_;
    Checker& checker_;
    TrafficOptions options_;
    Counts counts_;
    std::vector<Window> windows_;
    std::uint32_t syn_threshold_ = 0;
    double hertz_ = 0, tokens_ = 0;
    std::uint64_t last_due_ = 0;  // TSC
    std::uint64_t flow_ = 0;      // next to send
    bool first_pass_ = true;
};

}  // namespace weir::gen
