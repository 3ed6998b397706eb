// SPDX-License-Identifier: BSD-3-Clause
#include "lib/balance/service_index.hh"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <map>
#include <set>
#include <tuple>

namespace weir {
namespace {

constexpr std::uint8_t tcp = static_cast<std::uint8_t>(ServiceProtocol::tcp);
constexpr std::uint8_t udp = static_cast<std::uint8_t>(ServiceProtocol::udp);

// Two multiplications and a fold of the high bits. Not keyed: what is stored comes from the
// configuration alone, so no sender of packets can make a chain longer.
std::size_t hash(const IpAddress& address, std::uint32_t rest) noexcept {
    std::uint64_t words[2];
    std::memcpy(words, address.bytes.data(), sizeof words);
    std::uint64_t mixed = (words[0] ^ rest) * 0x9e3779b97f4a7c15;
    mixed = (mixed ^ (mixed >> 32) ^ words[1]) * 0xd6e8feb86659fd93;
    return static_cast<std::size_t>(mixed ^ (mixed >> 32));
}

// The address as two words.
std::array<std::uint64_t, 2> words_of(const IpAddress& address) noexcept {
    std::array<std::uint64_t, 2> words;
    std::memcpy(words.data(), address.bytes.data(), sizeof words);
    return words;
}

// The slot of `key`, or the empty one where it belongs. Precondition: a power of two of slots, not
// all in use.
template <typename Slots, typename Empty, typename Equal>
auto* probe(Slots& slots, std::size_t hash, Empty empty, Equal equal) noexcept {
    const std::size_t mask = slots.size() - 1;
    for (std::size_t i = hash & mask;; i = (i + 1) & mask) {
        if (empty(slots[i]) || equal(slots[i])) return &slots[i];
    }
}

std::size_t slots_for(std::size_t entries) {
    return std::bit_ceil(2 * entries + 2);
}

bool single_port(const ServiceKey& key) {
    return key.first_port == key.last_port;
}

bool speaks(const ServiceKey& key, ServiceProtocol protocol) {
    return key.protocol == protocol || key.protocol == ServiceProtocol::any;
}

// Smaller is more specific.
auto rank(const ServiceKey& key) {
    return std::tuple(key.last_port - key.first_port, key.protocol == ServiceProtocol::any,
                      key.first_port);
}

}  // namespace

ServiceIndex::AddressSlot& ServiceIndex::place(std::vector<AddressSlot>& addresses,
                                               const IpAddress& address, AddressRole role) {
    AddressSlot& slot = *probe(
        addresses, hash(address, 0),
        [](const AddressSlot& s) { return s.role == AddressRole::foreign; },
        [&](const AddressSlot& s) { return s.address == address; });
    if (slot.role == AddressRole::foreign) slot = {address, role, {}, {}};
    return slot;
}

ServiceIndex::Single ServiceIndex::single(const ServiceKey& key, ServiceProtocol protocol,
                                          const ServiceTable* service) noexcept {
    const auto number = static_cast<std::uint8_t>(protocol);
    const auto [low, high] = words_of(key.vip);
    return {low, high, single_rest(key.vip.family, number, key.first_port), service};
}

// Where `wanted` stands or belongs.
ServiceIndex::Single& ServiceIndex::place_of(const Single& wanted) noexcept {
    return *probe(
        singles_, wanted.hash(), [](const Single& s) { return s.rest == 0; },
        [&](const Single& s) { return s.same_key(wanted); });
}

void ServiceIndex::place(const ServiceKey& key, ServiceProtocol protocol,
                         const ServiceTable* service) {
    const Single wanted = single(key, protocol, service);
    Single& slot = place_of(wanted);
    const bool better = slot.rest == 0 || rank(key) < rank(slot.service->key);
    if (better) slot = wanted;
}

// Cuts overlapping ranges of one VIP into disjoint stretches, each with its most specific service.
ServiceIndex::StretchList ServiceIndex::flatten(std::vector<const ServiceTable*> ranges,
                                                ServiceProtocol protocol) {
    std::erase_if(ranges, [&](const ServiceTable* s) { return !speaks(s->key, protocol); });
    using Edge = std::pair<std::uint32_t, std::size_t>;  // port, number of the range
    std::vector<Edge> starts, ends;
    for (std::size_t i = 0; i < ranges.size(); ++i) {
        starts.emplace_back(ranges[i]->key.first_port, i);
        ends.emplace_back(ranges[i]->key.last_port + 1u, i);
    }
    std::ranges::sort(starts);
    std::ranges::sort(ends);

    const auto begin = static_cast<std::uint32_t>(stretches_.size());
    const auto ranked = [&](std::size_t i) { return std::pair(rank(ranges[i]->key), i); };
    std::set<decltype(ranked(0))> open;
    for (std::size_t s = 0, e = 0; e < ends.size();) {
        const std::uint32_t port =
            s < starts.size() ? std::min(starts[s].first, ends[e].first) : ends[e].first;
        for (; s < starts.size() && starts[s].first == port; ++s)
            open.insert(ranked(starts[s].second));
        for (; e < ends.size() && ends[e].first == port; ++e)
            open.erase(ranked(ends[e].second));
        if (open.empty()) continue;
        const std::uint32_t next =
            s < starts.size() ? std::min(starts[s].first, ends[e].first) : ends[e].first;
        stretches_.push_back({static_cast<std::uint16_t>(port),
                              static_cast<std::uint16_t>(next - 1), ranges[open.begin()->second]});
    }
    return {begin, static_cast<std::uint32_t>(stretches_.size()) - begin};
}

ServiceIndex ServiceIndex::build(std::span<const ServiceTable* const> services,
                                 std::span<const IpAddress> own_addresses,
                                 std::span<const ProbeTarget> probe_targets) {
    ServiceIndex index;
    index.singles_.resize(slots_for(2 * services.size()));
    std::vector<AddressSlot> addresses(slots_for(services.size() + own_addresses.size()));

    for (const IpAddress& address : own_addresses)
        place(addresses, address, AddressRole::own);
    std::map<IpAddress, std::vector<const ServiceTable*>> ranges;
    for (const ServiceTable* service : services) {
        const ServiceKey& key = service->key;
        place(addresses, key.vip, AddressRole::vip);
        if (!single_port(key)) {
            ranges[key.vip].push_back(service);
            continue;
        }
        for (const ServiceProtocol protocol : {ServiceProtocol::tcp, ServiceProtocol::udp}) {
            if (speaks(key, protocol)) index.place(key, protocol, service);
        }
    }
    for (const auto& [vip, list] : ranges) {
        AddressSlot& slot = place(addresses, vip, AddressRole::vip);
        slot.tcp = index.flatten(list, ServiceProtocol::tcp);
        slot.udp = index.flatten(list, ServiceProtocol::udp);
    }
    index.addresses_ = std::make_shared<const std::vector<AddressSlot>>(std::move(addresses));
    index.probes_ = std::make_shared<const std::vector<ProbeTarget>>(table_of(probe_targets));
    return index;
}

std::vector<ProbeTarget> ServiceIndex::table_of(std::span<const ProbeTarget> probe_targets) {
    std::vector<ProbeTarget> table(slots_for(probe_targets.size()));
    for (const ProbeTarget& target : probe_targets) {
        if (target.port == 0) continue;
        *probe(
            table, hash(target.address, target.port),
            [](const ProbeTarget& t) { return t.port == 0; },
            [&](const ProbeTarget& t) { return t == target; }) = target;
    }
    return table;
}

void ServiceIndex::replace(const ServiceTable* old, const ServiceTable* now) {
    const ServiceKey& key = now->key;
    if (!single_port(key)) {
        const AddressSlot& slot = *find_address(key.vip);
        for (const StretchList& list : {slot.tcp, slot.udp}) {
            for (Stretch& stretch : std::span(stretches_).subspan(list.begin, list.count))
                if (stretch.service == old) stretch.service = now;
        }
        return;
    }
    for (const ServiceProtocol protocol : {ServiceProtocol::tcp, ServiceProtocol::udp}) {
        Single& slot = place_of(single(key, protocol, now));
        if (slot.service == old) slot.service = now;
    }
}

const ServiceIndex::AddressSlot* ServiceIndex::find_address(
    const IpAddress& address) const noexcept {
    const AddressSlot* slot = probe(
        *addresses_, hash(address, 0),
        [](const AddressSlot& s) { return s.role == AddressRole::foreign; },
        [&](const AddressSlot& s) { return s.address == address; });
    return slot->role == AddressRole::foreign ? nullptr : slot;
}

ServiceMatch ServiceIndex::find(const IpAddress& destination, std::uint8_t protocol,
                                std::uint16_t port) const noexcept {
    if (singles_.empty()) return {};
    if (protocol == tcp || protocol == udp) {
        const auto [low, high] = words_of(destination);
        const ServiceTable* single = find_single(destination.family, low, high, protocol, port);
        if (single != nullptr) return {AddressRole::vip, single};
    }
    const AddressSlot* slot = find_address(destination);
    if (slot == nullptr) return {};
    const StretchList list = protocol == tcp   ? slot->tcp
                             : protocol == udp ? slot->udp
                                               : StretchList{};
    const std::span stretches{stretches_.data() + list.begin, list.count};
    const auto after = std::ranges::upper_bound(stretches, port, {}, &Stretch::first);
    if (after == stretches.begin() || (after - 1)->last < port) return {slot->role, nullptr};
    return {AddressRole::vip, (after - 1)->service};
}

bool ServiceIndex::is_probe_reply(const IpAddress& source,
                                  std::uint16_t source_port) const noexcept {
    if (probes_ == nullptr || source_port == 0) return false;
    return probe(
               *probes_, hash(source, source_port),
               [](const ProbeTarget& t) { return t.port == 0; },
               [&](const ProbeTarget& t) { return t.port == source_port && t.address == source; })
               ->port != 0;
}

}  // namespace weir
