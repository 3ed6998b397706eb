// SPDX-License-Identifier: BSD-3-Clause
#include "lib/flow/table.hh"

#include <algorithm>
#include <cstring>

namespace weir {
namespace {

FlowRecord record_of(const NarrowKey& key) {
    FlowRecord record{.client_port = key.port, .endpoint = key.endpoint};
    std::memcpy(record.client.data(), &key.client, sizeof key.client);
    return record;
}
FlowRecord record_of(const WideKey& key) {
    FlowRecord record{.client_port = key.port, .endpoint = key.endpoint};
    std::memcpy(record.client.data(), key.client.data(), sizeof key.client);
    return record;
}
FlowRecord record_of(const RangeKey& key) {
    FlowRecord record{.client_port = key.port,
                      .destination_port = key.destination_port,
                      .endpoint = key.endpoint};
    std::memcpy(record.client.data(), key.client.data(), sizeof key.client);
    return record;
}

// One step of a dump in one table: at most `most` entries.
template <typename Table>
std::size_t copy_from(const Table& table, std::uint32_t& cursor, std::span<FlowRecord> out,
                      Tick now) {
    constexpr std::size_t most = 64;
    typename Table::Shown shown[most];
    const std::size_t copied =
        table.copy(cursor, std::span(shown).first(std::min(most, out.size())), now);
    for (std::size_t i = 0; i < copied; ++i) {
        out[i] = record_of(shown[i].key);
        out[i].state = shown[i].value.state;
        out[i].backend = shown[i].value.backend;
        out[i].expires = last_tick(shown[i].value.expiry, now);
    }
    return copied;
}

}  // namespace

std::size_t FlowTable::footprint(const FlowSizes& sizes) noexcept {
    const std::size_t narrow = NarrowTable::footprint(sizes.narrow),
                      wide = WideTable::footprint(sizes.wide),
                      ranges = RangeTable::footprint(sizes.ranges);
    return narrow != 0 && wide != 0 && ranges != 0 ? narrow + wide + ranges : 0;
}

FlowTable::FlowTable(std::span<std::byte> region, const FlowSizes& sizes,
                     const HashSecret& secret) noexcept
    : narrow_(region, sizes.narrow, secret),
      wide_(region.subspan(NarrowTable::footprint(sizes.narrow)), sizes.wide, secret),
      ranges_(
          region.subspan(NarrowTable::footprint(sizes.narrow) + WideTable::footprint(sizes.wide)),
          sizes.ranges, secret) {}

FlowTable::Inserted FlowTable::insert(const FlowName& name, std::uint32_t backend, FlowState state,
                                      Tick expires, Tick now) noexcept {
    return with(*this, name, [&](auto& table, const auto& own) {
        const auto inserted = table.insert(own, {backend, state, expiry_of(expires)}, now);
        return Inserted{static_cast<bool>(inserted.place), inserted.replaced, inserted.old_backend};
    });
}

std::size_t FlowTable::copy(std::uint32_t& cursor, std::span<FlowRecord> out,
                            Tick now) const noexcept {
    const auto part = [&](const auto& table, std::uint32_t first) {
        std::uint32_t own = cursor - first;
        const std::size_t copied = copy_from(table, own, out, now);
        cursor = first + own;
        return copied;
    };
    const std::uint32_t wide_first = narrow_.lines(), ranges_first = wide_first + wide_.lines();
    if (cursor < wide_first) return part(narrow_, 0);
    if (cursor < ranges_first) return part(wide_, wide_first);
    return part(ranges_, ranges_first);
}

std::uint32_t FlowTable::size() const noexcept {
    return narrow_.size() + wide_.size() + ranges_.size();
}

std::uint32_t FlowTable::capacity() const noexcept {
    return narrow_.capacity();
}

}  // namespace weir
