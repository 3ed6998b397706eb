// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/flood_watch.hh"

#include <utility>

#include "lib/control/log.hh"

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

const char* meaning_of(WhenFull when_full) {
    if (when_full == WhenFull::drop_new)
        return "new flows are dropped as conntrack_full, known ones keep their backend";
    return "new flows go by hash without an entry, known ones keep their backend";
}

void tell_of_floods(FloodWatch& watch, const InstanceView& view, FloodWatch::Clock::time_point now,
                    WhenFull when_full) {
    std::uint64_t without_room = 0;
    for (const WorkerView& worker : view.workers)
        without_room += worker.flow_insert_failed;
    const auto change = watch.look(without_room, now);
    if (!change) return;
    if (change->begins) {
        log_warning("flood: the connection tables are full, {} new flows found no room; {}",
                    change->flows, meaning_of(when_full));
    } else {
        log_info(
            "flood: the connection tables have room again; {} new flows found none in {:.0f} s",
            change->flows, std::chrono::duration<double>(change->lasted).count());
    }
}

}  // namespace weir
