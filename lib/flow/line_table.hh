// SPDX-License-Identifier: BSD-3-Clause
// LineTable: a connection table whose entries lie in the cache line that their key names. Exact
// keys, fixed memory, no allocation after the constructor, bounded work in every call.
//
// The key is permuted with the secret of this boot (key_mix.hh) and named by a home line and what
// the line's number does not say of it, the remnant: storing the remnant stores the key. A new
// entry goes into its home, else into its alternate line, which an involution on (line, remnant)
// gives; when both are full, others move to their alternates, over at most two steps (Pagh and
// Rodler, "Cuckoo Hashing", J. Algorithms 2004). A line counts those of its own that lie elsewhere,
// so a lookup reads a second line only where there are some: about one of eight at full load.
//
// Live entries are never evicted: insert() refuses when `entries` are in use, or no place was found
// in two steps, and the caller goes on statelessly. There are four entries a line of five slots, so
// the former happens first, and costs no search.
//
// Memory: one region that the caller owns (huge pages, on the worker's NUMA node), versioned and
// free of pointers, so that a successor process could map it.
// Threads: one worker, nobody else. Other threads ask the worker (see dataplane/inspect.hh).
//
// Format says what a key is and where the rest of it lies that 64 bits do not hold: see
// narrow_table.hh and wide_table.hh. The member functions are instantiated in line_table.cc.
#pragma once

#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/flow/key_mix.hh"
#include "lib/flow/line.hh"
#include "lib/flow/prefetch.hh"
#include "lib/flow/soonest.hh"

namespace weir {

// Bytes of a region that are not lines: magic, sizes, cursor and secret.
inline constexpr std::size_t line_table_header = 64;

// A key on its way through the table.
template <typename Format>
struct LineName {
    std::uint64_t wanted;  // key word of an entry of it that is not displaced
    std::uint32_t home;    // line
    [[no_unique_address]] typename Format::Rest rest;
};

// A slot of the table, or none.
struct LinePlace {
    static constexpr std::uint32_t none = 7, looking = 6;  // as slot; the latter: see look()
    std::uint32_t code = none;                             // line * 8 + slot
    [[nodiscard]] std::uint32_t line() const noexcept { return code >> 3; }
    [[nodiscard]] unsigned slot() const noexcept { return code & 7; }
    explicit operator bool() const noexcept { return (code & 7) != none; }
    [[nodiscard]] bool is_open() const noexcept { return (code & 7) == looking; }
    friend bool operator==(LinePlace, LinePlace) = default;
};

template <typename Format>
class LineTable {
public:
    using Key = typename Format::Key;
    using Name = LineName<Format>;
    static constexpr std::uint32_t max_entries = 1u << 28;
    struct alignas(64) Bucket {
        FlowLine line;
        [[no_unique_address]] typename Format::Companion companion;
    };

    // Bytes of the region for `entries` (1 .. 2^28) flows; 0 when out of range. Also the validator.
    [[nodiscard]] static std::size_t footprint(std::uint32_t entries) noexcept;

    // `region`: footprint(entries) bytes, or as far as a sixteenth less where that leaves 256
    // lines, or more; the lines are as many as fit. 64-byte aligned, outliving the table. Its
    // content is overwritten. Touches every page.
    LineTable(std::span<std::byte> region, std::uint32_t entries,
              const HashSecret& secret) noexcept;

    [[nodiscard]] Name name(const Key& key) const noexcept;
    void prefetch(const Name& name) const noexcept { prefetch_line(name.home); }
    // The other line, in which it may lie or get its place: for who will look() later.
    void prefetch_alternate(const Name& name) const noexcept {
        prefetch_line(alternate(name.home, name.wanted));
    }

    // The entry of `name`, live or expired, or none.
    [[nodiscard]] LinePlace find(const Name& name) const noexcept;

    // find() in two stages, for a burst: look() reads the home, and when the entry may lie in the
    // alternate, prefetches that and answers a place that is_open(), which finish() completes. Both
    // hold until an entry is added, moved or removed.
    [[nodiscard]] LinePlace look(const Name& name, Tick now) const noexcept;
    [[nodiscard]] LinePlace finish(const Name& name, LinePlace looked) const noexcept;

    // A new entry. Precondition: find() just answered none. An expired entry gives its place when
    // there is no other; what it counted for is told. Refused: place is none and nothing changed.
    struct Inserted {
        LinePlace place;
        bool replaced = false;
        bool moved = false;  // an entry was replaced or moved: places seen before may not hold
        std::uint32_t old_backend = 0;
    };
    [[nodiscard]] Inserted insert(const Name& name, const FlowValue& value, Tick now) noexcept;
    // Its most frequent case alone, for the caller to inline: false when the entry does not simply
    // get a free slot of its home; nothing was done then.
    [[nodiscard]] bool insert_at_home(const Name& name, const FlowValue& value) noexcept;
    // insert() would refuse because the table is full. Costs a look at two lines, or none while no
    // entry of the table has expired.
    [[nodiscard]] bool is_full_for(const Name& name, Tick now) const noexcept {
        return is_full() && (!soonest_.may_be_past(now) || !has_expired(name, now));
    }

    // Removes an entry, live or expired.
    void erase(LinePlace place) noexcept;

    // A home line tells all of a flow that it does not hold and from which none is displaced, when
    // its used() is below this: the flow is not in the table, and a new entry gets its place there,
    // or none anywhere.
    [[nodiscard]] std::uint32_t tells_all_below(Tick now) const noexcept {
        if (is_full()) return soonest_.may_be_past(now) ? 0 : all_slots + 1;
        return all_slots;  // one is free
    }

    // What name() and look() read, for a twin of them over many keys.
    struct Lines {
        const Bucket* buckets;
        std::uint32_t count;
        std::uint64_t stride;
        const KeyMix& mix;
        [[nodiscard]] const FlowLine& line(std::uint32_t at) const noexcept {
            return buckets[at].line;
        }
        [[nodiscard]] const auto& companion(std::uint32_t at) const noexcept {
            return buckets[at].companion;
        }
    };
    [[nodiscard]] Lines all_lines() const noexcept { return {buckets_, lines_, stride_, mix_}; }

    [[nodiscard]] FlowLine& line(LinePlace at) const noexcept { return buckets_[at.line()].line; }
    [[nodiscard]] std::uint32_t backend(LinePlace at) const noexcept {
        return line(at).backend(at.slot());
    }
    [[nodiscard]] FlowState state(LinePlace at) const noexcept { return line(at).state(at.slot()); }
    [[nodiscard]] Expiry expiry(LinePlace at) const noexcept { return line(at).expiry(at.slot()); }
    [[nodiscard]] bool is_live(LinePlace at, Tick now) const noexcept {
        return !is_past(expiry(at), now);
    }
    [[nodiscard]] Key key(LinePlace at) const noexcept;
    void set(LinePlace at, const FlowValue& value) noexcept {
        line(at).set(at.slot(), value);
        soonest_.note(value.expiry);
    }
    void set_time(LinePlace at, FlowState state, Expiry expiry) noexcept {
        line(at).set_time(at.slot(), state, expiry);
        soonest_.note(expiry);
    }
    // To be told of every expiry that is written by way of line().
    [[nodiscard]] Soonest& soonest() noexcept { return soonest_; }

    // Visits the next `lines` lines, wrapping round, and removes the expired entries; calls
    // expired(backend) for each. Returns how many were removed. Must come round within 18 hours.
    template <typename Expired>
    std::uint32_t sweep(std::uint32_t lines, Tick now, Expired&& expired) noexcept;

    // Live entries in table order, from line `cursor` on (0 at first): copies at most out.size(),
    // at least a line's worth of room, and moves the cursor; lines() when the end is reached. Looks
    // at no more than out.size() lines.
    struct Shown {
        Key key;
        FlowValue value;
    };
    std::size_t copy(std::uint32_t& cursor, std::span<Shown> out, Tick now) const noexcept;

    [[nodiscard]] std::uint32_t size() const noexcept;      // entries in use, expired ones included
    [[nodiscard]] std::uint32_t capacity() const noexcept;  // as given to the constructor
    [[nodiscard]] std::uint32_t lines() const noexcept { return lines_; }

private:
    struct Header {
        std::uint64_t magic;
        std::uint32_t entries, lines;
        std::uint32_t size;
        std::uint32_t sweep_next;
        std::uint64_t unused;
        HashSecret secret;
    };
    static_assert(sizeof(Header) <= line_table_header);
    static constexpr std::uint32_t all_slots = (1u << Format::slots) - 1;
    [[nodiscard]] static std::uint32_t line_count(std::uint32_t entries) noexcept;

    [[nodiscard]] std::uint32_t alternate(std::uint32_t line, std::uint64_t wanted) const noexcept;
    [[nodiscard]] std::uint32_t other_line(std::uint32_t line, unsigned slot) const noexcept;
    [[nodiscard]] LinePlace find_in(std::uint32_t line, std::uint64_t wanted,
                                    const Name& name) const noexcept;
    [[nodiscard]] LinePlace chosen(std::uint32_t line, std::uint32_t mask,
                                   const Name& name) const noexcept;

    void prefetch_line(std::uint32_t line) const noexcept;
    [[nodiscard]] bool is_full() const noexcept { return header_->size >= header_->entries; }
    [[nodiscard]] std::uint32_t free_slots(std::uint32_t line) const noexcept {
        return ~buckets_[line].line.header & all_slots;
    }
    [[nodiscard]] bool has_expired(const Name& name, Tick now) const noexcept;
    [[nodiscard]] bool may_displace(std::uint32_t home, std::uint32_t alternate) const noexcept;
    [[nodiscard]] LinePlace place_in(std::uint32_t line, bool full, Tick now) const noexcept;
    void put(std::uint32_t line, unsigned slot, std::uint64_t displaced, const Name& name,
             const FlowValue& value) noexcept;
    [[nodiscard]] LinePlace make_room(const Name& name, Tick now, Inserted& result) noexcept;
    void vacate(LinePlace place, Inserted& result) noexcept;
    void move(LinePlace from, LinePlace to) noexcept;

    Header* header_ = nullptr;
    Bucket* buckets_ = nullptr;
    std::uint32_t lines_ = 0;
    std::uint64_t stride_ = 0;  // permuted keys a line: floor(2^64 / lines)
    KeyMix mix_;
    Soonest soonest_;
};

// What every packet runs through, for the callers to inline.

template <typename Format>
inline typename LineTable<Format>::Name LineTable<Format>::name(const Key& key) const noexcept {
    __extension__ using Wide = unsigned __int128;
    Name name;
    const std::uint64_t mixed = Format::mixed(mix_, key, name.rest);
    name.home = static_cast<std::uint32_t>((static_cast<Wide>(mixed) * lines_) >> 64);
    // Below 2^64 / lines + lines, as home * stride lies at most that far before the line's first
    // key; with 256 lines or more that is within 56 bits.
    name.wanted = (mixed - name.home * stride_) << remnant_shift;
    return name;
}

template <typename Format>
inline void LineTable<Format>::prefetch_line(std::uint32_t line) const noexcept {
    const auto* bucket = reinterpret_cast<const std::byte*>(buckets_ + line);
    for (std::size_t at = 0; at < sizeof(Bucket); at += 64)
        weir::prefetch(bucket + at);
}

// An involution for every remnant: the sum of both lines is a number that the remnant gives. The
// factor only spreads the low bits of the remnant to the top; a secret went into them before.
template <typename Format>
inline std::uint32_t LineTable<Format>::alternate(std::uint32_t line,
                                                  std::uint64_t wanted) const noexcept {
    __extension__ using Wide = unsigned __int128;
    const std::uint64_t spread = (wanted ^ wanted >> 32) * 0x9e3779b97f4a7c15u;
    const auto sum = static_cast<std::uint32_t>((static_cast<Wide>(spread) * lines_) >> 64);
    return sum >= line ? sum - line : sum + lines_ - line;
}

// The slot of `mask` that holds the rest of the key, too; at most one does.
template <typename Format>
inline LinePlace LineTable<Format>::chosen(std::uint32_t line, std::uint32_t mask,
                                           const Name& name) const noexcept {
    std::uint32_t slot = static_cast<std::uint32_t>(std::countr_zero(mask | 1u << LinePlace::none));
    if constexpr (Format::has_rest) {
        while (slot != LinePlace::none && !buckets_[line].companion.holds(slot, name.rest)) {
            mask &= mask - 1;
            slot = static_cast<std::uint32_t>(std::countr_zero(mask | 1u << LinePlace::none));
        }
    }
    return {line << 3 | slot};
}

template <typename Format>
inline LinePlace LineTable<Format>::find_in(std::uint32_t line, std::uint64_t wanted,
                                            const Name& name) const noexcept {
    return chosen(line, match(buckets_[line].line, wanted), name);
}

template <typename Format>
inline LinePlace LineTable<Format>::find(const Name& name) const noexcept {
    const LinePlace place = find_in(name.home, name.wanted, name);
    if (place || buckets_[name.home].line.displaced() == 0) return place;
    return find_in(alternate(name.home, name.wanted), name.wanted | displaced_bit, name);
}

template <typename Format>
inline LinePlace LineTable<Format>::look(const Name& name, Tick now) const noexcept {
    const LinePlace place = find_in(name.home, name.wanted, name);
    const FlowLine& home = buckets_[name.home].line;
    if (place) return place;
    if (home.displaced() == 0 && home.used() < tells_all_below(now)) return place;
    const std::uint32_t line = alternate(name.home, name.wanted);
    if (home.displaced() == 0) {  // not there; but it may be where a new entry gets its place
        weir::prefetch(&buckets_[line].line);
        return place;
    }
    prefetch_line(line);
    return {line << 3 | LinePlace::looking};
}

template <typename Format>
inline LinePlace LineTable<Format>::finish(const Name& name, LinePlace looked) const noexcept {
    return find_in(looked.line(), name.wanted | displaced_bit, name);
}

template <typename Format>
inline void LineTable<Format>::put(std::uint32_t line, unsigned slot, std::uint64_t displaced,
                                   const Name& name, const FlowValue& value) noexcept {
    Bucket& bucket = buckets_[line];
    bucket.line.put(slot, name.wanted | displaced, value);
    bucket.companion.put(slot, name.rest);
    if (header_->size++ == 0) [[unlikely]]
        soonest_.note_only(value.expiry);
    else
        soonest_.note(value.expiry);
}

template <typename Format>
inline bool LineTable<Format>::insert_at_home(const Name& name, const FlowValue& value) noexcept {
    if (is_full()) return false;  // first: under a flood nobody could foresee the other
    const std::uint32_t free = free_slots(name.home);
    if (free == 0) return false;
    put(name.home, static_cast<unsigned>(std::countr_zero(free)), 0, name, value);
    return true;
}

template <typename Format>
template <typename Expired>
std::uint32_t LineTable<Format>::sweep(std::uint32_t lines, Tick now, Expired&& expired) noexcept {
    constexpr std::uint32_t ahead = 16;
    std::uint32_t removed = 0;
    for (std::uint32_t i = 0; i < lines; ++i) {
        const std::uint32_t number = header_->sweep_next;
        header_->sweep_next = number + 1 == lines_ ? 0 : number + 1;
        if (number + ahead < lines_) __builtin_prefetch(buckets_ + number + ahead);
        const FlowLine& line = buckets_[number].line;
        for (std::uint32_t rest = weir::expired(line, now); rest != 0; rest &= rest - 1) {
            const auto slot = static_cast<std::uint32_t>(std::countr_zero(rest));
            expired(line.backend(slot));
            erase({number << 3 | slot});
            ++removed;
        }
        for (std::uint32_t rest = line.used(); rest != 0; rest &= rest - 1)
            soonest_.note(line.expiry(static_cast<unsigned>(std::countr_zero(rest))));
        if (header_->sweep_next == 0) soonest_.end_round(now);
    }
    return removed;
}

}  // namespace weir
