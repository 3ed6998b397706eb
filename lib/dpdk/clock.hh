// SPDX-License-Identifier: BSD-3-Clause
// TickClock: TSC cycles -> Tick and back to seconds, by multiply-shift.
#pragma once

#include <cstdint>

#include <rte_cycles.h>

#include "lib/flow/tick.hh"

namespace weir {

// One for the whole process, made after rte_eal_init (which measures the TSC); copies are cheap and
// agree. Any thread.
class TickClock {
public:
    // `hz`: TSC cycles a second, > 1000. `start`: the TSC value of Tick 0.
    TickClock(std::uint64_t hz, std::uint64_t start) noexcept
        : start_(start), hz_(hz), ticks_per_cycle_(scale(hz)) {}
    // Tick 0 lies a second back, so that a core whose TSC is a little behind sees no time before
    // it.
    TickClock() noexcept : TickClock(rte_get_tsc_hz(), rte_rdtsc() - rte_get_tsc_hz()) {}

    // Milliseconds since `start`, modulo 2^32. Cost: one multiplication. Off by less than a tick in
    // 100 years. Precondition: tsc >= start.
    [[nodiscard]] Tick at(std::uint64_t tsc) const noexcept {
        return Tick{
            static_cast<std::uint32_t>((static_cast<Wide>(tsc - start_) * ticks_per_cycle_) >> 64)};
    }
    [[nodiscard]] Tick now() const noexcept { return at(rte_rdtsc()); }

    // Cold: duration of so many cycles.
    [[nodiscard]] double seconds(std::uint64_t cycles) const noexcept {
        return static_cast<double>(cycles) / static_cast<double>(hz_);
    }

private:
    __extension__ using Wide = unsigned __int128;
    static std::uint64_t scale(std::uint64_t hz) noexcept {  // 2^64 * 1000 / hz
        return static_cast<std::uint64_t>((static_cast<Wide>(1000) << 64) / hz);
    }

    std::uint64_t start_, hz_, ticks_per_cycle_;
};

}  // namespace weir
