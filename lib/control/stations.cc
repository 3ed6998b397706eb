// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/stations.hh"

#include <utility>

namespace weir {

Stations::Stations(Setup setup)
    : setup_(std::move(setup)), book_(setup_.limits), timer_(setup_.base, [this] { look(); }) {}

void Stations::set_active(bool active) {
    if (active && !active_) timer_.set(setup_.period);
    active_ = active;
    if (active) return;
    timer_.cancel();
    for (const Key& key : wanted()) {
        book_.forget(key);
        setup_.forget(key);
    }
    known_.clear();
}

void Stations::look() {
    timer_.set(setup_.period);
    const auto now = Clock::now();
    read_mailboxes(now);
    if (now - expired_ >= setup_.expiry) expire(now);
    tell(now);
}

// Bounded: workers fill them while they are read.
void Stations::read_mailboxes(Clock::time_point now) {
    for (StationMailbox* mailbox : setup_.mailboxes) {
        for (std::uint32_t i = 0; i < StationMailbox::capacity; ++i) {
            const auto station = mailbox->take();
            if (!station) break;
            const Key key{station->port, station->address};
            if (!setup_.is_next_hop(key) && book_.ask(key, now)) setup_.want(key);
        }
    }
}

void Stations::expire(Clock::time_point now) {
    expired_ = now;
    for (const Key& key : book_.expire(now, setup_.is_usable)) {
        setup_.forget(key);
        if (known_.erase(key) != 0) changed_ = true;
    }
}

bool Stations::learn(const Key& key, const MacAddress& mac) {
    if (!book_.contains(key)) return false;
    const auto now = Clock::now();
    if (const auto left = book_.answer(key, now)) {
        setup_.forget(*left);
        known_.erase(*left);
    }
    known_[key] = mac;
    changed_ = true;
    tell(now);
    return true;
}

// What changes sooner waits for the timer.
void Stations::tell(Clock::time_point now) {
    if (!changed_ || now - told_ < setup_.coalesce) return;
    changed_ = false;
    told_ = now;
    setup_.on_change();
}

void Stations::give_up(const Key& key) {
    book_.forget(key);
    known_.erase(key);
}

std::vector<Stations::Key> Stations::wanted() const {
    std::vector<Key> keys = book_.known();
    for (const Key& key : book_.asked())
        keys.push_back(key);
    return keys;
}

void adopt_stations(const std::map<Registry::NextHopKey, MacAddress>& known, Registry& registry,
                    World& world, Changes& changes) {
    std::vector<Registry::NextHopKey> keys;
    for (const auto& [key, mac] : known) {
        keys.push_back(key);
        const auto [at, fresh] = world.neighbors.try_emplace(key, mac);
        if (!fresh && at->second == mac) continue;
        at->second = mac;
        changes.next_hops.insert(key);
    }
    const std::vector<Registry::NextHopKey> before = registry.stations();
    registry.set_stations(std::move(keys));
    for (const auto& key : before)
        if (!registry.find_next_hop(key.port, key.address)) world.neighbors.erase(key);
}

}  // namespace weir
