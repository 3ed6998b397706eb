// SPDX-License-Identifier: BSD-3-Clause
#include "perf/bench/measure.hh"

#include <algorithm>
#include <chrono>

#include <time.h>

namespace weir::bench {

namespace {

constexpr double least_share = 0.99;  // of a CPU
constexpr double most_pace = 1.05;    // of the best
double least_pace = 1e9;              // of this run
double known_pace = 1e9;              // of earlier ones

double cpu_ns() {
    timespec used{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return static_cast<double>(used.tv_sec) * 1e9 + static_cast<double>(used.tv_nsec);
}

double clock_cost() {
    double least = 1e9;
    for (int i = 0; i < 1000; ++i) {
        const std::uint64_t before = fenced_cycles();
        least = std::min(least, static_cast<double>(fenced_cycles() - before));
    }
    return least;
}

double measure_clock() {
    using clock = std::chrono::steady_clock;
    const auto from = clock::now();
    const std::uint64_t cycles = fenced_cycles();
    while (clock::now() - from < std::chrono::milliseconds(50)) {
    }
    const std::uint64_t passed = fenced_cycles() - cycles;
    return static_cast<double>(passed) /
           std::chrono::duration<double, std::nano>(clock::now() - from).count();
}

double median_of(std::vector<double> sorted) {
    const std::size_t half = sorted.size() / 2;
    return sorted.size() % 2 != 0 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

}  // namespace

double cycles_per_ns() {
    static const double measured = measure_clock();
    return measured;
}

double pace() {
    constexpr int steps = 2048, first = 128;  // not timed: the code may have left the cache
    std::uint64_t chains[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    std::uint64_t before = 0;
    for (int i = 0; i < first + steps; ++i) {
        if (i == first) before = fenced_cycles();
        for (std::uint64_t& x : chains) {
            x += 0x9e3779b97f4a7c15;
            x ^= x >> 29;
            asm volatile("" : "+r"(x));  // neither left out nor made wider
        }
    }
    return static_cast<double>(fenced_cycles() - before) / steps;
}

double best_pace() {
    return least_pace;
}

void set_known_pace(double cycles) {
    known_pace = cycles;
}

bool Window::quiet() const {
    return !disturbed && pace <= most_pace * std::min(least_pace, known_pace);
}

Spread spread_of(const std::vector<Window>& windows) {
    std::vector<double> kept;
    for (const Window& window : windows)
        if (window.quiet()) kept.push_back(window.each());
    Spread spread;
    spread.dropped = static_cast<unsigned>(windows.size() - kept.size());
    spread.windows = static_cast<unsigned>(kept.size());
    if (kept.empty())
        for (const Window& window : windows)
            kept.push_back(window.each());
    if (kept.empty()) return spread;
    std::ranges::sort(kept);
    spread.median = median_of(kept);
    spread.least = kept.front();
    spread.most = kept.back();
    return spread;
}

Spread scaled(const Spread& spread, double factor) {
    Spread result = spread;
    result.median *= factor;
    result.least *= factor;
    result.most *= factor;
    return result;
}

Spread inverted(const Spread& spread, double factor) {
    Spread result = spread;
    result.median = factor / spread.median;
    result.least = factor / spread.most;
    result.most = factor / spread.least;
    return result;
}

Stopwatch::Stopwatch() : overhead_(clock_cost()), began_(fenced_cycles()), cpu_ns_(cpu_ns()) {}

double Stopwatch::wall_ns() const noexcept {
    return static_cast<double>(fenced_cycles() - began_) / cycles_per_ns();
}

void Stopwatch::take_pace() {
    pace_sum_ += pace();
    ++paces_;
}

Window Stopwatch::take() {
    Window window = window_;
    window.pace = pace_sum_ / paces_;
    least_pace = std::min(least_pace, window.pace);
    stretches_ = paces_ = 0;
    pace_sum_ = 0;
    const double used = cpu_ns();
    window.disturbed = used - cpu_ns_ < least_share * wall_ns();
    began_ = fenced_cycles();
    cpu_ns_ = used;
    window_ = {};
    return window;
}

}  // namespace weir::bench
