// SPDX-License-Identifier: BSD-3-Clause
// StationBook: which clients on ports' own networks are looked up, and which of them are known. A
// client's address is whatever a packet says, so everything here is bounded: a flood of forged ones
// fills the places of those that nobody answered for, and displaces none that answered. Pure but
// for its own memory; time is an argument.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "lib/control/registry.hh"

namespace weir {

class StationBook {
public:
    using Key = Registry::NextHopKey;
    using Time = std::chrono::steady_clock::time_point;
    struct Limits {
        std::size_t known = 1024, asked = 256;  // stations
        std::chrono::milliseconds patience{
            3000};  // until one that nobody answered for is forgotten
        std::chrono::milliseconds silence{60'000};  // and one that answers no more
    };
    explicit StationBook(const Limits& limits = default_limits()) : limits_(limits) {}

    // A worker has packets for it. True: it is to be resolved; false: it is already known or asked
    // for, or too many others are.
    bool ask(const Key& key, Time now);
    // The kernel resolved one that it contains(). Answers the one that had to leave for it: of all
    // that are known the one silent for longest, of equals the oldest.
    std::optional<Key> answer(const Key& key, Time now);
    // Forgets those for which patience or silence is over, and answers them. `is_usable`: whether
    // the kernel has an answer now; asked about each known one. Call about once a second.
    std::vector<Key> expire(Time now, const std::function<bool(const Key&)>& is_usable);
    void forget(const Key& key);

    [[nodiscard]] bool contains(const Key& key) const { return asked_.contains(key) || knows(key); }
    [[nodiscard]] bool knows(const Key& key) const { return known_.contains(key); }
    // Sorted.
    [[nodiscard]] std::vector<Key> known() const;
    [[nodiscard]] std::vector<Key> asked() const;

private:
    static Limits default_limits() { return {}; }
    struct Known {
        Time heard, since;  // when it was seen to be usable last; when it became known
    };
    Limits limits_;
    std::map<Key, Time> asked_;  // since when
    std::map<Key, Known> known_;
};

}  // namespace weir
