// SPDX-License-Identifier: BSD-3-Clause
#include "lib/flow/table.hh"

#include <algorithm>
#include <cstring>
#include <functional>

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
                      .endpoint = key.endpoint,
                      .protocol = key.protocol};
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

// Bytes of each table's part of the region. One place of five is in reserve, so the largest table
// can pay with a few of its lines for those that are a 64th of it or less, and for what is too much
// for whole huge pages: 5 % of its lines at the worst.
struct Parts {
    std::size_t narrow, wide, ranges;
    [[nodiscard]] std::size_t total() const { return narrow + wide + ranges; }
};

Parts parts_of(const FlowSizes& sizes) {
    constexpr std::size_t huge_page = std::size_t{2} << 20, large = 64 * huge_page;
    Parts parts{NarrowTable::footprint(sizes.narrow), WideTable::footprint(sizes.wide),
                RangeTable::footprint(sizes.ranges)};
    if (parts.narrow == 0 || parts.wide == 0 || parts.ranges == 0) return {};
    std::size_t& largest =
        std::max({std::ref(parts.narrow), std::ref(parts.wide), std::ref(parts.ranges)}).get();
    std::size_t saved = 0;
    for (const std::size_t part : {parts.narrow, parts.wide, parts.ranges})
        if (part <= largest / 64) saved += part;
    const std::size_t total = parts.total() - saved;
    if (total >= large) saved += total % huge_page;
    largest -= saved;
    return parts;
}

}  // namespace

std::size_t FlowTable::footprint(const FlowSizes& sizes) noexcept {
    return parts_of(sizes).total();
}

FlowTable::FlowTable(std::span<std::byte> region, const FlowSizes& sizes,
                     const HashSecret& secret) noexcept
    : narrow_(region.first(parts_of(sizes).narrow), sizes.narrow, secret),
      wide_(region.subspan(parts_of(sizes).narrow, parts_of(sizes).wide), sizes.wide, secret),
      ranges_(region.subspan(parts_of(sizes).narrow + parts_of(sizes).wide, parts_of(sizes).ranges),
              sizes.ranges, secret) {}

FlowName FlowTable::name(const FlowWords& key, std::uint16_t endpoint,
                         bool several_ports) const noexcept {
    FlowName result;
    const auto port = static_cast<std::uint16_t>(key.rest);
    if (several_ports) {
        const RangeTable::Name own = ranges_.name({{key.source, key.source_rest},
                                                   port,
                                                   static_cast<std::uint16_t>(key.rest >> 16),
                                                   endpoint,
                                                   static_cast<std::uint8_t>(key.rest >> 32)});
        result.wanted = own.wanted;
        result.home = own.home;
        result.kind = FlowName::Kind::range;
        result.rest[0] = own.rest.client;
        result.rest[1] = own.rest.ports;
    } else if (key.is_v4()) {
        name(result, static_cast<std::uint32_t>(key.source), port, endpoint);
    } else {
        name(result, {key.source, key.source_rest}, port, endpoint);
    }
    return result;
}

FlowTable::Inserted FlowTable::insert(const FlowName& name, const FlowValue& value,
                                      Tick now) noexcept {
    return with(*this, name, [&](auto& table, const auto& own) {
        const auto inserted = table.insert(own, value, now);
        return Inserted{static_cast<bool>(inserted.place), inserted.replaced, inserted.moved,
                        inserted.old_backend};
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
    return narrow_.capacity() + wide_.capacity() + ranges_.capacity();
}

}  // namespace weir
