// SPDX-License-Identifier: BSD-3-Clause
// The first step of maglev.hh: the table over all configured members.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "lib/balance/maglev.hh"
#include "lib/balance/maglev_parts.hh"

namespace weir {
namespace {

// Sum modulo `slots` of two values below it. No branch.
inline std::uint32_t plus(std::uint32_t a, std::uint32_t b, std::uint32_t slots) noexcept {
    const std::uint32_t sum = a + b;
    return std::min(sum, sum - slots);
}

// The same, four at once.
using Four = std::uint32_t __attribute__((vector_size(16)));
inline Four plus(Four a, Four b, std::uint32_t slots) noexcept {
    const Four sum = a + b, less = sum - slots;
    return sum < less ? sum : less;
}

// A factor below `slots`, and factor * 2^32 / slots.
struct Factor {
    std::uint32_t value, scaled;
};
inline Factor make_factor(std::uint64_t value, std::uint32_t slots) noexcept {
    return {static_cast<std::uint32_t>(value), static_cast<std::uint32_t>((value << 32) / slots)};
}

// A product modulo `slots`: its remainder by an estimate of the quotient that is at most one too
// small (Shoup; see Harvey, "Faster Arithmetic for Number-Theoretic Transforms", 2014, section 2).
inline std::uint32_t times(std::uint32_t a, Factor b, std::uint32_t slots) noexcept {
    const auto quotient = static_cast<std::uint32_t>(std::uint64_t{b.scaled} * a >> 32);
    const std::uint32_t product = b.value * a - quotient * slots;
    return std::min(product, product - slots);
}

// A member's way through its permutation of the slots: `skip` further with every step.
struct Walk {
    static constexpr unsigned steps = 8;           // looked at together, see look_ahead()
    std::array<std::uint32_t, steps + 1> ahead{};  // i steps, in slots
    std::uint32_t next = 0;                        // slot, not looked at yet
    Seat seat = no_seat;
    [[nodiscard]] std::uint32_t skip() const noexcept { return ahead[1]; }
};

Walk make_walk(std::uint64_t name_hash, Seat seat, std::uint32_t slots) {
    Walk walk;
    walk.next = static_cast<std::uint32_t>(name_hash >> 32) % slots;
    const std::uint32_t skip =
        slots > 2 ? static_cast<std::uint32_t>(name_hash) % (slots - 1) + 1 : 1;
    for (unsigned i = 0; i < Walk::steps; ++i)
        walk.ahead[i + 1] = plus(walk.ahead[i], skip, slots);
    walk.seat = seat;
    return walk;
}

// The same with a view of which slots ahead are free, see look_far().
struct alignas(32) FarWalk {
    static constexpr unsigned steps = 32;  // looked at together
    std::uint32_t next = 0;                // as in Walk
    Factor skip{};
    std::uint32_t start = 0, seen = 0;  // bit i of `seen`: i steps from `start` was a free slot
    Seat seat = no_seat;
};

// Whose turn it is when all weigh the same: one after the other.
class TurnCircle {
public:
    explicit TurnCircle(std::size_t walks) : walks_(static_cast<std::uint32_t>(walks)) {}
    std::uint32_t turn() noexcept {
        const std::uint32_t now = next_++;
        if (next_ == walks_) next_ = 0;
        return now;
    }

private:
    std::uint32_t walks_, next_ = 0;
};

// Who takes a turn in which round. The heaviest member takes one in every round; one of weight w
// gains w credits a round and pays `heaviest` of them for a turn. Members begin with a credit drawn
// from their name, so that the light ones do not all take their turn in the same round. With equal
// weights everyone takes one in every round: a TurnCircle.
//
// A queue for each of the next rounds, as a ring: a turn costs O(1) however far weights lie apart.
class TurnWheel {
public:
    explicit TurnWheel(std::span<const MaglevMember> in_order) {
        std::uint32_t lightest = 0xffffffff;
        for (const MaglevMember& member : in_order) {
            heaviest_ = std::max(heaviest_, member.weight);
            lightest = std::min(lightest, member.weight);
        }
        queues_.resize(std::bit_ceil(heaviest_ / lightest + 2));
        pace_.resize(in_order.size());
        for (std::uint32_t i = 0; i < pace_.size(); ++i) {
            Pace& pace = pace_[i];
            const std::uint32_t weight = in_order[i].weight;
            const std::uint32_t credit = maglev_scale(maglev_mix(in_order[i].name_hash), heaviest_);
            const std::uint32_t due = (heaviest_ - credit + weight - 1) / weight;
            pace.weight = weight;
            pace.wait = heaviest_ / weight;
            pace.rest = heaviest_ % weight;
            pace.credit = credit + due * weight - heaviest_;
            push(i, due - 1);
        }
    }

    std::uint32_t turn() noexcept {
        while (queues_[round_ & (queues_.size() - 1)].head == none)
            ++round_;
        Queue& queue = queues_[round_ & (queues_.size() - 1)];
        const std::uint32_t i = queue.head;
        Pace& pace = pace_[i];
        queue.head = pace.link;
        const bool late = pace.credit < pace.rest;
        pace.credit = late ? pace.credit + pace.weight - pace.rest : pace.credit - pace.rest;
        push(i, round_ + pace.wait + (late ? 1 : 0));
        return i;
    }

private:
    static constexpr std::uint32_t none = 0xffffffff;
    struct Queue {
        std::uint32_t head = none, tail = none;
    };
    struct Pace {
        std::uint32_t weight = 0;
        std::uint32_t wait = 1, rest = 0;  // heaviest weight = wait * weight + rest
        std::uint32_t credit = 0;          // 0 .. weight - 1
        std::uint32_t link = 0;            // the next of the same round
    };

    void push(std::uint32_t i, std::uint64_t round) noexcept {
        Queue& queue = queues_[round & (queues_.size() - 1)];
        pace_[i].link = none;
        (queue.head == none ? queue.head : pace_[queue.tail].link) = i;
        queue.tail = i;
    }

    std::vector<Pace> pace_;
    std::uint32_t heaviest_ = 0;
    std::uint64_t round_ = 0;
    std::vector<Queue> queues_;  // by round, modulo a power of two above the longest wait
};

// Gives every slot to the walk whose turn it is and that meets it first. While many are free, by
// looking at the next slots of the walk, some at a time: tested without a branch, as the processor
// could not foretell the answer. A turn then looks at slots / free of them on average, so the few
// last ones would cost most: for them, the walk's steps to each free slot are computed instead.
class Filler {
public:
    Filler(std::vector<Walk>& walks, std::uint32_t slots)
        : walks_(walks), slots_(slots), table_(slots, no_seat), free_(slots, 1) {}

    template <typename Turns>
    std::vector<Seat> fill(Turns turns) {
        // Both ways cost the same at about the square root.
        const auto last = static_cast<std::uint32_t>(std::sqrt(slots_));
        // With fewer turns than these, a walk comes to a slot that it has seen so late that others
        // have often taken it.
        constexpr std::uint32_t many_turns = 128;
        if (slots_ / many_turns >= walks_.size())
            look_far(turns, last);
        else
            look_ahead(turns, last);
        list_last();
        while (!last_.empty())
            compute(turns.turn());
        return std::move(table_);
    }

private:
    // Both look until `last` slots are free.
    // The next slots are looked at in every turn anew. The first groups of four nearly always hold
    // a free one.
    template <typename Turns>
    void look_ahead(Turns& turns, std::uint32_t last) noexcept {
        std::uint32_t left = slots_;
        for (; left > std::max(last, slots_ / 4); --left)
            look_ahead<4>(walks_[turns.turn()]);
        for (; left > last; --left)
            look_ahead<Walk::steps>(walks_[turns.turn()]);
    }

    // Each slot is looked at once, with others of its walk; those that were free then are looked at
    // again when the walk comes to them.
    template <typename Turns>
    void look_far(Turns& turns, std::uint32_t last) {
        std::vector<FarWalk> walks;
        walks.reserve(walks_.size());
        for (const Walk& walk : walks_)
            walks.push_back({walk.next, make_factor(walk.skip(), slots_), 0, 0, walk.seat});
        for (std::uint32_t left = slots_; left > last; --left)
            take_seen(walks[turns.turn()]);
        // Slots before the next one that was seen are taken: it makes no difference to begin there.
        for (std::size_t i = 0; i < walks.size(); ++i)
            walks_[i].next = walks[i].seen != 0 ? walks[i].start : walks[i].next;
    }

    [[gnu::always_inline]] void take_seen(FarWalk& walk) noexcept {
        for (;;) {
            if (walk.seen == 0) [[unlikely]]
                see(walk);
            const auto steps = static_cast<std::uint32_t>(std::countr_zero(walk.seen));
            const std::uint32_t slot = plus(walk.start, times(steps, walk.skip, slots_), slots_);
            walk.seen &= walk.seen - 1;
            if (free_[slot] != 0) {
                free_[slot] = 0;
                table_[slot] = walk.seat;
                return;
            }
        }
    }

    [[gnu::noinline]] void see(FarWalk& walk) const noexcept {
        const std::uint8_t* const free = free_.data();
        const std::uint32_t one = walk.skip.value, two = plus(one, one, slots_);
        const Four four = Four{} + plus(two, two, slots_);
        Four at = plus(Four{} + walk.next, Four{0, one, two, plus(one, two, slots_)}, slots_);
        std::uint32_t seen = 0;
        do {
            alignas(Four) std::array<std::uint32_t, FarWalk::steps> places;
            for (unsigned i = 0; i < FarWalk::steps; i += 4) {
                std::memcpy(&places[i], &at, sizeof at);
                at = plus(at, four, slots_);
            }
            walk.start = places[0];
#pragma GCC unroll 32
            for (unsigned i = 0; i < FarWalk::steps; ++i)
                seen |= std::uint32_t{free[places[i]]} << i;
        } while (seen == 0);
        walk.seen = seen;
        walk.next = at[0];
    }

    template <unsigned count>
    void look_ahead(Walk& walk) noexcept {
        for (;;) {
            unsigned found = 0;
            for (unsigned i = 0; i < count; ++i)
                found |= unsigned{free_[plus(walk.next, walk.ahead[i], slots_)]} << i;
            if (found != 0) {
                const auto steps = static_cast<unsigned>(std::countr_zero(found));
                const std::uint32_t slot = plus(walk.next, walk.ahead[steps], slots_);
                free_[slot] = 0;
                table_[slot] = walk.seat;
                walk.next = plus(walk.next, walk.ahead[steps + 1], slots_);
                return;
            }
            walk.next = plus(walk.next, walk.ahead[count], slots_);
        }
    }

    // Eight slots at a time, as few of them hold a free one.
    void list_last() {
        free_.resize((free_.size() + 7) / 8 * 8);
        for (std::uint32_t first = 0; first < slots_; first += 8) {
            std::uint64_t eight = 0;
            std::memcpy(&eight, &free_[first], sizeof eight);
            if (eight == 0) continue;
            for (std::uint32_t slot = first; slot < first + 8; ++slot) {
                if (free_[slot] != 0) last_.push_back(slot);
            }
        }
        invert_skips();
    }

    // All inverses from one (Montgomery, "Speeding the Pollard and Elliptic Curve Methods", 1987,
    // 10.3.1), and that by Fermat: skip ^ (slots - 2).
    void invert_skips() {
        std::vector<std::uint64_t> products;
        std::uint64_t product = 1 % slots_;
        for (const Walk& walk : walks_) {
            products.push_back(product);
            product = product * walk.skip() % slots_;
        }
        std::uint64_t inverse = 1 % slots_;
        for (std::uint32_t power = slots_ - 2; power != 0; power >>= 1) {
            if ((power & 1) != 0) inverse = inverse * product % slots_;
            product = product * product % slots_;
        }
        inverses_.resize(walks_.size());
        for (std::size_t i = walks_.size(); i-- > 0;) {
            const std::uint64_t one = inverse * products[i] % slots_;
            inverse = inverse * walks_[i].skip() % slots_;
            inverses_[i] = make_factor(one, slots_);
        }
    }

    // Steps from walk.next to a slot: distance / skip modulo `slots_`. A loop of plain arithmetic.
    void compute(std::uint32_t turn) noexcept {
        Walk& walk = walks_[turn];
        const Factor inverse = inverses_[turn];
        std::uint32_t fewest = slots_;
        for (const std::uint32_t slot : last_) {
            const std::uint32_t difference = slot - walk.next;
            const std::uint32_t distance = std::min(difference, difference + slots_);
            fewest = std::min(fewest, times(distance, inverse, slots_));
        }
        const auto slot =
            static_cast<std::uint32_t>((walk.next + std::uint64_t{fewest} * walk.skip()) % slots_);
        table_[slot] = walk.seat;
        walk.next = plus(slot, walk.skip(), slots_);
        std::uint32_t place = 0;
        for (std::uint32_t i = 0; i < last_.size(); ++i)
            place |= last_[i] == slot ? i : 0;
        last_[place] = last_.back();
        last_.pop_back();
    }

    std::vector<Walk>& walks_;
    const std::uint32_t slots_;
    std::vector<Seat> table_;
    std::vector<std::uint8_t> free_;  // by slot: 1 or 0
    std::vector<std::uint32_t> last_;
    std::vector<Factor> inverses_;  // of the skips, by walk
};

}  // namespace

std::vector<Seat> maglev_configured(std::span<const MaglevMember> members, std::uint32_t slots) {
    std::vector<Walk> walks;
    std::vector<MaglevMember> in_order;
    walks.reserve(members.size());
    in_order.reserve(members.size());
    for (const Seat seat : maglev_order(members)) {
        if (members[seat].weight == 0) continue;
        walks.push_back(make_walk(members[seat].name_hash, seat, slots));
        in_order.push_back(members[seat]);
    }
    if (walks.empty()) return std::vector<Seat>(slots, no_seat);
    const bool equal = std::ranges::all_of(in_order, [&](const MaglevMember& member) {
        return member.weight == in_order.front().weight;
    });
    Filler filler(walks, slots);
    return equal ? filler.fill(TurnCircle(walks.size())) : filler.fill(TurnWheel(in_order));
}

}  // namespace weir
