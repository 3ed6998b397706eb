// SPDX-License-Identifier: BSD-3-Clause
#include "lib/flow/fragment_table.hh"

#include <algorithm>

namespace weir {
namespace {

[[nodiscard]] bool same(const FlowWords& a, const FlowWords& b) noexcept {
    return ((a.source ^ b.source) | (a.source_rest ^ b.source_rest) |
            (a.destination ^ b.destination) | (a.destination_rest ^ b.destination_rest) |
            (a.rest ^ b.rest)) == 0;
}

}  // namespace

FragmentTable::FragmentTable(const HashSecret& secret) noexcept : secret_(secret) {
    for (std::size_t i = 0; i < slots; ++i)
        free_[i] = static_cast<std::uint8_t>(slots - 1 - i);
}

FragmentTable::Answer FragmentTable::admit(const Fragment& fragment, Tick now) noexcept {
    Datagram& datagram = find(fragment.datagram, now);
    if (datagram.broken) return {What::bad, 0, {}};
    if (!is_sound(datagram, fragment)) {
        datagram.broken = true;
        let_go(datagram, What::bad);
        return {What::bad, 0, {}};
    }
    switch (add(datagram, {static_cast<std::uint16_t>(fragment.begin),
                           static_cast<std::uint16_t>(fragment.end)})) {
        case Added::fits:
            break;
        case Added::repeats:  // nothing new: the first of its kind is on its way
            return {What::bad, 0, {}};
        case Added::too_many:
            return {What::full, 0, {}};
        case Added::overlaps:
            datagram.broken = true;
            let_go(datagram, What::bad);
            return {What::bad, 0, {}};
    }
    if (fragment.last) datagram.end = fragment.end;
    if (fragment.begin == 0) {
        datagram.ports = *fragment.ports;
        datagram.has_ports = true;
        let_go(datagram, What::pass);
    }
    if (!datagram.has_ports) return hold(datagram);
    const Answer answer{What::pass, 0, datagram.ports};
    const bool complete = datagram.ranges == 1 && datagram.range[0].begin == 0 &&
                          datagram.range[0].end == datagram.end;
    if (complete) datagram.used = false;
    return answer;
}

// The datagram of `key`, new where there was none; then the place of one that is over is taken,
// else a free one, else that of the oldest.
FragmentTable::Datagram& FragmentTable::find(const FlowWords& key, Tick now) noexcept {
    const std::uint64_t hash = flow_hash(key, secret_);
    const std::span<Datagram> bucket{&datagrams_[hash % buckets * ways], ways};
    Datagram* place = nullptr;
    for (Datagram& datagram : bucket) {
        const bool over = datagram.used && elapsed(datagram.deadline, now) >= 0;
        if (over) release(datagram, What::wait);
        if (datagram.used && same(datagram.key, key)) return datagram;
        const bool older = place != nullptr && order_ - datagram.order > order_ - place->order;
        if (place == nullptr || (place->used && (!datagram.used || older))) place = &datagram;
    }
    if (place->used) release(*place, What::full);
    *place = Datagram{};
    place->used = true;
    place->key = key;
    place->deadline = now + timeout;
    place->order = ++order_;
    return *place;
}

bool FragmentTable::is_sound(const Datagram& datagram, const Fragment& fragment) noexcept {
    if (fragment.begin >= fragment.end || fragment.end > fragment.limit) return false;
    if (!fragment.last && (fragment.end - fragment.begin) % 8 != 0) return false;
    if (fragment.begin == 0 && fragment.ports == nullptr) return false;
    // Only one fragment is the last, which may come twice, and nothing lies behind it.
    if (datagram.end != no_end)
        return fragment.last ? fragment.end == datagram.end : fragment.end <= datagram.end;
    if (!fragment.last) return true;
    return std::all_of(datagram.range.begin(), datagram.range.begin() + datagram.ranges,
                       [&](const Range& range) { return range.end <= fragment.begin; });
}

FragmentTable::Added FragmentTable::add(Datagram& datagram, Range range) noexcept {
    const std::span<Range> known{datagram.range.data(), datagram.ranges};
    Range* before = nullptr;  // ends where it begins
    Range* behind = nullptr;
    for (Range& other : known) {
        if (range.begin >= other.begin && range.end <= other.end) return Added::repeats;
        if (range.begin < other.end && other.begin < range.end) return Added::overlaps;
        if (other.end == range.begin) before = &other;
        if (other.begin == range.end) behind = &other;
    }
    if (before != nullptr && behind != nullptr) {
        before->end = behind->end;
        *behind = known.back();
        --datagram.ranges;
    } else if (before != nullptr) {
        before->end = range.end;
    } else if (behind != nullptr) {
        behind->begin = range.begin;
    } else if (datagram.ranges == max_ranges) {
        return Added::too_many;
    } else {
        datagram.range[datagram.ranges++] = range;
    }
    return Added::fits;
}

FragmentTable::Answer FragmentTable::hold(Datagram& datagram) noexcept {
    if (free_count_ == 0) return {What::full, 0, {}};
    const std::uint8_t slot = free_[--free_count_];
    next_[slot] = no_slot;
    if (datagram.first_waiting == no_slot)
        datagram.first_waiting = slot;
    else
        next_[datagram.last_waiting] = slot;
    datagram.last_waiting = slot;
    return {What::wait, slot, {}};
}

// What waits for this datagram's first fragment waits no longer.
void FragmentTable::let_go(Datagram& datagram, What what) noexcept {
    for (std::uint8_t slot = datagram.first_waiting; slot != no_slot; slot = next_[slot])
        released_[released_count_++] = {slot, what, datagram.ports};
    datagram.first_waiting = datagram.last_waiting = no_slot;
}

void FragmentTable::release(Datagram& datagram, What what) noexcept {
    let_go(datagram, what);
    datagram.used = false;
}

std::span<const FragmentTable::Released> FragmentTable::released() noexcept {
    const std::span<const Released> result{released_.data(), released_count_};
    released_count_ = 0;
    for (const Released& one : result)
        free_[free_count_++] = one.slot;
    return result;
}

void FragmentTable::sweep(std::uint32_t count, Tick now) noexcept {
    for (; count != 0; --count) {
        Datagram& datagram = datagrams_[sweep_next_];
        if (++sweep_next_ == datagrams) sweep_next_ = 0;
        if (datagram.used && elapsed(datagram.deadline, now) >= 0) release(datagram, What::wait);
    }
}

}  // namespace weir
