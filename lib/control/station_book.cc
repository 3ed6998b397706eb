// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/station_book.hh"

#include <algorithm>
#include <tuple>

namespace weir {

bool StationBook::ask(const Key& key, Time now) {
    if (contains(key) || asked_.size() >= limits_.asked) return false;
    asked_.emplace(key, now);
    return true;
}

std::optional<StationBook::Key> StationBook::answer(const Key& key, Time now) {
    asked_.erase(key);
    if (const auto known = known_.find(key); known != known_.end()) {
        known->second.heard = now;
        return std::nullopt;
    }
    std::optional<Key> left;
    if (known_.size() >= limits_.known) {
        const auto first = std::ranges::min_element(known_, {}, [](const auto& one) {
            return std::tuple(one.second.heard, one.second.since);
        });
        left = first->first;
        known_.erase(first);
    }
    known_.emplace(key, Known{now, now});
    return left;
}

std::vector<StationBook::Key> StationBook::expire(
    Time now, const std::function<bool(const Key&)>& is_usable) {
    std::vector<Key> left;
    std::erase_if(asked_, [&](const auto& one) {
        if (now - one.second < limits_.patience) return false;
        left.push_back(one.first);
        return true;
    });
    for (auto& [key, known] : known_)
        if (is_usable(key)) known.heard = now;
    std::erase_if(known_, [&](const auto& one) {
        if (now - one.second.heard < limits_.silence) return false;
        left.push_back(one.first);
        return true;
    });
    return left;
}

void StationBook::forget(const Key& key) {
    asked_.erase(key);
    known_.erase(key);
}

std::vector<StationBook::Key> StationBook::known() const {
    std::vector<Key> keys;
    for (const auto& [key, known] : known_)
        keys.push_back(key);
    return keys;
}

std::vector<StationBook::Key> StationBook::asked() const {
    std::vector<Key> keys;
    for (const auto& [key, since] : asked_)
        keys.push_back(key);
    return keys;
}

}  // namespace weir
