// SPDX-License-Identifier: BSD-3-Clause
#include "lib/flow/fragment_table.hh"

#include <algorithm>
#include <bit>

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
    for (Bucket& bucket : buckets_)
        bucket.first_waiting.fill(no_slot);
}

FragmentTable::Answer FragmentTable::admit(const Fragment& fragment, Tick now) noexcept {
    const std::size_t place = find(fragment.datagram, now);
    Datagram& datagram = datagrams_[place];
    if (datagram.broken) return {What::bad, 0, {}};
    if (!is_sound(datagram, fragment)) return spoil(place);
    switch (add(datagram, {static_cast<std::uint16_t>(fragment.begin),
                           static_cast<std::uint16_t>(fragment.end)})) {
        case Added::fits:
            break;
        case Added::repeats:  // nothing new: the first of its kind is on its way
            return {What::bad, 0, {}};
        case Added::too_many:
            return {What::full, 0, {}};
        case Added::overlaps:
            return spoil(place);
    }
    if (fragment.last) datagram.end = fragment.end;
    if (fragment.begin == 0) {
        datagram.ports = *fragment.ports;
        datagram.has_ports = true;
        let_go(place, What::pass);
    }
    if (!datagram.has_ports) return hold(place);
    const bool complete = datagram.ranges == 1 && datagram.range[0].begin == 0 &&
                          datagram.range[0].end == datagram.end;
    if (complete) tag_of(place) = 0;
    return {What::pass, 0, datagram.ports};
}

FragmentTable::Look FragmentTable::look(const Bucket& bucket, std::uint32_t tag,
                                        Tick now) const noexcept {
    Look result;
    std::uint32_t greatest_age = 0;
    for (std::size_t i = 0; i < ways; ++i) {
        const bool free = bucket.tag[i] == 0, past = elapsed(bucket.deadline[i], now) >= 0;
        result.same_tag |= std::uint32_t{bucket.tag[i] == tag} << i;
        result.late |= std::uint32_t{!free && past} << i;
        const std::uint32_t age = free ? ~std::uint32_t{0} : order_ - bucket.order[i];
        result.oldest = age > greatest_age ? i : result.oldest;
        greatest_age = std::max(greatest_age, age);
    }
    return result;
}

// The datagram of `key`, new where there was none; then a free place is taken, else that of the
// oldest.
std::size_t FragmentTable::find(const FlowWords& key, Tick now) noexcept {
    const std::uint64_t hash = flow_hash(key, secret_);
    const std::size_t bucket = hash % buckets, first = bucket * ways;
    const std::uint32_t tag = static_cast<std::uint32_t>(hash >> 32) | 1;
    Look seen = look(buckets_[bucket], tag, now);
    if (seen.late != 0) [[unlikely]] {
        for (std::size_t i = 0; i < ways; ++i)
            end_late(first + i, now);
        seen = look(buckets_[bucket], tag, now);
    }
    for (std::uint32_t rest = seen.same_tag; rest != 0; rest &= rest - 1) {
        const std::size_t place = first + static_cast<std::size_t>(std::countr_zero(rest));
        if (same(datagrams_[place].key, key)) return place;
    }
    begin(first + seen.oldest, tag, key, now);
    return first + seen.oldest;
}

// Whoever had the place makes room.
void FragmentTable::begin(std::size_t place, std::uint32_t tag, const FlowWords& key,
                          Tick now) noexcept {
    release(place, What::full);
    Bucket& bucket = buckets_[place / ways];
    bucket.tag[place % ways] = tag;
    bucket.order[place % ways] = ++order_;
    bucket.deadline[place % ways] = now + timeout;
    Datagram& datagram = datagrams_[place];
    datagram.key = key;
    datagram.end = no_end;
    datagram.broken = datagram.has_ports = false;
    datagram.ranges = 0;
}

void FragmentTable::end_late(std::size_t place, Tick now) noexcept {
    const Tick deadline = buckets_[place / ways].deadline[place % ways];
    if (tag_of(place) != 0 && elapsed(deadline, now) >= 0) release(place, What::wait);
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

FragmentTable::Answer FragmentTable::hold(std::size_t place) noexcept {
    if (free_count_ == 0) return {What::full, 0, {}};
    const std::uint8_t slot = free_[--free_count_];
    next_[slot] = no_slot;
    if (first_waiting(place) == no_slot)
        first_waiting(place) = slot;
    else
        next_[last_waiting(place)] = slot;
    last_waiting(place) = slot;
    return {What::wait, slot, {}};
}

// Nothing of the datagram passes any more.
FragmentTable::Answer FragmentTable::spoil(std::size_t place) noexcept {
    datagrams_[place].broken = true;
    let_go(place, What::bad);
    return {What::bad, 0, {}};
}

// What waits for this datagram's first fragment waits no longer.
void FragmentTable::let_go(std::size_t place, What what) noexcept {
    std::uint8_t slot = first_waiting(place);
    if (slot == no_slot) [[likely]]
        return;
    for (; slot != no_slot; slot = next_[slot])
        released_[released_count_++] = {slot, what, datagrams_[place].ports};
    first_waiting(place) = no_slot;
}

void FragmentTable::release(std::size_t place, What what) noexcept {
    let_go(place, what);
    tag_of(place) = 0;
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
        end_late(sweep_next_, now);
        if (++sweep_next_ == datagrams) sweep_next_ = 0;
    }
}

}  // namespace weir
