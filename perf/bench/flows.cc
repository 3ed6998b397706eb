// SPDX-License-Identifier: BSD-3-Clause
#include "perf/bench/flows.hh"

#include <bit>
#include <cstring>

#include "lib/dataplane/lanes.hh"

namespace weir::bench {

namespace {

constexpr Tick now{1000};
constexpr FlowTimeouts timeouts{};

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

// As the pipeline does: lines for all, then where each entry lies; those that may lie in another
// line come last. No flow comes twice, so what `use` inserts is none of the others.
template <typename Use>
void Flows::find_all(std::span<const Asked> burst, Use&& use) noexcept {
    for (const Asked& asked : burst)
        table_.prefetch(asked.name);
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

bool Flows::read(const Asked& asked, LinePlace place, std::uint64_t& sum) noexcept {
    if (!place || is_past(table_.entry(asked.name, place).expiry(), now)) return false;
    sum += table_.entry(asked.name, place).backend();
    return true;
}

unsigned Flows::look_up(std::span<const Asked> burst, std::uint64_t& sum) noexcept {
    unsigned found = 0;
    find_all(burst, [&](const Asked& asked, LinePlace place) {
        found += read(asked, place, sum) ? 1 : 0;
    });
    return found;
}

void Flows::prepare(std::span<const Asked> burst) noexcept {
    for (std::size_t i = 0; i < burst.size(); ++i) {
        burst_.set_name(i, burst[i].name);
        burst_.tcp_flags[i] = tcp_ack;
    }
}

lanes::Received Flows::group_at(std::size_t first, std::size_t count) const noexcept {
    const BurstMask group = first_bits(count) & (first_bits(lanes::group_size) << first);
    return family_ == Family::v4 ? lanes::Received{.narrow = group}
                                 : lanes::Received{.wide = group};
}

unsigned Flows::look_up_in_lanes(std::span<const Asked> burst, std::uint64_t& sum) noexcept {
    const Deadlines deadlines(timeouts, now);
    unsigned found = 0;
    std::size_t open = 0;
    lanes::fetch(table_, burst_, group_at(0, burst.size()));
    for (std::size_t first = 0; first < burst.size(); first += lanes::group_size) {
        const lanes::Received group = group_at(first, burst.size());
        if (const std::size_t next = first + lanes::group_size; next < burst.size())
            lanes::fetch(table_, burst_, group_at(next, burst.size()));
        const BurstMask settled = lanes::settle(table_, burst_, group, deadlines).known;
        for (BurstMask rest = settled; rest != 0; rest &= rest - 1)
            sum += burst_.backends[std::countr_zero(rest)];
        found += static_cast<unsigned>(std::popcount(settled));
        for (BurstMask rest = (group.narrow | group.wide) & ~settled; rest != 0; rest &= rest - 1) {
            const auto i = static_cast<std::size_t>(std::countr_zero(rest));
            places_[i] = table_.look(burst[i].name, now);
            if (places_[i].is_open())
                open_[open++] = static_cast<std::uint8_t>(i);
            else
                found += read(burst[i], places_[i], sum) ? 1 : 0;
        }
    }
    for (std::size_t next = 0; next < open; ++next) {
        const std::size_t i = open_[next];
        found += read(burst[i], table_.finish(burst[i].name, places_[i]), sum) ? 1 : 0;
    }
    return found;
}

unsigned Flows::insert(std::span<const Asked> burst) noexcept {
    const FlowValue value{0, FlowState::established,
                          Deadlines(timeouts, now).first(FlowState::established)};
    unsigned inserted = 0;
    find_all(burst, [&](const Asked& asked, LinePlace place) {
        if (place) return;
        FlowValue own = value;
        own.backend = remembered_of(asked.flow);
        inserted += table_.insert(asked.name, own, now).done ? 1 : 0;
    });
    return inserted;
}

}  // namespace weir::bench
