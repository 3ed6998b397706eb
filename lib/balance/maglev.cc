// SPDX-License-Identifier: BSD-3-Clause
#include "lib/balance/maglev.hh"

#include <algorithm>
#include <array>
#include <bit>

namespace weir {
namespace {

// The finalizer of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014, with Stafford's constants 13): a
// bijection that mixes every bit into every other.
constexpr std::uint64_t mix(std::uint64_t x) noexcept {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

// A value below `bound` from the high half of a mixed hash (multiply-shift).
constexpr std::uint32_t scale(std::uint64_t hash, std::uint32_t bound) noexcept {
    return static_cast<std::uint32_t>(((hash >> 32) * bound) >> 32);
}

class Bitmap {
public:
    explicit Bitmap(std::size_t bits) : words_((bits + 63) / 64) {}
    [[nodiscard]] bool test(std::uint32_t bit) const noexcept {
        return (words_[bit >> 6] >> (bit & 63) & 1) != 0;
    }
    void set(std::uint32_t bit) noexcept { words_[bit >> 6] |= std::uint64_t{1} << (bit & 63); }

private:
    std::vector<std::uint64_t> words_;
};

// A member's way through its permutation of the slots.
struct Walk {
    std::uint64_t rank = 0;            // name hash
    std::uint32_t next = 0, skip = 1;  // slots
    std::uint32_t weight = 0;
    std::uint32_t wait = 1, rest = 0;  // heaviest weight = wait * weight + rest
    std::uint32_t credit = 0;          // 0 .. weight - 1, see TurnWheel
    std::uint32_t link = 0;            // the next walk of the same round, see TurnWheel
    Seat seat = no_seat;
};

// Sorted by name hash, so that the order of the file does not matter.
std::vector<Walk> make_walks(std::span<const MaglevMember> members, std::uint32_t slots) {
    std::vector<Walk> walks;
    walks.reserve(members.size());
    for (std::size_t i = 0; i < members.size(); ++i) {
        const MaglevMember& member = members[i];
        if (member.weight == 0) continue;
        Walk walk;
        walk.rank = member.name_hash;
        walk.next = static_cast<std::uint32_t>(member.name_hash >> 32) % slots;
        walk.skip = slots > 2 ? static_cast<std::uint32_t>(member.name_hash) % (slots - 1) + 1 : 1;
        walk.weight = member.weight;
        walk.seat = static_cast<Seat>(i);
        walks.push_back(walk);
    }
    std::ranges::stable_sort(walks, {}, &Walk::rank);
    return walks;
}

// Who takes a turn in which round. The heaviest member takes one in every round; one of weight w
// gains w credits a round and pays `heaviest` of them for a turn. Members begin with a credit drawn
// from their name, so that the light ones do not all take their turn in the same round.
//
// A queue for each of the next rounds, as a ring: a turn costs O(1) however far weights lie apart.
class TurnWheel {
public:
    explicit TurnWheel(std::vector<Walk>& walks) : walks_(walks) {
        std::uint32_t lightest = 0xffffffff;
        for (const Walk& walk : walks_) {
            heaviest_ = std::max(heaviest_, walk.weight);
            lightest = std::min(lightest, walk.weight);
        }
        queues_.resize(std::bit_ceil(heaviest_ / lightest + 2));
        for (std::uint32_t i = 0; i < walks_.size(); ++i) {
            Walk& walk = walks_[i];
            const std::uint32_t credit = scale(mix(walk.rank), heaviest_);
            const std::uint32_t due = (heaviest_ - credit + walk.weight - 1) / walk.weight;
            walk.wait = heaviest_ / walk.weight;
            walk.rest = heaviest_ % walk.weight;
            walk.credit = credit + due * walk.weight - heaviest_;
            push(i, due - 1);
        }
    }

    // The walk whose turn it is.
    Walk& turn() noexcept {
        while (queues_[round_ & (queues_.size() - 1)].head == none)
            ++round_;
        Queue& queue = queues_[round_ & (queues_.size() - 1)];
        const std::uint32_t i = queue.head;
        Walk& walk = walks_[i];
        queue.head = walk.link;
        const bool late = walk.credit < walk.rest;
        walk.credit = late ? walk.credit + walk.weight - walk.rest : walk.credit - walk.rest;
        push(i, round_ + walk.wait + (late ? 1 : 0));
        return walk;
    }

private:
    static constexpr std::uint32_t none = 0xffffffff;
    struct Queue {
        std::uint32_t head = none, tail = none;
    };

    void push(std::uint32_t i, std::uint64_t round) noexcept {
        Queue& queue = queues_[round & (queues_.size() - 1)];
        walks_[i].link = none;
        (queue.head == none ? queue.head : walks_[queue.tail].link) = i;
        queue.tail = i;
    }

    std::vector<Walk>& walks_;
    std::uint32_t heaviest_ = 0;
    std::uint64_t round_ = 0;
    std::vector<Queue> queues_;  // by round, modulo a power of two above the longest wait
};

// -log2(u / 2^64) with 24 fractional bits, by repeated squaring; at most 64 * 2^24. Integers only.
std::uint64_t minus_log2(std::uint64_t u) noexcept {
    constexpr unsigned fraction_bits = 24;
    u |= 1;
    const auto zeros = static_cast<unsigned>(std::countl_zero(u));
    std::uint64_t x = u << zeros >> 32;  // 1 <= x < 2 with 31 fractional bits
    std::uint64_t fraction = 0;
    for (unsigned i = 0; i < fraction_bits; ++i) {
        x = x * x >> 31;
        const std::uint64_t bit = x >> 32;
        fraction = fraction << 1 | bit;
        x >>= bit;
    }
    return (std::uint64_t{zeros + 1} << fraction_bits) - fraction;
}

struct Candidate {
    MaglevMember member;
    Seat seat;
};

// Smallest -log2(u) / weight wins, so each wins with a probability in proportion to its weight.
Seat rendezvous(std::uint32_t slot, std::span<const Candidate> candidates) noexcept {
    const std::uint64_t salt = mix(~std::uint64_t{slot});
    const Candidate* best = nullptr;
    std::uint64_t best_score = 0;
    for (const Candidate& candidate : candidates) {
        const std::uint64_t score = minus_log2(mix(candidate.member.name_hash ^ salt));
        // Weights have 16 bits and scores 31: no overflow. A tie goes to the smaller name hash.
        const std::uint64_t ours = best != nullptr ? score * best->member.weight : 0;
        const std::uint64_t theirs = best_score * candidate.member.weight;
        if (best == nullptr || ours < theirs ||
            (ours == theirs && candidate.member.name_hash < best->member.name_hash)) {
            best = &candidate;
            best_score = score;
        }
    }
    return best->seat;
}

// The second seat in a slot's order of preference: the n slots of a fallen seat are dealt out by
// systematic sampling, the first draw from its name, at equal steps over the weights of all others.
// So each of the others gets its share of them, rounded up or down.
class Relief {
public:
    explicit Relief(std::span<const MaglevMember> members) : members_(members) {
        starts_.resize(members.size());
        order_.reserve(members.size());
        for (std::size_t i = 0; i < members.size(); ++i)
            order_.push_back(static_cast<Seat>(i));
        std::ranges::stable_sort(order_, {}, [&](Seat seat) { return members[seat].name_hash; });
        ends_.reserve(order_.size());
        for (const Seat seat : order_) {
            starts_[seat] = total_;
            total_ += members[seat].weight;
            ends_.push_back(total_);
        }
    }

    // For slot number `i` of the `n` slots of `fallen`. Precondition: others have a weight.
    [[nodiscard]] Seat draw(Seat fallen, std::uint32_t i, std::uint32_t n) const noexcept {
        const std::uint32_t own = members_[fallen].weight;
        const std::uint32_t others = total_ - own;
        const std::uint64_t first = scale(mix(~members_[fallen].name_hash), others);
        std::uint64_t point = (first + std::uint64_t{i} * others) / n;
        if (point >= starts_[fallen]) point += own;
        const auto end = std::ranges::upper_bound(ends_, point);
        return order_[static_cast<std::size_t>(end - ends_.begin())];
    }

private:
    std::span<const MaglevMember> members_;
    std::vector<Seat> order_;            // all seats by name hash
    std::vector<std::uint32_t> ends_;    // running sums of their weights: 65534 * 65535 < 2^32
    std::vector<std::uint32_t> starts_;  // by seat: the sum before it
    std::uint32_t total_ = 0;
};

// The rest of a slot's order of preference; the first live seat of it.
Seat replacement(std::uint32_t slot, std::span<const Seat> configured, const Bitmap& live_slots,
                 std::span<const Candidate> candidates) noexcept {
    constexpr std::uint32_t tries = 128;
    const auto slots = static_cast<std::uint32_t>(configured.size());
    for (std::uint32_t k = 0; k < tries; ++k) {
        const std::uint32_t other = scale(mix(std::uint64_t{slot} * tries + k + 1), slots);
        if (live_slots.test(other)) return configured[other];
    }
    return rendezvous(slot, candidates);
}

}  // namespace

std::uint64_t maglev_name_hash(std::string_view name) noexcept {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const char c : name)
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return mix(hash);
}

std::uint32_t maglev_default_size(std::size_t backends) noexcept {
    constexpr std::array<std::uint32_t, 7> sizes{1021,    4093,      16'381,    65'537,
                                                 655'373, 6'553'577, 16'777'213};
    for (const std::uint32_t size : sizes) {
        if (size / 100 >= backends) return size;
    }
    return sizes.back();
}

bool is_prime(std::uint32_t n) noexcept {
    for (std::uint64_t d = 2; d * d <= n; ++d) {
        if (n % d == 0) return false;
    }
    return n > 1;
}

std::vector<Seat> maglev_configured(std::span<const MaglevMember> members, std::uint32_t slots) {
    std::vector<Seat> table(slots, no_seat);
    std::vector<Walk> walks = make_walks(members, slots);
    if (walks.empty()) return table;
    TurnWheel wheel(walks);
    Bitmap taken(slots);
    for (std::uint32_t filled = 0; filled < slots; ++filled) {
        Walk& walk = wheel.turn();
        std::uint32_t slot = walk.next;
        // The count of slots is prime, so a walk visits every slot before it repeats one.
        while (taken.test(slot)) {
            slot += walk.skip;
            if (slot >= slots) slot -= slots;
        }
        taken.set(slot);
        table[slot] = walk.seat;
        walk.next = slot;
    }
    return table;
}

std::vector<Seat> maglev_live(std::span<const Seat> configured,
                              std::span<const MaglevMember> members,
                              const std::vector<bool>& live) {
    std::vector<Candidate> candidates;
    std::vector<std::uint8_t> serves(members.size());
    for (std::size_t i = 0; i < members.size(); ++i) {
        if (!live[i] || members[i].weight == 0) continue;
        serves[i] = 1;
        candidates.push_back({members[i], static_cast<Seat>(i)});
    }
    if (candidates.size() < 2) {
        const Seat only = candidates.empty() ? no_seat : candidates.front().seat;
        return std::vector<Seat>(configured.size(), only);
    }

    struct Vacated {
        std::uint32_t slot, number;  // number: among the slots of its seat
    };
    std::vector<Seat> table(configured.begin(), configured.end());
    std::vector<Vacated> vacated;
    std::vector<std::uint32_t> vacated_of(members.size());
    Bitmap live_slots(table.size());
    for (std::uint32_t slot = 0; slot < table.size(); ++slot) {
        const Seat seat = table[slot];
        if (serves[seat] != 0) {
            live_slots.set(slot);
        } else {
            vacated.push_back({slot, vacated_of[seat]++});
        }
    }
    if (vacated.empty()) return table;
    const Relief relief(members);
    for (const auto& [slot, number] : vacated) {
        const Seat seat = relief.draw(table[slot], number, vacated_of[table[slot]]);
        table[slot] =
            serves[seat] != 0 ? seat : replacement(slot, configured, live_slots, candidates);
    }
    return table;
}

}  // namespace weir
