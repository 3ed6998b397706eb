// SPDX-License-Identifier: BSD-3-Clause
// line: how long a cache line takes from one CPU to another and back.
//
// A virtual machine does not see which cores its CPUs run on. Where the host moves them apart, to
// another cache or socket, this time changes several times over within seconds, and with it
// whatever two CPUs do together. Prints the p10, p50 and p90 in nanoseconds.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include <sched.h>
#include <unistd.h>

namespace {

using Clock = std::chrono::steady_clock;

constexpr unsigned rounds = 16;  // timed together: reading the clock takes its time, too

struct alignas(128) Line {
    std::atomic<std::uint64_t> turn{0};
};

void pin(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) {
        std::fprintf(stderr, "line: CPU %d is not ours\n", cpu);
        std::exit(1);
    }
}

// Answers each odd number with the even one after it, until it reads `last`.
void answer(Line& line, std::uint64_t last) {
    for (std::uint64_t expected = 1;;) {
        const std::uint64_t seen = line.turn.load(std::memory_order_acquire);
        if (seen == last) return;
        if (seen != expected) continue;
        line.turn.store(seen + 1, std::memory_order_release);  // pairs with the load of the other
        expected = seen + 2;
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) {
        std::fprintf(stderr, "usage: line CPU OTHER_CPU SECONDS\n");
        return 2;
    }
    constexpr std::uint64_t last = ~std::uint64_t{0};
    const int here = std::atoi(argv[1]), there = std::atoi(argv[2]);
    static Line line;
    std::thread other([there] {
        pin(there);
        answer(line, last);
    });
    pin(here);
    std::vector<double> times;
    std::uint64_t turn = 1;
    const auto end = Clock::now() + std::chrono::duration<double>(std::atof(argv[3]));
    while (Clock::now() < end || times.size() < 100) {
        const auto begin = Clock::now();
        for (unsigned i = 0; i < rounds; ++i, turn += 2) {
            line.turn.store(turn, std::memory_order_release);  // pairs with the load of the other
            while (line.turn.load(std::memory_order_acquire) != turn + 1) {
            }
        }
        times.push_back(std::chrono::duration<double, std::nano>(Clock::now() - begin).count() /
                        rounds);
    }
    line.turn.store(last, std::memory_order_release);
    other.join();
    std::ranges::sort(times);
    const auto quantile = [&times](std::size_t percent) {
        return times[times.size() * percent / 100];
    };
    std::printf("%.0f %.0f %.0f\n", quantile(10), quantile(50), quantile(90));
    return 0;
}
