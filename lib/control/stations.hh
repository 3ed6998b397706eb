// SPDX-License-Identifier: BSD-3-Clause
// Stations: looks up the clients on ports' own networks that workers had packets for and no MAC
// address of (dataplane/station_mailbox.hh), and keeps what the kernel answers. Works only while a
// service translates addresses. Control thread only.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <vector>

#include "lib/control/compile.hh"
#include "lib/control/registry.hh"
#include "lib/control/station_book.hh"
#include "lib/control/timer.hh"
#include "lib/dataplane/station_mailbox.hh"

namespace weir {

class Stations {
public:
    using Key = Registry::NextHopKey;
    struct Setup {
        event_base* base = nullptr;
        std::vector<StationMailbox*> mailboxes;  // by worker
        // Whether there is nothing to look up: it stands in the tables, or soon will.
        std::function<bool(const Key&)> is_next_hop;
        // The NeighborMonitor's.
        std::function<void(const Key&)> want, forget;
        std::function<bool(const Key&)> is_usable;
        // known() is another one. Called from the event loop, at most once in `coalesce`.
        std::function<void()> on_change;
        std::chrono::milliseconds period{50};  // how often the mailboxes are read
        std::chrono::milliseconds coalesce{100};
        std::chrono::milliseconds expiry{1000};
        StationBook::Limits limits{};
    };
    explicit Stations(Setup setup);

    // Whether to look at the mailboxes. false: and forgets everything.
    void set_active(bool active);
    // From the NeighborMonitor. False: it is no station that was asked for.
    bool learn(const Key& key, const MacAddress& mac);
    // It has become a next hop of the configuration, whose business it is now.
    void give_up(const Key& key);

    // With their MAC addresses.
    [[nodiscard]] const std::map<Key, MacAddress>& known() const noexcept { return known_; }
    // All that the NeighborMonitor is to keep resolved.
    [[nodiscard]] std::vector<Key> wanted() const;

private:
    using Clock = std::chrono::steady_clock;
    void look();
    void read_mailboxes(Clock::time_point now);
    void expire(Clock::time_point now);
    void tell(Clock::time_point now);

    Setup setup_;
    StationBook book_;
    std::map<Key, MacAddress> known_;
    bool active_ = false, changed_ = false;
    Clock::time_point told_{}, expired_{};
    Timer timer_;
};

// Makes the stations that are known now, and no others, next hops of registry and world, and notes
// what the next tables differ in.
void adopt_stations(const std::map<Registry::NextHopKey, MacAddress>& known, Registry& registry,
                    World& world, Changes& changes);

}  // namespace weir
