// SPDX-License-Identifier: BSD-3-Clause
// Maglev tables: which seat of a service serves a flow that has no connection entry yet.
//
// Two steps, so that health events move only what they must:
// 1. maglev_configured(): the table over all *configured* backends (Eisenbud et al., "Maglev: A Fast
//    and Reliable Software Network Load Balancer", NSDI 2016, section 3.4). Permutations come from
//    the backend's name, so file order does not matter. Weights: a member of weight w takes w turns
//    for every w_max turns of the heaviest, spread evenly over the rounds.
// 2. maglev_live(): slots of members that are not live go to others, slot by slot. Each slot has a
//    fixed order of preference over all seats that depends on the configured table and the slot
//    alone; the first live seat of it serves. So a member's fall moves its own slots and nothing
//    else, its return gives it back exactly those, in any order of events, and balancers that agree
//    on configuration and health agree on every slot.
//
// Cold: allocates. Bit-exact on every machine (integers only).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "lib/balance/ids.hh"

namespace weir {

struct MaglevMember {
    std::uint64_t name_hash = 0;  // maglev_name_hash(); distinct per member
    std::uint32_t weight = 0;     // 0: configured, but gets no slot; at most 65535
};

[[nodiscard]] std::uint64_t maglev_name_hash(std::string_view name) noexcept;

// The smallest prime of the list (251 ... 16 777 213) with at least 100 slots a backend.
[[nodiscard]] std::uint32_t maglev_default_size(std::size_t backends) noexcept;
[[nodiscard]] bool is_prime(std::uint32_t n) noexcept;

// members[i] is seat i. `slots` must be a prime below 2^31. All weights zero or no member: every
// slot is no_seat. The result depends on the set of (name_hash, weight), not on the order (seat
// numbers follow the members).
[[nodiscard]] std::vector<Seat> maglev_configured(std::span<const MaglevMember> members,
                                                  std::uint32_t slots);

// `live[i]`: seat i may take new flows. No live seat with a slot or weight: all no_seat.
[[nodiscard]] std::vector<Seat> maglev_live(std::span<const Seat> configured,
                                            std::span<const MaglevMember> members,
                                            std::span<const bool> live);

// Multiply-shift, no division: `hash` must be well mixed in its high bits. One load.
[[nodiscard]] inline Seat maglev_lookup(std::span<const Seat> slots, std::uint64_t hash) noexcept {
    return slots[static_cast<std::size_t>(((hash >> 32) * slots.size()) >> 32)];
}

}  // namespace weir
