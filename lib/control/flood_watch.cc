// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/flood_watch.hh"

#include <utility>

namespace weir {

std::optional<FloodWatch::Change> FloodWatch::look(std::uint64_t without_room,
                                                   Clock::time_point now) noexcept {
    const std::uint64_t before = std::exchange(last_, without_room);
    if (!std::exchange(seen_, true)) return std::nullopt;
    if (without_room - before >= least) {
        last_hit_ = now;
        if (std::exchange(active_, true)) return std::nullopt;
        begin_ = now;
        before_ = before;
        return Change{.begins = true, .flows = without_room - before};
    }
    if (!active_ || now - last_hit_ < calm) return std::nullopt;
    active_ = false;
    return Change{.flows = without_room - before_, .lasted = last_hit_ - begin_};
}

}  // namespace weir
