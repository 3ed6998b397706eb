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
      memory_(FlowTable::footprint(flows)),
      table_(memory_.bytes(), flows) {}

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
    return {key, flow_hash(key, secret_), flow};
}

unsigned Flows::look_up(std::span<const Asked> burst, std::uint64_t& sum) noexcept {
    for (const Asked& asked : burst)
        table_.prefetch(asked.hash);
    for (const Asked& asked : burst)
        table_.prefetch_entry(asked.hash);
    unsigned found = 0;
    for (const Asked& asked : burst) {
        const FlowEntry* entry = table_.find(asked.key, asked.hash, now);
        if (entry == nullptr) continue;
        ++found;
        sum += entry->backend;
    }
    return found;
}

unsigned Flows::insert(std::span<const Asked> burst) noexcept {
    for (const Asked& asked : burst)
        table_.prefetch(asked.hash);
    for (const Asked& asked : burst)
        table_.prefetch_entry(asked.hash);
    unsigned inserted = 0;
    for (const Asked& asked : burst) {
        if (table_.find(asked.key, asked.hash, now) != nullptr) continue;
        FlowEntry* entry = table_.insert(asked.key, asked.hash, now).entry;
        if (entry == nullptr) continue;
        entry->backend = remembered_of(asked.flow);
        entry->state = FlowState::established;
        entry->expires = now + 900'000;
        ++inserted;
    }
    return inserted;
}

}  // namespace weir::bench
