// SPDX-License-Identifier: BSD-3-Clause
// Soonest: a moment before which no entry of a table expires. A full table need not look for
// expired entries until then, and under a flood of new flows it is asked for one with every packet.
//
// Every expiry that is written is noted, which can only bring the moment nearer. The sweep puts it
// off: on its round through the lines it notes what lives there, and what is written meanwhile is
// noted, too; so after a round the soonest of that is the new bound. Entries that move meanwhile,
// perhaps to lines that the round has behind it, are noted again.
#pragma once

#include <cstdint>

#include "lib/flow/expiry.hh"

namespace weir {

class Soonest {
public:
    // An entry has this expiry now, or has moved with it.
    void note(Expiry expiry) noexcept {
        if (!is_before(expiry, of_round_)) [[likely]]
            return;
        of_round_ = expiry;
        if (is_before(expiry, bound_)) bound_ = expiry;
    }
    // There is one entry, and no other.
    void note_only(Expiry expiry) noexcept { bound_ = of_round_ = expiry; }
    // Since the last call every entry was noted.
    void end_round(Tick now) noexcept {
        bound_ = of_round_;
        of_round_ = expiry_of(now + farthest);
    }

    // False: no entry has expired. Holds as long as rounds end within half a day.
    [[nodiscard]] bool may_be_past(Tick now) const noexcept { return is_past(bound_, now); }

private:
    // No bound is later: as far from the past as from what could be taken for it.
    static constexpr std::uint32_t farthest = 1u << (expiry_bits - 2 + expiry_unit_shift);

    [[nodiscard]] static bool is_before(Expiry a, Expiry b) noexcept {
        const std::uint32_t ahead = static_cast<std::uint32_t>(a) - static_cast<std::uint32_t>(b);
        return (ahead & 1u << (expiry_bits - 1)) != 0;
    }

    Expiry bound_{};
    Expiry of_round_{};  // what this round noted so far; never before bound_
};

}  // namespace weir
