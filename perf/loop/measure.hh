// SPDX-License-Identifier: BSD-3-Clause
// Windows of measurement: runners take turns, each a window at a time; what a loop cost in each.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lib/wire/result.hh"
#include "perf/loop/runner.hh"

namespace weir::loop {

struct Spread {
    double median = 0, least = 0, most = 0;
};
[[nodiscard]] Spread spread_of(std::vector<double> values);
[[nodiscard]] double microseconds(std::uint64_t tsc_cycles) noexcept;

// One station during one window.
struct Sample {
    std::uint64_t packets = 0;
    double cycles = 0;     // TSC cycles a packet, busy turns of the loop only, without the lanes'
    double mpps = 0;       // what these cycles would forward: TSC rate / cycles
    double raw_mpps = 0;   // what was forwarded, making and checking included
    double burst = 0;      // packets a busy turn
    double cpu_share = 0;  // of the lcore's thread, 0..1
    std::vector<double> parts;  // cycles a packet, in the order of Station::parts
};

// The counters of a station at a moment; `thread`: of its lcore.
struct Moment {
    std::uint64_t tsc = 0, packets = 0, busy_cycles = 0, busy_loops = 0, lane_cycles = 0, ran = 0;
    std::vector<std::uint64_t> parts;
};
[[nodiscard]] Moment moment_of(const Station& station, int thread);
[[nodiscard]] Sample difference(const Moment& before, const Moment& after);

struct MeasureOptions {
    unsigned windows = 10;            // wanted
    unsigned tries = 1;               // so many times as many at most, until enough are kept
    double seconds = 0.25;            // of a window
    std::map<unsigned, int> threads;  // lcore -> thread id
};

struct Course {
    const Runner* runner = nullptr;
    std::vector<std::vector<Sample>> samples;    // [window][station]
    std::uint64_t made = 0, right = 0;           // all that was ever sent and came back right
    std::map<std::string, std::uint64_t> wrong;  // by kind
};

struct Outcome {
    std::vector<Course> courses;
    std::vector<bool> kept;               // by window
    unsigned strayed = 0, cpu_taken = 0;  // windows dropped for it
    // Of station `station` of course `course`, over the kept windows (all when none was).
    [[nodiscard]] Spread of(std::size_t course, std::size_t station, double Sample::*what) const;
    [[nodiscard]] Spread part(std::size_t course, std::size_t station, std::size_t part) const;
    // Of a sum over the stations of `above`, divided by that of `below`, window by window.
    [[nodiscard]] Spread ratio(std::size_t above, std::size_t below, double Sample::*what) const;
    [[nodiscard]] bool all_right() const;
};

// Control thread; takes tries * windows * runners * seconds at most, and a little more. The first
// runner is the reference. A window is dropped when a thread had less than 97 % of its CPU in it,
// or the reference was more than 5 % (and 2 cycles) slower than its best. `stop` ends it early.
Result<Outcome> measure(const std::vector<std::unique_ptr<Runner>>& runners,
                        const MeasureOptions& options, const std::atomic<bool>& stop);

}  // namespace weir::loop
