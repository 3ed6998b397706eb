// SPDX-License-Identifier: BSD-3-Clause
// Deadlines: when flows that get a packet now expire, by state; made once a burst.
//
// An entry lives at least its timeout after the flow's last packet. So that not every packet writes
// to its entry (and a line of a large table goes back to memory for each), a new deadline is a 64th
// of the timeout later than it must be, and stands until it is too early.
#pragma once

#include <array>
#include <cstdint>

#include "lib/flow/expiry.hh"
#include "lib/flow/tcp_state.hh"

namespace weir {

class Deadlines {
public:
    Deadlines(const FlowTimeouts& timeouts, Tick now) noexcept : now_(now) {
        for (std::size_t i = 0; i < states; ++i) {
            const std::uint32_t timeout = timeout_of(static_cast<FlowState>(i), timeouts);
            earliest_[i] = static_cast<std::uint32_t>(expiry_of(now + timeout));
            slack_[i] = timeout >> (expiry_unit_shift + slack_shift);
        }
    }

    [[nodiscard]] Tick now() const noexcept { return now_; }
    [[nodiscard]] bool is_past(Expiry expiry) const noexcept { return weir::is_past(expiry, now_); }
    // Of a new flow: its timeout from now.
    [[nodiscard]] Expiry first(FlowState state) const noexcept {
        return Expiry{earliest_[static_cast<std::size_t>(state)]};
    }
    // False: an entry in `state` with this deadline need not be written.
    [[nodiscard]] bool is_due(FlowState state, Expiry expiry) const noexcept {
        const auto i = static_cast<std::size_t>(state);
        return ((static_cast<std::uint32_t>(expiry) - earliest_[i]) & expiry_mask) > slack_[i];
    }
    // What is written then.
    [[nodiscard]] Expiry next(FlowState state) const noexcept {
        const auto i = static_cast<std::size_t>(state);
        return Expiry{(earliest_[i] + slack_[i]) & expiry_mask};
    }

    // What the above compare with, by state: units of Expiry.
    using ByState = std::array<std::uint32_t, 4>;
    [[nodiscard]] const ByState& earliest() const noexcept { return earliest_; }
    [[nodiscard]] const ByState& slack() const noexcept { return slack_; }

private:
    static constexpr std::size_t states = 4;
    static constexpr unsigned slack_shift = 6;
    static_assert(longest_timeout + (longest_timeout >> slack_shift) <
                  1u << (expiry_bits - 1 + expiry_unit_shift));

    Tick now_;
    ByState earliest_, slack_;
};

}  // namespace weir
