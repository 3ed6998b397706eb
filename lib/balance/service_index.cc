// SPDX-License-Identifier: BSD-3-Clause
#include "lib/balance/service_index.hh"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <map>
#include <set>
#include <tuple>
#include <utility>

namespace weir {
namespace {

// Protocols with ports, in the order of their lists.
constexpr std::array<std::uint8_t, 3> with_ports{proto_tcp, proto_udp, proto_sctp};

constexpr std::array<std::uint8_t, 5> with_singles{proto_tcp, proto_udp, proto_sctp, proto_icmp,
                                                   proto_icmp6};

// The place in `with_ports`; its size: none.
std::size_t list_of(std::uint8_t protocol) noexcept {
    return static_cast<std::size_t>(std::ranges::find(with_ports, protocol) - with_ports.begin());
}

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

bool speaks(const ServiceTable& service, std::uint8_t protocol) {
    return weir::speaks(service.key, service.forward, protocol);
}

// Smaller is more specific.
auto rank(const ServiceKey& key) {
    return std::tuple(key.last_port - key.first_port, key.protocol == ServiceProtocol::any,
                      key.first_port);
}

}  // namespace

// What build() puts together. Services are named by their place.
class ServiceIndex::Builder {
public:
    explicit Builder(std::span<const ServiceTable* const> services) : services_(services) {}

    void add_own(std::span<const IpAddress> own_addresses) {
        addresses_.slots.resize(slots_for(services_.size() + own_addresses.size()));
        for (const IpAddress& address : own_addresses)
            address_slot(address, AddressRole::own);
    }
    void add_services();
    [[nodiscard]] Singles<SingleV4> singles_v4() const { return table_of(v4_); }
    [[nodiscard]] Singles<SingleV6> singles_v6() const { return table_of(v6_); }
    [[nodiscard]] Addresses take_addresses() { return std::move(addresses_); }

private:
    AddressSlot& address_slot(const IpAddress& address, AddressRole role);
    void find_slow();
    void add_single(std::uint32_t place, std::uint8_t protocol);
    StretchList flatten(std::vector<std::uint32_t> ranges, std::uint8_t protocol);
    template <typename Single>
    [[nodiscard]] Singles<Single> table_of(const std::vector<Single>& all) const;

    std::span<const ServiceTable* const> services_;
    // UDP ports of services that find_single() does not tell.
    std::set<std::pair<IpAddress, std::uint16_t>> slow_;
    Addresses addresses_;
    std::vector<SingleV4> v4_;
    std::vector<SingleV6> v6_;
};

ServiceIndex::AddressSlot& ServiceIndex::Builder::address_slot(const IpAddress& address,
                                                               AddressRole role) {
    AddressSlot& slot = *probe(
        addresses_.slots, hash(address, 0),
        [](const AddressSlot& s) { return s.role == AddressRole::foreign; },
        [&](const AddressSlot& s) { return s.address == address; });
    if (slot.role == AddressRole::foreign) slot = {address, role, {}, ServiceHit::none};
    return slot;
}

void ServiceIndex::Builder::find_slow() {
    for (const ServiceTable* service : services_) {
        const ServiceKey& key = service->key;
        if (service->quic != nullptr && single_port(key)) slow_.emplace(key.vip, key.first_port);
    }
}

void ServiceIndex::Builder::add_single(std::uint32_t place, std::uint8_t protocol) {
    const ServiceTable& service = *services_[place];
    const bool is_slow =
        protocol == proto_udp && slow_.contains({service.key.vip, service.key.first_port});
    if (is_slow) return;
    const ServiceHit hit{place, service.endpoint(protocol),
                         static_cast<std::uint16_t>(index(service.id))};
    const auto [low, high] = words_of(service.key.vip);
    if (service.key.vip.family == Family::v4) {
        v4_.emplace_back(static_cast<std::uint32_t>(low), protocol, service.key.first_port).hit =
            hit;
    } else {
        v6_.emplace_back(low, high, protocol, service.key.first_port).hit = hit;
    }
}

// Many services find their place at the cost of memory and of the caches.
std::size_t single_slots_for(std::size_t entries) {
    constexpr std::size_t roomy = 16'384;
    return std::max(slots_for(entries), std::bit_ceil(std::min(8 * entries, roomy)));
}

// Of several factors the one that leaves the fewest entries without the slot that their hash names:
// packets for these are looked up one by one. Of up to a hundred entries one is left at most.
template <typename Single>
std::uint64_t best_factor(const std::vector<Single>& all, std::size_t size, unsigned shift) {
    const std::size_t tries = std::clamp<std::size_t>(65'536 / (all.size() + 1), 1, 256);
    std::uint64_t best = 0;
    std::size_t least = all.size() + 1;
    std::vector<std::size_t> taken(size, tries);  // by which try
    for (std::size_t round = 0; round < tries && least != 0; ++round) {
        const std::uint64_t factor = (round + 1) * 0x9e3779b97f4a7c15 * 0xd6e8feb86659fd93 | 1;
        std::size_t displaced = 0;
        for (const Single& one : all)
            displaced += std::exchange(taken[one.hash(factor) >> shift], round) == round ? 1 : 0;
        if (displaced < least) {
            least = displaced;
            best = factor;
        }
    }
    return best;
}

template <typename Single>
ServiceIndex::Singles<Single> ServiceIndex::Builder::table_of(
    const std::vector<Single>& all) const {
    const std::size_t size = single_slots_for(all.size());
    const auto shift = static_cast<unsigned>(64 - std::countr_zero(size));
    const std::uint64_t factor = best_factor(all, size, shift);
    auto slots = std::make_shared<std::vector<Single>>(size);
    for (const Single& one : all) {
        Single& slot = *probe(
            *slots, one.hash(factor) >> shift, [](const Single& s) { return s.empty(); },
            [&](const Single& s) { return s.same_key(one); });
        const bool better = slot.empty() || rank(services_[one.hit.place]->key) <
                                                rank(services_[slot.hit.place]->key);
        if (better) slot = one;
    }
    return {slots->data(), size - 1, factor, shift, slots};
}

// Cuts overlapping ranges of one VIP into disjoint stretches, each with its most specific service.
ServiceIndex::StretchList ServiceIndex::Builder::flatten(std::vector<std::uint32_t> ranges,
                                                         std::uint8_t protocol) {
    const auto key = [&](std::size_t i) -> const ServiceKey& { return services_[ranges[i]]->key; };
    std::erase_if(ranges,
                  [&](std::uint32_t place) { return !speaks(*services_[place], protocol); });
    using Edge = std::pair<std::uint32_t, std::size_t>;  // port, number of the range
    std::vector<Edge> starts, ends;
    for (std::size_t i = 0; i < ranges.size(); ++i) {
        starts.emplace_back(key(i).first_port, i);
        ends.emplace_back(key(i).last_port + 1u, i);
    }
    std::ranges::sort(starts);
    std::ranges::sort(ends);

    std::vector<Stretch>& stretches = addresses_.stretches;
    const auto begin = static_cast<std::uint32_t>(stretches.size());
    const auto ranked = [&](std::size_t i) { return std::pair(rank(key(i)), i); };
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
        stretches.push_back({static_cast<std::uint16_t>(port), static_cast<std::uint16_t>(next - 1),
                             ranges[open.begin()->second]});
    }
    return {begin, static_cast<std::uint32_t>(stretches.size()) - begin};
}

void ServiceIndex::Builder::add_services() {
    find_slow();
    std::map<IpAddress, std::vector<std::uint32_t>> ranges;
    for (std::uint32_t place = 0; place < services_.size(); ++place) {
        const ServiceKey& key = services_[place]->key;
        address_slot(key.vip, AddressRole::vip);
        if (!single_port(key) || services_[place]->quic != nullptr) {
            ranges[key.vip].push_back(place);
            continue;
        }
        for (const std::uint8_t protocol : with_singles) {
            if (speaks(*services_[place], protocol)) add_single(place, protocol);
        }
    }
    for (const auto& [vip, list] : ranges) {
        AddressSlot& slot = address_slot(vip, AddressRole::vip);
        for (std::size_t i = 0; i < with_ports.size(); ++i)
            slot.stretches[i] = flatten(list, with_ports[i]);
        const auto all = std::ranges::find_if(list, [&](std::uint32_t place) {
            return takes_all_protocols(services_[place]->key, services_[place]->forward);
        });
        if (all != list.end()) slot.all = *all;
    }
}

ServiceIndex ServiceIndex::build(std::span<const ServiceTable* const> services,
                                 std::span<const IpAddress> own_addresses,
                                 std::span<const ProbeTarget> probe_targets) {
    Builder builder(services);
    builder.add_own(own_addresses);
    builder.add_services();
    ServiceIndex index;
    index.v4_ = builder.singles_v4();
    index.v6_ = builder.singles_v6();
    index.addresses_ = std::make_shared<const Addresses>(builder.take_addresses());
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

const ServiceIndex::AddressSlot* ServiceIndex::find_address(
    const IpAddress& address) const noexcept {
    const AddressSlot* slot = probe(
        addresses_->slots, hash(address, 0),
        [](const AddressSlot& s) { return s.role == AddressRole::foreign; },
        [&](const AddressSlot& s) { return s.address == address; });
    return slot->role == AddressRole::foreign ? nullptr : slot;
}

ServiceMatch ServiceIndex::find(const IpAddress& destination, std::uint8_t protocol,
                                std::uint16_t port) const noexcept {
    if (addresses_ == nullptr) return {};
    const std::size_t number = list_of(protocol);
    const bool has_ports = number < with_ports.size();
    const bool has_singles = std::ranges::find(with_singles, protocol) != with_singles.end();
    if (has_singles) {
        const auto [low, high] = words_of(destination);
        const ServiceHit hit = destination.family == Family::v4
                                   ? find_single(static_cast<std::uint32_t>(low), protocol, port)
                                   : find_single(low, high, protocol, port);
        if (hit) return {AddressRole::vip, hit.place};
    }
    const AddressSlot* slot = find_address(destination);
    if (slot == nullptr) return {};
    if (!has_ports) {
        const bool none = has_singles || slot->all == ServiceHit::none;
        return none ? ServiceMatch{slot->role} : ServiceMatch{AddressRole::vip, slot->all};
    }
    const StretchList list = slot->stretches[number];
    const std::span stretches = std::span(addresses_->stretches).subspan(list.begin, list.count);
    const auto after = std::ranges::upper_bound(stretches, port, {}, &Stretch::first);
    if (after == stretches.begin() || (after - 1)->last < port) return {slot->role};
    return {AddressRole::vip, (after - 1)->place};
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
