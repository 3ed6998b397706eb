// SPDX-License-Identifier: BSD-3-Clause
#include "lib/flow/table.hh"

#include <bit>
#include <cassert>
#include <cstring>
#include <memory>
#include <new>

#include "lib/flow/tags.hh"

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

// A multiply-shift: `word` scaled to 0 .. count-1. Its high bits decide.
constexpr std::uint32_t scale(std::uint32_t word, std::uint32_t count) noexcept {
    return static_cast<std::uint32_t>((std::uint64_t{word} * count) >> 32);
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

// The owner worker was chosen by bits 32..63, so within one worker these fill only a part of their
// range; bits 0..31 are uniform. The first bucket comes from the latter. The second comes from the
// upper half of a product, in which the part of bits 32..63 is spread over the whole range again by
// an odd factor. The tag takes the low ends of both, of which either bucket leaves one unknown.
FlowTable::Place FlowTable::place_of(std::uint64_t hash) const noexcept {
    const auto low = static_cast<std::uint32_t>(hash);
    const auto remixed = static_cast<std::uint32_t>((hash * 0x9e3779b97f4a7c15u) >> 32);
    const auto tag = static_cast<std::uint16_t>(remixed ^ low);
    return {buckets_ + scale(low, bucket_count_), buckets_ + scale(remixed, bucket_count_),
            tag != 0 ? tag : std::uint16_t{1}};
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
    const auto slot = static_cast<unsigned>(std::countr_zero(mask));
    const Bucket* bucket = slot < tags_per_bucket ? place.first : place.second;
    __builtin_prefetch(entries_ + bucket->entries[slot % tags_per_bucket]);
}

FlowEntry* FlowTable::find(const FlowKey& key, std::uint64_t hash, Tick now) noexcept {
    const Place place = place_of(hash);
    std::uint32_t mask = match_tags(place.first->tags, place.second->tags, place.tag);
    for (; mask != 0; mask &= mask - 1) {
        const auto slot = static_cast<unsigned>(std::countr_zero(mask));
        const Bucket* bucket = slot < tags_per_bucket ? place.first : place.second;
        FlowEntry* entry = entries_ + bucket->entries[slot % tags_per_bucket];
        if (entry->key == key && elapsed(entry->expires, now) <= 0) return entry;
    }
    return nullptr;
}

// An expired entry of these buckets: that of `key` itself, else any when there is no free place.
FlowEntry* FlowTable::find_expired(const Place& place, const FlowKey& key,
                                   Tick now) const noexcept {
    const std::uint32_t same = match_tags(place.first->tags, place.second->tags, place.tag);
    const std::uint32_t free = match_tags(place.first->tags, place.second->tags, 0);
    const bool full = free == 0 || header_->size == header_->entries;
    const std::uint32_t taken = ~free & 0xffff;
    for (std::uint32_t mask : {same, full ? taken : 0}) {
        for (; mask != 0; mask &= mask - 1) {
            const auto slot = static_cast<unsigned>(std::countr_zero(mask));
            const Bucket* bucket = slot < tags_per_bucket ? place.first : place.second;
            FlowEntry* entry = entries_ + bucket->entries[slot % tags_per_bucket];
            if (elapsed(entry->expires, now) <= 0) continue;
            if (full || entry->key == key) return entry;
        }
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
    const auto slot = static_cast<unsigned>(std::countr_zero(second ? free_second : free_first));
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
        const auto slot = static_cast<unsigned>(std::countr_zero(mask));
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
