// SPDX-License-Identifier: BSD-3-Clause
// PrefixTable: longest-prefix match for thousands of prefixes of both families.
// Immutable once built; any thread may look up.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <utility>
#include <vector>

#include "lib/wire/address.hh"

namespace weir {

// The network of a prefix: its address with the bits behind the length cleared.
[[nodiscard]] inline IpAddress network_of(const IpPrefix& prefix) noexcept {
    IpAddress network = prefix.address;
    for (std::size_t i = 0; i < network.bytes.size(); ++i) {
        const int bits = int{prefix.length} - static_cast<int>(8 * i);
        if (bits >= 8) continue;
        const unsigned mask = bits <= 0 ? 0 : 0xffu << (8 - bits);
        network.bytes[i] = static_cast<std::uint8_t>(network.bytes[i] & mask);
    }
    return network;
}

template <typename Value>
class PrefixTable {
public:
    using Item = std::pair<IpPrefix, Value>;

    PrefixTable() = default;
    // Of equal prefixes the first one counts.
    explicit PrefixTable(std::vector<Item> items) {
        for (Item& item : items)
            item.first.address = network_of(item.first);
        std::ranges::stable_sort(
            items, [](const Item& a, const Item& b) { return key(a.first) < key(b.first); });
        for (Item& item : items)
            if (items_.empty() || items_.back().first != item.first)
                items_.push_back(std::move(item));
        for (std::size_t i = 0; i < items_.size(); ++i) {
            const IpPrefix& prefix = items_[i].first;
            std::vector<Group>& groups = of(prefix.address.family);
            if (groups.empty() || groups.back().length != prefix.length)
                groups.push_back({prefix.length, i, i});
            groups.back().end = i + 1;
        }
    }

    // The item of the longest prefix that holds `address`; nullptr: none does.
    // Cost: a bisection for each length that the family has prefixes of.
    [[nodiscard]] const Item* find(const IpAddress& address) const noexcept {
        for (const Group& group : groups_[address.family == Family::v4 ? 0 : 1]) {
            const IpAddress network = network_of({address, group.length});
            const Item* begin = items_.data() + group.begin;
            const Item* end = items_.data() + group.end;
            const Item* at = std::lower_bound(begin, end, network,
                                              [](const Item& item, const IpAddress& wanted) {
                                                  return item.first.address.bytes < wanted.bytes;
                                              });
            if (at != end && at->first.address == network) return at;
        }
        return nullptr;
    }

    [[nodiscard]] bool operator==(const PrefixTable& other) const { return items_ == other.items_; }

private:
    struct Group {
        std::uint8_t length = 0;
        std::size_t begin = 0, end = 0;  // in items_
    };
    static auto key(const IpPrefix& prefix) {
        return std::tuple(prefix.address.family, 128 - prefix.length, prefix.address.bytes);
    }
    std::vector<Group>& of(Family family) { return groups_[family == Family::v4 ? 0 : 1]; }

    std::vector<Item> items_;                   // by family, then longest first, then by address
    std::array<std::vector<Group>, 2> groups_;  // IPv4, IPv6; longest first
};

}  // namespace weir
