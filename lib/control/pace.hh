// SPDX-License-Identifier: BSD-3-Clause
// Pace: how long the control loop may wait before it looks again for what cannot wake it: frames in
// the punt rings and grace periods that end. (Timers, sockets and frames of the kernel wake it.)
//
// Who worked a moment ago looks often, so that frames that come in a row, as those of a probe, a
// routing daemon or a ping flood do, find it awake; then its waits double up to `longest`. The
// first punted frame after a quiet time is late by that at most.
#pragma once

#include <algorithm>
#include <chrono>

namespace weir {

class Pace {
public:
    using Wait = std::chrono::microseconds;
    static constexpr Wait shortest{100}, longest{2000};
    static constexpr unsigned alert_turns = 100;  // waits of `shortest` before they grow

    // After each turn: the wait before the next one; zero after a busy turn.
    [[nodiscard]] Wait after(bool busy) noexcept {
        if (busy) {
            idle_turns_ = 0;
            wait_ = shortest;
            return Wait::zero();
        }
        if (idle_turns_ < alert_turns)
            ++idle_turns_;
        else
            wait_ = std::min(wait_ * 2, longest);
        return wait_;
    }

private:
    unsigned idle_turns_ = 0;
    Wait wait_ = shortest;
};

}  // namespace weir
