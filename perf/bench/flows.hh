// SPDX-License-Identifier: BSD-3-Clause
// Flows: a connection table that holds the flows 0 .. n-1, and bursts of lookups and insertions in
// the order in which the pipeline makes them. All that the micro benchmarks ask of the connection
// table is asked here, so that a change of its interface is followed in one place.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "lib/dataplane/flow_burst.hh"
#include "lib/dataplane/lanes.hh"
#include "lib/flow/key.hh"
#include "lib/flow/table.hh"
#include "perf/bench/memory.hh"

namespace weir::bench {

// What the pipeline knows of a packet before it looks into the table.
struct Asked {
    FlowName name;
    FlowKey key;
    std::uint32_t flow = 0;
};

class Flows {
public:
    // A table with room for `flows`, and no more.
    Flows(Family family, std::uint32_t flows);

    // Bytes of the table with this room.
    [[nodiscard]] std::size_t bytes() const noexcept { return FlowTable::footprint(sizes()); }
    [[nodiscard]] std::uint32_t held() const noexcept { return table_.size(); }
    // Flow numbers beyond `flows` are flows that were never inserted: other keys, same pattern.
    [[nodiscard]] Asked ask(std::uint32_t flow) const noexcept;

    // How many of the burst were found; what was remembered of each is added to `sum`, see
    // remembered_of().
    [[nodiscard]] unsigned look_up(std::span<const Asked> burst, std::uint64_t& sum) noexcept;
    // The same burst for look_up_in_lanes(): at most max_burst flows.
    void prepare(std::span<const Asked> burst) noexcept;
    // As look_up(), of what was prepared last: entries in their home lines sixteen at a time, the
    // others one by one, as the pipeline does. Precondition: lanes::available().
    [[nodiscard]] unsigned look_up_in_lanes(std::span<const Asked> burst,
                                            std::uint64_t& sum) noexcept;
    // How many of the burst found room. None of them is in the table yet.
    [[nodiscard]] unsigned insert(std::span<const Asked> burst) noexcept;
    // What insert() remembers of a flow.
    [[nodiscard]] static std::uint32_t remembered_of(std::uint32_t flow) noexcept {
        return flow & 0xffff;
    }

private:
    [[nodiscard]] FlowSizes sizes() const noexcept;
    [[nodiscard]] lanes::Received group_at(std::size_t first, std::size_t count) const noexcept;
    // Calls use(asked, place) for each of the burst.
    template <typename Use>
    void find_all(std::span<const Asked> burst, Use&& use) noexcept;
    // Whether an entry that lives is there; then its backend is added to `sum`.
    bool read(const Asked& asked, LinePlace place, std::uint64_t& sum) noexcept;

    Family family_;
    std::uint32_t flows_;
    HashSecret secret_ = random_hash_secret();
    Region memory_;
    FlowTable table_;
    // Of a burst: where each lies, and which of them are open.
    std::array<LinePlace, 64> places_{};
    std::array<std::uint8_t, 64> open_{};
    FlowBurst burst_;
};

}  // namespace weir::bench
