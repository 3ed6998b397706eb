// SPDX-License-Identifier: BSD-3-Clause
#include "perf/bench/flows.hh"

#include <cstring>

#include "lib/flow/touch.hh"

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

void Flows::fetch_lines(std::span<const Asked> burst, Fetch fetch) const noexcept {
    if (fetch == Fetch::prefetches) {
        for (const Asked& asked : burst)
            table_.prefetch(asked.name);
    } else if (family_ == Family::v4) {
        const NarrowTable::Lines table = table_.narrow_lines();
        for (const Asked& asked : burst)
            touch(table.line(asked.name.home).header);
    } else {
        const WideTable::Lines table = table_.wide_lines();
        for (const Asked& asked : burst) {
            touch(table.line(asked.name.home).header);
            touch(table.companion(asked.name.home).ports[0]);
        }
    }
}

// As the pipeline does: lines for all, then where each entry lies; those that may lie in another
// line come last. No flow comes twice, so what `use` inserts is none of the others.
template <typename Use>
void Flows::find_all(std::span<const Asked> burst, Fetch fetch, Use&& use) noexcept {
    fetch_lines(burst, fetch);
    std::size_t open = 0;
    for (std::size_t i = 0; i < burst.size(); ++i) {
        places_[i] = table_.look(burst[i].name, now);
        open_[open] = static_cast<std::uint8_t>(i);
        open += places_[i].is_open() ? 1 : 0;
    }
    for (std::size_t i = 0; i < burst.size(); ++i) {
        if (places_[i].is_open()) continue;
        use(burst[i], places_[i]);
    }
    for (std::size_t next = 0; next < open; ++next) {
        const Asked& asked = burst[open_[next]];
        use(asked, table_.finish(asked.name, places_[open_[next]]));
    }
}

unsigned Flows::look_up(std::span<const Asked> burst, Fetch fetch, std::uint64_t& sum) noexcept {
    unsigned found = 0;
    find_all(burst, fetch, [&](const Asked& asked, LinePlace place) {
        if (!place || is_past(table_.entry(asked.name, place).expiry(), now)) return;
        ++found;
        sum += table_.entry(asked.name, place).backend();
    });
    return found;
}

unsigned Flows::insert(std::span<const Asked> burst) noexcept {
    const FlowValue value{0, FlowState::established, expiry_of(now + 900'000)};
    unsigned inserted = 0;
    find_all(burst, Fetch::loads, [&](const Asked& asked, LinePlace place) {
        if (place) return;
        FlowValue own = value;
        own.backend = remembered_of(asked.flow);
        inserted += table_.insert(asked.name, own, now).done ? 1 : 0;
    });
    return inserted;
}

}  // namespace weir::bench
