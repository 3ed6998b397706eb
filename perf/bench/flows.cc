// SPDX-License-Identifier: BSD-3-Clause
#include "perf/bench/flows.hh"

#include <cstring>

namespace weir::bench {

namespace {

constexpr Tick now{1000};

}  // namespace

Flows::Flows(Family family, std::uint32_t flows)
    : family_(family),
      flows_(flows),
      memory_(FlowTable::footprint(sizes())),
      table_(memory_.bytes(), sizes(), secret_) {}

// The tables that these flows are not in are as small as they get.
FlowSizes Flows::sizes() const noexcept {
    FlowSizes sizes(1);
    (family_ == Family::v4 ? sizes.narrow : sizes.wide) = flows_;
    return sizes;
}

// 17 bits of the address and 15 of the port, spread by an odd factor: keys lie dense, and many
// differ in a bit or two.
Asked Flows::ask(std::uint32_t flow) const noexcept {
    const std::uint32_t x = flow * 0x9e37'79b1u;
    FlowKey key;
    key.family = family_;
    key.protocol = proto_tcp;
    key.source_port = static_cast<std::uint16_t>(0x8000 | (x & 0x7fff));
    key.destination_port = 80;
    const std::uint32_t varying = __builtin_bswap32(198u << 24 | 18u << 16 | x >> 15);
    if (family_ == Family::v4) {
        std::memcpy(key.source.data(), &varying, 4);
        key.destination = {203, 0, 113, 10};
    } else {
        key.source = {0x20, 0x01, 0, 2};
        std::memcpy(key.source.data() + 12, &varying, 4);
        key.destination = {0x20, 0x01, 0x0d, 0xb8, 0x04, 0x43, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10};
    }
    return {table_.name(key, 1, false), key, flow};
}

// First as the pipeline does: lines for all, then where each entry lies.
std::uint32_t Flows::look(std::span<const Asked> burst) noexcept {
    for (const Asked& asked : burst)
        table_.prefetch(asked.name);
    const std::uint32_t changes = table_.changes();
    for (std::size_t i = 0; i < burst.size(); ++i)
        places_[i] = table_.look(burst[i].name);
    return changes;
}

unsigned Flows::look_up(std::span<const Asked> burst, std::uint64_t& sum) noexcept {
    const std::uint32_t changes = look(burst);
    unsigned found = 0;
    for (std::size_t i = 0; i < burst.size(); ++i) {
        const FlowPlace place = table_.find(burst[i].name, places_[i], changes);
        if (!place || !table_.is_live(place, now)) continue;
        ++found;
        sum += table_.backend(place);
    }
    return found;
}

unsigned Flows::insert(std::span<const Asked> burst) noexcept {
    const std::uint32_t changes = look(burst);
    unsigned inserted = 0;
    for (std::size_t i = 0; i < burst.size(); ++i) {
        const Asked& asked = burst[i];
        if (table_.find(asked.name, places_[i], changes)) continue;
        inserted += table_
                        .insert(asked.name, remembered_of(asked.flow), FlowState::established,
                                now + 900'000, now)
                        .done;
    }
    return inserted;
}

}  // namespace weir::bench
