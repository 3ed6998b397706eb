// SPDX-License-Identifier: BSD-3-Clause
// FloodWatch: when new flows come for which the connection tables have no room, and when that is
// over. Workers need no such mode: a flow without room goes by hash, or is dropped, by itself
// (conntrack.when_full). It is for people.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "lib/control/config.hh"
#include "lib/control/view.hh"

namespace weir {

class FloodWatch {
public:
    using Clock = std::chrono::steady_clock;
    // A flood begins with as many flows without room between two looks, and is over when for so
    // long there were no more.
    static constexpr std::uint64_t least = 100;
    static constexpr std::chrono::seconds calm{5};

    struct Change {
        bool begins = false;       // or it is over
        std::uint64_t flows = 0;   // without room: since the last look; over: in all of it
        Clock::duration lasted{};  // over: from its first look to its last with such flows
    };
    // `without_room`: how many flows found no room so far, over all workers. Once a second or
    // so. Answers what is to be told.
    [[nodiscard]] std::optional<Change> look(std::uint64_t without_room,
                                             Clock::time_point now) noexcept;

    [[nodiscard]] bool active() const noexcept { return active_; }

private:
    bool seen_ = false, active_ = false;
    std::uint64_t last_ = 0, before_ = 0;  // counts: at the last look, when the flood began
    Clock::time_point begin_{}, last_hit_{};
};

// Of full connection tables, for people.
const char* meaning_of(WhenFull when_full);
// Logs what `watch` has to tell of the workers in `view`, taken at `now`.
void tell_of_floods(FloodWatch& watch, const InstanceView& view, FloodWatch::Clock::time_point now,
                    WhenFull when_full);

}  // namespace weir
