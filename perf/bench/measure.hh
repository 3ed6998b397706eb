// SPDX-License-Identifier: BSD-3-Clause
// Windows: many short timed stretches make a window, ten windows and more make a figure. What lies
// between the stretches (making packets, checking them) is not timed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#else
#include <ctime>
#endif

namespace weir::bench {

// TSC cycles; nanoseconds on other machines. Fenced: nothing timed leaks out of its stretch.
inline std::uint64_t fenced_cycles() noexcept {
#if defined(__x86_64__)
    _mm_lfence();
    const std::uint64_t now = __rdtsc();
    _mm_lfence();
    return now;
#else
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
           static_cast<std::uint64_t>(now.tv_nsec);
#endif
}

// Measured once, at the first call, in 50 ms.
[[nodiscard]] double cycles_per_ns();

// What the core gives at the moment: cycles of the TSC for a step of a fixed piece of work that
// needs no memory and keeps all its arithmetic units busy. It grows when the clock falls, and when
// a neighbour on the same core, of whom a virtual machine knows nothing, takes his share. 2 us.
[[nodiscard]] double pace();
// The least that a window of this run had so far.
[[nodiscard]] double best_pace();
// As known from earlier runs on this machine.
void set_known_pace(double cycles);

struct Window {
    double cycles = 0;        // timed ones, without the cost of looking at the clock
    std::uint64_t items = 0;  // packets, lookups or whatever was counted
    bool disturbed = false;   // somebody else had more than 1 % of the CPU meanwhile
    double pace = 0;          // mean of those taken between the stretches

    [[nodiscard]] double each() const noexcept { return cycles / static_cast<double>(items); }
    // Neither disturbed nor at a pace more than 5 % off the best.
    [[nodiscard]] bool quiet() const;
};

// Of the quiet windows (of all when none was), in cycles an item.
struct Spread {
    double median = 0, least = 0, most = 0;
    unsigned windows = 0, dropped = 0;
};
[[nodiscard]] Spread spread_of(const std::vector<Window>& windows);
[[nodiscard]] Spread scaled(const Spread& spread, double factor);
// factor / each: a rate from a cost.
[[nodiscard]] Spread inverted(const Spread& spread, double factor);

// Adds up timed stretches to a window.
class Stopwatch {
public:
    Stopwatch();
    void start() noexcept { started_ = fenced_cycles(); }
    void stop(std::uint64_t items) noexcept {
        const auto passed = static_cast<double>(fenced_cycles() - started_);
        window_.cycles += passed > overhead_ ? passed - overhead_ : 0;
        window_.items += items;
        if (stretches_++ % stretches_a_pace == 0) take_pace();
    }
    [[nodiscard]] const Window& so_far() const noexcept { return window_; }
    // Since the window began, timed or not.
    [[nodiscard]] double wall_ns() const noexcept;
    // Ends the window and begins the next.
    [[nodiscard]] Window take();

private:
    static constexpr unsigned stretches_a_pace = 16;
    void take_pace();

    Window window_;
    unsigned stretches_ = 0, paces_ = 0;  // of the window
    double pace_sum_ = 0;
    double overhead_;  // of a start() and a stop() around nothing
    std::uint64_t started_ = 0;
    std::uint64_t began_;  // of the window
    double cpu_ns_;        // of this thread, then
};

struct Plan {
    int windows = 10;
    double window_ms = 50;  // of timed stretches, or twice that with what lies between them
};

// `stretch(Stopwatch&)` prepares, starts, stops and checks. Runs it until the windows are full: one
// to warm up, then until `windows` were quiet or three times as many were tried.
template <typename Stretch>
[[nodiscard]] std::vector<Window> windows_of(const Plan& plan, Stretch&& stretch) {
    std::vector<Window> windows;
    const double full = plan.window_ms * 1e6;
    Stopwatch watch;
    const auto one = [&] {
        while (watch.so_far().cycles < full * cycles_per_ns() && watch.wall_ns() < 2 * full)
            stretch(watch);
        return watch.take();
    };
    (void)one();
    const auto quiet = [&] { return std::ranges::count_if(windows, &Window::quiet); };
    while (quiet() < plan.windows && windows.size() < 3 * static_cast<std::size_t>(plan.windows))
        windows.push_back(one());
    return windows;
}

}  // namespace weir::bench
