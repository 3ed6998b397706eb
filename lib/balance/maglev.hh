// SPDX-License-Identifier: BSD-3-Clause
// Maglev tables: which seat of a service serves a flow that has no connection entry yet.
//
// Two steps, so that health events move only what they must:
// 1. maglev_configured(): the table over all *configured* backends (Eisenbud et al., "Maglev: A
//    Fast and Reliable Software Network Load Balancer", NSDI 2016, section 3.4). Permutations come
//    from the backend's name, so file order does not matter. Weights are ours: a member of weight w
//    takes w turns for every w_max turns of the heaviest, evenly spaced; after any number of rounds
//    it is less than one turn off its share.
// 2. maglev_live(): slots of members that are not live go to others, slot by slot. Each slot has a
//    fixed order of preference over all seats that depends on the configured table and the slot
//    alone; the first live seat of it serves. So a member's fall moves its own slots and nothing
//    else, its return gives it back exactly those, in any order of events, and balancers that agree
//    on configuration and health agree on every slot.
//    The order of a slot: its own seat; then a seat drawn so that the slots of one member are dealt
//    out evenly over all others, by weight; then the seats of 128 slots drawn by a hash of (slot,
//    try); then all seats by weighted rendezvous (Thaler and Ravishankar 1998, with the logarithmic
//    weights of Schindelhauer and Schomaker 2005), which serves when only few are left.
//
// Cold: allocates. Bit-exact on every machine (integers only), and pinned by tests: a change of a
// single slot would tear flows apart between two balancers of different versions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "lib/balance/ids.hh"

namespace weir {

struct MaglevMember {
    std::uint64_t name_hash = 0;  // maglev_name_hash(); distinct per member
    std::uint32_t weight = 0;     // 0: configured, but gets no slot ever; at most 65535
    friend bool operator==(const MaglevMember&, const MaglevMember&) = default;
};

// FNV-1a, then a 64-bit finalizer.
[[nodiscard]] std::uint64_t maglev_name_hash(std::string_view name) noexcept;

// The smallest prime of the list 1021, 4093, 16 381, 65 537, 655 373, 6 553 577, 16 777 213 with at
// least 100 slots a backend. It begins at 1021 and not near 100: with three backends of weights
// 3:2:1 one slot of 307 is 2 % of the smallest share, one of 1021 is 0.6 %. It jumps to 655 373
// because a thousand backends need some 500 slots each to stay within 5 % of the average when a
// tenth of them is down. Two bytes a slot for workers, four in all.
[[nodiscard]] std::uint32_t maglev_default_size(std::size_t backends) noexcept;
[[nodiscard]] bool is_prime(std::uint32_t n) noexcept;

// members[i] is seat i, at most 65534 of them. `slots` must be a prime below 2^31. All weights zero
// or no member: every slot is no_seat. The result depends on the set of (name_hash, weight), not on
// the order (seat numbers follow the members).
// Cost: about slots * ln(slots) / 2 probes of a byte a slot: with 1000 members some 0.5 ms for
// 65 537 slots and 7 ms for 655 373; with unequal weights half as much again.
[[nodiscard]] std::vector<Seat> maglev_configured(std::span<const MaglevMember> members,
                                                  std::uint32_t slots);

// The table to publish. `configured`: of maglev_configured(members); live[i]: seat i may take new
// flows, one for each member. Seats of weight 0 never take any, live or not; no live seat with a
// weight: every slot is no_seat. A live member with a weight but without a slot in `configured`
// (its share is below one slot) gets some only from those that fell; with all others down,
// everything. Cost: one pass over the slots (0.03 ms for 65 537 of them), and a few hashes for each
// slot that moves (up to some 200 ns each when all but a few of a thousand members are down).
[[nodiscard]] std::vector<Seat> maglev_live(std::span<const Seat> configured,
                                            std::span<const MaglevMember> members,
                                            const std::vector<bool>& live);

// Multiply-shift, no division: `hash` must be well mixed in its high bits. One load. Precondition:
// slots is not empty.
[[nodiscard]] inline Seat maglev_lookup(std::span<const Seat> slots, std::uint64_t hash) noexcept {
    return slots[static_cast<std::size_t>(((hash >> 32) * slots.size()) >> 32)];
}

}  // namespace weir
