// SPDX-License-Identifier: BSD-3-Clause
// FlowTable: the connection table of one worker. Exact keys, fixed memory, no allocation after the
// constructor, bounded probing, lazy expiry plus a bounded sweep.
//
// A hash names two candidate buckets of one cache line each (eight 16-bit tags and entry numbers);
// a new flow goes into the emptier one (Azar et al., "Balanced Allocations", SIAM J. Comput. 1999).
// An entry is one cache line of its own and never moves. Live entries are never evicted: when both
// buckets are full of live entries, or no entry is free, insert() answers nullptr and the caller
// goes on statelessly. There are enough buckets that the entries run out first.
//
// Memory: one region that the caller owns (huge pages, on the worker's NUMA node), versioned and
// free of pointers, so that a successor process could map it.
// Threads: one worker, nobody else. Other threads ask the worker (see dataplane/inspect.hh).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/flow/key.hh"
#include "lib/flow/tick.hh"

namespace weir {

// What was seen of the TCP connection, from the client's side alone (replies bypass Weir in the
// direct-return modes). Other protocols stay in `untracked`.
enum class FlowState : std::uint8_t {
    untracked = 0,    // UDP and the like
    syn = 1,          // one packet seen (a SYN, or the first of a connection older than we)
    established = 2,  // a later packet without SYN
    fin = 3           // FIN or RST seen
};

struct alignas(64) FlowEntry {
    FlowKey key;
    std::uint32_t backend = 0;  // stable BackendId
    Tick expires{};             // dead once now is past it
    std::uint32_t service = 0;  // stable ServiceId
    FlowState state = FlowState::untracked;
    // The table's own, not for callers: whether this place is taken, and the hash that names its
    // buckets (as long as it is not taken: the next free place).
    std::uint8_t taken = 0;
    std::uint64_t hash = 0;
};
static_assert(sizeof(FlowEntry) == 64);

class FlowTable {
public:
    // Bytes of the region for `entries` (1 .. 2^28) flows; 0 when out of range. Also the validator.
    [[nodiscard]] static std::size_t footprint(std::uint32_t entries) noexcept;

    // `region`: footprint(entries) bytes, 64-byte aligned, outliving the table. Its content is
    // overwritten. Touches every page.
    FlowTable(std::span<std::byte> region, std::uint32_t entries) noexcept;

    // Asks the cache for both buckets of `hash`; call for the whole burst before find().
    void prefetch(std::uint64_t hash) const noexcept;
    // Second stage: prefetches the first entry whose tag matches.
    void prefetch_entry(std::uint64_t hash) const noexcept;

    // The live entry of `key`, or nullptr. Expired entries are not found. `hash` = flow_hash(key).
    [[nodiscard]] FlowEntry* find(const FlowKey& key, std::uint64_t hash, Tick now) noexcept;

    // A new entry with `key` set, and backend, service, state and expires for the caller to fill at
    // once. Precondition: find() just answered nullptr for it. nullptr: full. An expired entry is
    // reused when it has the same key, or when no other place is left; what it counted for is told.
    struct Inserted {
        FlowEntry* entry = nullptr;
        bool replaced = false;  // an expired flow gave its place:
        std::uint32_t old_backend = 0, old_service = 0;
    };
    [[nodiscard]] Inserted insert(const FlowKey& key, std::uint64_t hash, Tick now) noexcept;

    // Removes an entry that find(), insert() or sweep() gave, live or expired.
    void erase(FlowEntry* entry) noexcept;

    // Visits the next `count` entries (of those ever used, wrapping round) and removes the expired
    // ones; calls expired(const FlowEntry&) for each before. Returns how many were removed.
    template <typename Expired>
    std::uint32_t sweep(std::uint32_t count, Tick now, Expired&& expired) noexcept {
        std::uint32_t removed = 0;
        for (std::uint32_t i = 0; i < count; ++i) {
            FlowEntry* entry = sweep_next();
            if (entry == nullptr || elapsed(entry->expires, now) <= 0) continue;
            expired(static_cast<const FlowEntry&>(*entry));
            erase(entry);
            ++removed;
        }
        return removed;
    }

    // Live entries, in table order, from `cursor` on (0 at first): copies at most out.size(), looks
    // at no more than 4 * out.size() places, returns how many were copied and moves the cursor;
    // capacity() when the end is reached.
    std::size_t copy(std::uint32_t& cursor, std::span<FlowEntry> out, Tick now) const noexcept;

    [[nodiscard]] std::uint32_t size() const noexcept;      // entries in use, expired ones included
    [[nodiscard]] std::uint32_t capacity() const noexcept;  // as given to the constructor

private:
    // The next place of the sweep: its entry when taken, else nullptr.
    FlowEntry* sweep_next() noexcept;

    struct Header;
    struct Bucket;
    // Where a hash may lie (see buckets.hh).
    struct Place {
        Bucket* first;
        Bucket* second;
        std::uint16_t tag;
    };
    [[nodiscard]] Place place_of(std::uint64_t hash) const noexcept;
    // Slots 0..7 are those of place.first, 8..15 those of place.second.
    [[nodiscard]] FlowEntry* entry_at(const Place& place, unsigned slot) const noexcept;
    [[nodiscard]] FlowEntry* find_expired(const Place& place, const FlowKey& key,
                                          Tick now) const noexcept;
    [[nodiscard]] FlowEntry* take_free() noexcept;

    Header* header_ = nullptr;
    Bucket* buckets_ = nullptr;
    FlowEntry* entries_ = nullptr;
    std::uint32_t bucket_count_ = 0;
};

}  // namespace weir
