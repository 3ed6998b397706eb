// SPDX-License-Identifier: BSD-3-Clause
#include "lib/flow/line_table.hh"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <new>

#include "lib/flow/narrow_table.hh"
#include "lib/flow/wide_table.hh"

namespace weir {

namespace {

__extension__ using Wide = unsigned __int128;

// "WEIRLN", the format's number, then the layout's version.
constexpr std::uint64_t layout_magic = 0x574549524c4e0001;
// Fewer, and the remnant would not fit its 56 bits.
constexpr std::uint32_t fewest_lines = 256;
constexpr std::size_t most_lines = std::size_t{1} << 29;  // LinePlace: line * 8 + slot

}  // namespace

template <typename Format>
std::uint32_t LineTable<Format>::line_count(std::uint32_t entries) noexcept {
    // One place of five in reserve (of four: of the range table, too), less what the header takes.
    constexpr std::uint32_t per_line = Format::slots == 5 ? 4 : 3;
    return std::max(fewest_lines, entries / per_line - std::min(entries / per_line, 2u));
}

template <typename Format>
std::size_t LineTable<Format>::footprint(std::uint32_t entries) noexcept {
    static_assert(sizeof(Bucket) % 64 == 0);
    if (entries == 0 || entries > max_entries) return 0;
    return line_table_header + std::size_t{line_count(entries)} * sizeof(Bucket);
}

template <typename Format>
LineTable<Format>::LineTable(std::span<std::byte> region, std::uint32_t entries,
                             const HashSecret& secret) noexcept
    : lines_(static_cast<std::uint32_t>(
          std::min((region.size() - line_table_header) / sizeof(Bucket), most_lines))),
      stride_(static_cast<std::uint64_t>((static_cast<Wide>(1) << 64) / lines_)),
      mix_(secret, Format::number) {
    assert(footprint(entries) != 0 && lines_ >= fewest_lines);
    assert(lines_ >= line_count(entries) - line_count(entries) / 16);
    assert(reinterpret_cast<std::uintptr_t>(region.data()) % 64 == 0);
    std::memset(region.data(), 0, region.size());
    header_ = new (region.data()) Header{.magic = layout_magic + (Format::number << 8),
                                         .entries = entries,
                                         .lines = lines_,
                                         .size = 0,
                                         .sweep_next = 0,
                                         .unused = 0,
                                         .secret = secret};
    buckets_ = reinterpret_cast<Bucket*>(region.data() + line_table_header);
}

template <typename Format>
std::uint32_t LineTable<Format>::other_line(std::uint32_t line, unsigned slot) const noexcept {
    return alternate(line, buckets_[line].line.wanted(slot));
}

template <typename Format>
typename LineTable<Format>::Key LineTable<Format>::key(LinePlace at) const noexcept {
    const Bucket& bucket = buckets_[at.line()];
    const std::uint32_t home =
        bucket.line.is_displaced(at.slot()) ? other_line(at.line(), at.slot()) : at.line();
    return Format::key(mix_, home * stride_ + bucket.line.remnant(at.slot()),
                       bucket.companion.rest(at.slot()));
}

// Is there one that may give its place to this key? A flood of new flows asks so for each.
template <typename Format>
[[gnu::noinline]] bool LineTable<Format>::has_expired(const Name& name, Tick now) const noexcept {
    return (expired(buckets_[name.home].line, now) |
            expired(buckets_[alternate(name.home, name.wanted)].line, now)) != 0;
}

// A place of this line for a new or moved entry: a free one unless the table is full, else that of
// an expired entry.
template <typename Format>
LinePlace LineTable<Format>::place_in(std::uint32_t line, bool full, Tick now) const noexcept {
    std::uint32_t slots = full ? 0 : free_slots(line);
    if (slots == 0) slots = expired(buckets_[line].line, now);
    if (slots == 0) return {};
    return {line << 3 | static_cast<std::uint32_t>(std::countr_zero(slots))};
}

template <typename Format>
bool LineTable<Format>::may_displace(std::uint32_t home, std::uint32_t alternate) const noexcept {
    return home != alternate && buckets_[home].line.may_count();
}

// Takes an expired entry out of `place`, if there is one.
template <typename Format>
void LineTable<Format>::vacate(LinePlace place, Inserted& result) noexcept {
    const FlowLine& words = line(place);
    if ((words.used() >> place.slot() & 1) == 0) return;
    result.replaced = result.moved = true;
    result.old_backend = words.backend(place.slot());
    erase(place);
}

// Precondition: `to` is free and in the other line of the entry at `from`.
template <typename Format>
void LineTable<Format>::move(LinePlace from, LinePlace to) noexcept {
    Bucket& source = buckets_[from.line()];
    Bucket& target = buckets_[to.line()];
    const bool was_displaced = source.line.is_displaced(from.slot());
    (was_displaced ? target : source).line.count_displaced(!was_displaced);
    target.line.put(to.slot(), (source.line.keys[from.slot()] & key_care) ^ displaced_bit,
                    {source.line.backend(from.slot()), source.line.state(from.slot()),
                     source.line.expiry(from.slot())});
    target.companion.put(to.slot(), source.companion.rest(from.slot()));
    source.line.clear(from.slot());
    soonest_.note(target.line.expiry(to.slot()));
}

// Breadth first: all entries of both lines, then all of the lines that these could move to. The
// lines of a step load together. At most 10 lines in the first step and 50 in the second.
template <typename Format>
[[gnu::noinline]] LinePlace LineTable<Format>::make_room(const Name& name, Tick now,
                                                         Inserted& result) noexcept {
    struct Step {
        LinePlace from;
        std::uint32_t to = 0;     // line
        std::uint8_t before = 0;  // the step that moves into `from`; itself: the new entry does
    };
    constexpr std::size_t first_steps = 2 * line_slots;
    Step steps[first_steps * (1 + line_slots)];
    std::size_t count = 0;
    const auto add_line = [&](std::uint32_t line, int before) {
        for (unsigned slot = 0; slot < Format::slots; ++slot) {
            const std::uint32_t to = other_line(line, slot);
            const bool at_home = !buckets_[line].line.is_displaced(slot);
            if (to == line || (at_home && !may_displace(line, to))) continue;
            prefetch_line(to);
            steps[count] = {
                {line << 3 | slot},
                to,
                static_cast<std::uint8_t>(before < 0 ? static_cast<int>(count) : before)};
            ++count;
        }
    };
    const std::uint32_t alternate_line = alternate(name.home, name.wanted);
    add_line(name.home, -1);
    if (may_displace(name.home, alternate_line)) add_line(alternate_line, -1);
    const std::size_t first = count;
    for (std::size_t i = 0; i < first; ++i) {
        if (place_in(steps[i].to, false, now)) continue;
        add_line(steps[i].to, static_cast<int>(i));
    }
    for (std::size_t i = 0; i < count; ++i) {
        LinePlace room = place_in(steps[i].to, false, now);
        if (!room) continue;
        vacate(room, result);
        for (std::size_t step = i;; step = steps[step].before) {
            move(steps[step].from, room);
            room = steps[step].from;
            if (steps[step].before == step) return room;
        }
    }
    return {};
}

template <typename Format>
typename LineTable<Format>::Inserted LineTable<Format>::insert(const Name& name,
                                                               const FlowValue& value,
                                                               Tick now) noexcept {
    Inserted result;
    if (is_full_for(name, now)) return result;
    const bool full = is_full();
    const std::uint32_t alternate_line = alternate(name.home, name.wanted);
    LinePlace place = place_in(name.home, full, now);
    if (!place && may_displace(name.home, alternate_line))
        place = place_in(alternate_line, full, now);
    if (place) {
        vacate(place, result);
    } else {
        if (full) return result;
        place = make_room(name, now, result);
        if (!place) return result;
        result.moved = true;
    }
    const bool displaced = place.line() != name.home;
    if (displaced) buckets_[name.home].line.count_displaced(true);
    put(place.line(), place.slot(), displaced ? displaced_bit : 0, name, value);
    result.place = place;
    return result;
}

template <typename Format>
void LineTable<Format>::erase(LinePlace place) noexcept {
    FlowLine& words = line(place);
    assert((words.used() >> place.slot() & 1) != 0);
    if (words.is_displaced(place.slot()))
        buckets_[other_line(place.line(), place.slot())].line.count_displaced(false);
    words.clear(place.slot());
    --header_->size;
}

template <typename Format>
std::size_t LineTable<Format>::copy(std::uint32_t& cursor, std::span<Shown> out,
                                    Tick now) const noexcept {
    std::size_t copied = 0;
    for (std::size_t looked = 0; looked < out.size() && cursor < lines_; ++looked) {
        if (out.size() - copied < Format::slots) break;
        const FlowLine& words = buckets_[cursor].line;
        for (std::uint32_t used = words.used(); used != 0; used &= used - 1) {
            const auto slot = static_cast<std::uint32_t>(std::countr_zero(used));
            if (is_past(words.expiry(slot), now)) continue;
            out[copied++] = {key({cursor << 3 | slot}),
                             {words.backend(slot), words.state(slot), words.expiry(slot)}};
        }
        ++cursor;
    }
    return copied;
}

template <typename Format>
std::uint32_t LineTable<Format>::size() const noexcept {
    return header_->size;
}

template <typename Format>
std::uint32_t LineTable<Format>::capacity() const noexcept {
    return header_->entries;
}

template class LineTable<NarrowFormat>;
template class LineTable<WideFormat>;
template class LineTable<RangeFormat>;

}  // namespace weir
