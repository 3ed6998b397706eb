// SPDX-License-Identifier: BSD-3-Clause
// TrafficBaseline: the workers count by id and never reset; an id that is given to a new name shows
// counters from zero. Control thread only.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "lib/balance/ids.hh"
#include "lib/control/view.hh"

namespace weir {

class TrafficBaseline {
public:
    // Tells who owns `id` from now on; `counted` reads the workers' sums. When the owner changed,
    // what was counted so far belongs to the one before.
    void own(std::uint32_t id, const std::string& owner,
             const std::function<TrafficView()>& counted);
    // What `counted` means for the present owner. Active flows are a level, not a count: as they
    // are.
    [[nodiscard]] TrafficView since(std::uint32_t id, TrafficView counted) const;

private:
    struct Entry {
        std::string owner;
        TrafficView base;
    };
    std::vector<Entry> entries_;  // by id
};

}  // namespace weir
