// SPDX-License-Identifier: BSD-3-Clause
// Token bucket (the single rate of RFC 2697) with time as an argument: no division, no clock.
#pragma once

#include <cstdint>

#include "lib/flow/tick.hh"

namespace weir {

struct RateLimit {
    std::uint32_t per_second = 0, burst = 0;  // packets; per_second <= 1 000 000
    friend bool operator==(const RateLimit&, const RateLimit&) = default;
};

// A token is a thousandth of a packet, so that a millisecond earns per_second of them. Starts full.
// Used by one thread.
class TokenBucket {
public:
    explicit constexpr TokenBucket(RateLimit limit) noexcept
        : rate_(limit.per_second), full_(limit.burst * cost), tokens_(full_) {}

    // True: the packet may pass, and has been paid. `now` must not go back.
    [[nodiscard]] bool pass(Tick now) noexcept {
        if (now != last_) refill(now);
        if (tokens_ < cost) return false;
        tokens_ -= cost;
        return true;
    }

private:
    static constexpr std::uint64_t cost = 1000;
    void refill(Tick now) noexcept {
        const std::uint64_t passed = static_cast<std::uint32_t>(elapsed(last_, now));
        tokens_ += passed * rate_;
        if (tokens_ > full_) tokens_ = full_;
        last_ = now;
    }

    std::uint64_t rate_, full_, tokens_;
    Tick last_{};
};

}  // namespace weir
