// SPDX-License-Identifier: BSD-3-Clause
// Rest: when an lcore that finds no packets sleeps, and for how long (`idle = "pause"`).
//
// Who was busy a moment ago goes on polling; then naps begin short and double to a bound, as long
// as nothing comes. So packets that come in a row never meet a nap, and the first of them waits for
// the rest of one: `longest` and what the kernel takes to wake a thread.
#pragma once

#include <cstdint>

namespace weir {

enum class Idle : std::uint8_t { busy, pause };

class Rest {
public:
    static constexpr unsigned empty_turns = 1024;                       // before the first nap
    static constexpr std::uint32_t shortest = 2'000, longest = 25'000;  // nanoseconds

    // After each turn: the nap to take before the next one, in nanoseconds; 0: none.
    std::uint32_t after(bool busy) noexcept {
        if (busy) {
            empty_ = 0;
            nap_ = shortest;
            return 0;
        }
        if (empty_ < empty_turns) {
            ++empty_;
            return 0;
        }
        const std::uint32_t nap = nap_;
        nap_ = nap_ < longest / 2 ? 2 * nap_ : longest;
        return nap;
    }

private:
    unsigned empty_ = 0;
    std::uint32_t nap_ = shortest;
};

// The calling thread's naps end when they should, not up to 50 us later (the kernel's default).
void sharpen_naps() noexcept;
// Sleeps. A system call: on no path that carries packets.
void take_nap(std::uint32_t nanoseconds) noexcept;

}  // namespace weir
