// SPDX-License-Identifier: BSD-3-Clause
// The second step of maglev.hh: the slots of those that are not live go to others.
#include <algorithm>
#include <bit>

#include "lib/balance/maglev.hh"
#include "lib/balance/maglev_parts.hh"

namespace weir {
namespace {

constexpr auto mix = maglev_mix;
constexpr auto scale = maglev_scale;

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
    explicit Relief(std::span<const MaglevMember> members)
        : members_(members), order_(maglev_order(members)) {
        starts_.resize(members.size());
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
    std::vector<Seat> order_;
    std::vector<std::uint32_t> ends_;    // running sums of their weights: 65534 * 65535 < 2^32
    std::vector<std::uint32_t> starts_;  // by seat: the sum before it
    std::uint32_t total_ = 0;
};

// Bit i % 64 of word i / 64: slot i's own seat does not serve. A word costs no branch, as most
// slots differ from their neighbours.
std::vector<std::uint64_t> vacant_slots(std::span<const Seat> configured,
                                        std::span<const std::uint8_t> serves) {
    std::vector<std::uint64_t> words((configured.size() + 63) / 64);
    for (std::size_t first = 0; first < configured.size(); first += 64) {
        const std::size_t count = std::min<std::size_t>(64, configured.size() - first);
        std::uint64_t word = 0;
        for (std::size_t i = 0; i < count; ++i)
            word |= std::uint64_t{serves[configured[first + i]] ^ 1u} << i;
        words[first / 64] = word;
    }
    return words;
}

// The rest of a slot's order of preference; the first live seat of it.
class Substitutes {
public:
    Substitutes(std::span<const Seat> configured, std::span<const MaglevMember> members,
                std::span<const std::uint8_t> serves)
        : configured_(configured), members_(members), serves_(serves) {}

    Seat of(std::uint32_t slot) {
        constexpr std::uint32_t tries = 128;
        const auto slots = static_cast<std::uint32_t>(configured_.size());
        for (std::uint32_t k = 0; k < tries; ++k) {
            const std::uint32_t other = scale(mix(std::uint64_t{slot} * tries + k + 1), slots);
            if (serves_[configured_[other]] != 0) return configured_[other];
        }
        if (candidates_.empty()) list_candidates();
        return rendezvous(slot, candidates_);
    }

private:
    void list_candidates() {
        for (std::size_t i = 0; i < members_.size(); ++i) {
            if (serves_[i] != 0) candidates_.push_back({members_[i], static_cast<Seat>(i)});
        }
    }

    std::span<const Seat> configured_;
    std::span<const MaglevMember> members_;
    std::span<const std::uint8_t> serves_;
    std::vector<Candidate> candidates_;  // empty: not needed yet
};

}  // namespace

std::vector<Seat> maglev_live(std::span<const Seat> configured,
                              std::span<const MaglevMember> members,
                              const std::vector<bool>& live) {
    std::vector<std::uint8_t> serves(members.size());
    for (std::size_t i = 0; i < members.size(); ++i)
        serves[i] = live[i] && members[i].weight != 0 ? 1 : 0;
    if (std::ranges::count(serves, 1) < 2) {
        const auto only = std::ranges::find(serves, 1);
        const Seat seat = only == serves.end() ? no_seat : static_cast<Seat>(only - serves.begin());
        return std::vector<Seat>(configured.size(), seat);
    }

    std::vector<Seat> table(configured.begin(), configured.end());
    struct Vacated {
        std::uint32_t slot, number;  // number: among the slots of its seat
    };
    std::vector<Vacated> vacated;
    std::vector<std::uint32_t> vacated_of(members.size());
    const std::vector<std::uint64_t> vacant = vacant_slots(configured, serves);
    for (std::size_t i = 0; i < vacant.size(); ++i) {
        for (std::uint64_t word = vacant[i]; word != 0; word &= word - 1) {
            const auto slot = static_cast<std::uint32_t>(i * 64) +
                              static_cast<std::uint32_t>(std::countr_zero(word));
            vacated.push_back({slot, vacated_of[configured[slot]]++});
        }
    }
    if (vacated.empty()) return table;
    const Relief relief(members);
    Substitutes substitutes(configured, members, serves);
    for (const auto& [slot, number] : vacated) {
        const Seat own = configured[slot];
        const Seat seat = relief.draw(own, number, vacated_of[own]);
        table[slot] = serves[seat] != 0 ? seat : substitutes.of(slot);
    }
    return table;
}

}  // namespace weir
