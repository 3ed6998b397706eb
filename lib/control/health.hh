// SPDX-License-Identifier: BSD-3-Clause
// HealthState: rise and fall of one backend, pure. The first result decides alone; after that
// `fall` failures in a row take it down and `rise` successes in a row bring it back.
#pragma once

#include <cstdint>

#include "lib/control/compile.hh"

namespace weir {

class HealthState {
public:
    // Returns true when the liveness changed (unknown -> up counts, though the tables do not care).
    bool record(bool success, unsigned rise, unsigned fall) noexcept {
        streak_ = success == last_success_ ? streak_ + 1 : 1;
        last_success_ = success;
        const Liveness before = liveness_;
        if (liveness_ == Liveness::unknown) {
            liveness_ = success ? Liveness::up : Liveness::down;
        } else if (success ? streak_ >= rise : streak_ >= fall) {
            liveness_ = success ? Liveness::up : Liveness::down;
        }
        return liveness_ != before;
    }
    [[nodiscard]] Liveness liveness() const noexcept { return liveness_; }
    [[nodiscard]] unsigned streak() const noexcept { return streak_; }
    [[nodiscard]] bool last_success() const noexcept { return last_success_; }

private:
    Liveness liveness_ = Liveness::unknown;
    bool last_success_ = false;
    unsigned streak_ = 0;
};

}  // namespace weir
