// SPDX-License-Identifier: BSD-3-Clause
#include "lib/flow/table.hh"

#include <bit>
#include <cassert>
#include <cstring>
#include <memory>
#include <new>

#include "lib/flow/buckets.hh"

namespace weir {

namespace {

constexpr std::uint32_t max_entries = 1u << 28;
constexpr std::uint32_t no_entry = 0xffffffff;
constexpr std::uint64_t layout_magic = 0x574c464952455701;  // "WEIRFLW", then the layout's version

// Eight slots for five entries, and some more so that small tables are not at the mercy of chance:
// the emptier of two buckets then has room until the last entry is taken. With six entries the
// first full pair of buckets shows up at 91 to 97 % of the entries.
constexpr std::uint32_t bucket_count_for(std::uint32_t entries) noexcept {
    return entries / 5 + 8;
}

unsigned first_slot(std::uint32_t mask) noexcept {
    return static_cast<unsigned>(std::countr_zero(mask));
}

}  // namespace

struct alignas(64) FlowTable::Header {
    std::uint64_t magic;
    std::uint32_t entries, buckets;
    std::uint32_t size;        // taken places
    std::uint32_t free;        // head of the list of places that were given back, or no_entry
    std::uint32_t fresh;       // places from here on were never taken
    std::uint32_t sweep_next;  // where the sweep goes on
};

struct alignas(64) FlowTable::Bucket {
    std::uint16_t tags[tags_per_bucket];  // 0: free
    std::uint32_t entries[tags_per_bucket];
    std::uint8_t unused[16];
};

std::size_t FlowTable::footprint(std::uint32_t entries) noexcept {
    static_assert(sizeof(Header) == 64 && sizeof(Bucket) == 64);
    if (entries == 0 || entries > max_entries) return 0;
    return sizeof(Header) + std::size_t{bucket_count_for(entries)} * sizeof(Bucket) +
           std::size_t{entries} * sizeof(FlowEntry);
}

FlowTable::FlowTable(std::span<std::byte> region, std::uint32_t entries) noexcept
    : bucket_count_(bucket_count_for(entries)) {
    assert(footprint(entries) != 0 && region.size() >= footprint(entries));
    assert(reinterpret_cast<std::uintptr_t>(region.data()) % 64 == 0);
    std::memset(region.data(), 0, footprint(entries));
    std::byte* at = region.data();
    header_ = new (at) Header{.magic = layout_magic,
                              .entries = entries,
                              .buckets = bucket_count_,
                              .size = 0,
                              .free = no_entry,
                              .fresh = 0,
                              .sweep_next = 0};
    at += sizeof(Header);
    buckets_ = reinterpret_cast<Bucket*>(at);
    at += std::size_t{bucket_count_} * sizeof(Bucket);
    entries_ = reinterpret_cast<FlowEntry*>(at);
}

[[gnu::always_inline]] inline FlowTable::Place FlowTable::place_of(
    std::uint64_t hash) const noexcept {
    const Placement place = placement(hash, bucket_count_);
    return {buckets_ + place.first, buckets_ + place.second, place.tag};
}

[[gnu::always_inline]] inline FlowEntry* FlowTable::entry_at(const Place& place,
                                                             unsigned slot) const noexcept {
    const Bucket* bucket = slot < tags_per_bucket ? place.first : place.second;
    return entries_ + bucket->entries[slot % tags_per_bucket];
}

void FlowTable::prefetch(std::uint64_t hash) const noexcept {
    const Place place = place_of(hash);
    __builtin_prefetch(place.first);
    __builtin_prefetch(place.second);
}

void FlowTable::prefetch_entry(std::uint64_t hash) const noexcept {
    const Place place = place_of(hash);
    const std::uint32_t mask = match_tags(place.first->tags, place.second->tags, place.tag);
    if (mask == 0) return;
    __builtin_prefetch(entry_at(place, first_slot(mask)));
}

FlowEntry* FlowTable::find(const FlowKey& key, std::uint64_t hash, Tick now) noexcept {
    const Place place = place_of(hash);
    std::uint32_t mask = match_tags(place.first->tags, place.second->tags, place.tag);
    for (; mask != 0; mask &= mask - 1) {
        FlowEntry* entry = entry_at(place, first_slot(mask));
        if (entry->key == key && elapsed(entry->expires, now) <= 0) return entry;
    }
    return nullptr;
}

// An expired entry of these buckets: that of `key` itself, else any when there is no free place.
FlowEntry* FlowTable::find_expired(const Place& place, const FlowKey& key,
                                   Tick now) const noexcept {
    std::uint32_t same = match_tags(place.first->tags, place.second->tags, place.tag);
    for (; same != 0; same &= same - 1) {
        FlowEntry* entry = entry_at(place, first_slot(same));
        if (entry->key == key) return entry;  // expired, as find() did not answer it
    }
    const std::uint32_t free = match_tags(place.first->tags, place.second->tags, 0);
    if (free != 0 && header_->size != header_->entries) return nullptr;
    const std::uint32_t taken = ~free & 0xffff;
    for (std::uint32_t mask = taken; mask != 0; mask &= mask - 1)
        __builtin_prefetch(entry_at(place, first_slot(mask)));
    for (std::uint32_t mask = taken; mask != 0; mask &= mask - 1) {
        FlowEntry* entry = entry_at(place, first_slot(mask));
        if (elapsed(entry->expires, now) > 0) return entry;
    }
    return nullptr;
}

FlowEntry* FlowTable::take_free() noexcept {
    FlowEntry* entry = nullptr;
    if (header_->free != no_entry) {
        entry = entries_ + header_->free;
        header_->free = static_cast<std::uint32_t>(entry->hash);
        if (header_->free != no_entry) __builtin_prefetch(entries_ + header_->free, 1);
    } else if (header_->fresh < header_->entries) {
        entry = entries_ + header_->fresh++;
    } else {
        return nullptr;
    }
    ++header_->size;
    return entry;
}

FlowTable::Inserted FlowTable::insert(const FlowKey& key, std::uint64_t hash, Tick now) noexcept {
    Inserted result;
    const Place place = place_of(hash);
    if (FlowEntry* old = find_expired(place, key, now); old != nullptr) {
        result = {nullptr, true, old->backend, old->service};
        erase(old);
    }
    const std::uint32_t free = match_tags(place.first->tags, place.second->tags, 0);
    if (free == 0) return result;
    FlowEntry* entry = take_free();
    if (entry == nullptr) return result;
    const std::uint32_t free_first = free & 0xff, free_second = free >> tags_per_bucket;
    const bool second = std::popcount(free_second) > std::popcount(free_first);
    Bucket* bucket = second ? place.second : place.first;
    const unsigned slot = first_slot(second ? free_second : free_first);
    bucket->tags[slot] = place.tag;
    bucket->entries[slot] = static_cast<std::uint32_t>(entry - entries_);
    *entry = FlowEntry{};
    entry->key = key;
    entry->expires = now;
    entry->taken = 1;
    entry->hash = hash;
    result.entry = entry;
    return result;
}

void FlowTable::erase(FlowEntry* entry) noexcept {
    const auto number = static_cast<std::uint32_t>(entry - entries_);
    const Place place = place_of(entry->hash);
    std::uint32_t mask = match_tags(place.first->tags, place.second->tags, place.tag);
    for (; mask != 0; mask &= mask - 1) {
        const unsigned slot = first_slot(mask);
        Bucket* bucket = slot < tags_per_bucket ? place.first : place.second;
        if (bucket->entries[slot % tags_per_bucket] != number) continue;
        bucket->tags[slot % tags_per_bucket] = 0;
        break;
    }
    assert(mask != 0);
    entry->taken = 0;
    entry->hash = header_->free;
    header_->free = number;
    --header_->size;
}

FlowEntry* FlowTable::sweep_next() noexcept {
    constexpr std::uint32_t ahead = 16;  // the sweep comes by once a loop, so these arrive in time
    if (header_->sweep_next >= header_->fresh) header_->sweep_next = 0;
    if (header_->fresh == 0) return nullptr;
    FlowEntry* entry = entries_ + header_->sweep_next++;
    __builtin_prefetch(reinterpret_cast<const std::byte*>(entry) + ahead * sizeof(FlowEntry));
    return entry->taken != 0 ? entry : nullptr;
}

std::size_t FlowTable::copy(std::uint32_t& cursor, std::span<FlowEntry> out,
                            Tick now) const noexcept {
    std::size_t copied = 0;
    for (std::size_t looked = 0; looked < 4 * out.size() && copied < out.size(); ++looked) {
        if (cursor >= header_->fresh) {
            cursor = header_->entries;
            break;
        }
        const FlowEntry& entry = entries_[cursor++];
        if (entry.taken == 0 || elapsed(entry.expires, now) > 0) continue;
        out[copied++] = entry;
    }
    if (cursor >= header_->fresh) cursor = header_->entries;
    return copied;
}

std::uint32_t FlowTable::size() const noexcept {
    return header_->size;
}

std::uint32_t FlowTable::capacity() const noexcept {
    return header_->entries;
}

}  // namespace weir
