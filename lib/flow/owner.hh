// SPDX-License-Identifier: BSD-3-Clause
// Owner of a flow: which worker serves it, by a keyed hash of its own. It need only share flows
// evenly in a way that nobody outside foresees, for every packet that changes hands or might; so it
// is made of few multiplications of 32 bits, sixteen packets of which cost little in lanes. Each
// 64-bit word of an address is a term of NH (Black et al., UMAC, CRYPTO 1999; RFC 4418, 5.2.2): the
// product of its halves, a key added to each; then ports and protocol times a key; and one round of
// shift and multiplication to spread their sum, since neighbours among clients have neighbouring
// sums.
#pragma once

#include <bit>
#include <cstdint>

#include "lib/flow/key.hh"

namespace weir {

struct OwnerKeys {
    std::uint64_t source, source_rest, destination, destination_rest;
    std::uint64_t rest, last;  // odd
};
[[nodiscard]] inline OwnerKeys owner_keys(const HashSecret& secret) noexcept {
    const MixSecret& w = secret.words;
    const std::uint64_t a = w[0] ^ pi_words[0], b = w[1] ^ pi_words[1], c = w[2] ^ pi_words[2],
                        d = w[3] ^ pi_words[3];
    return {a, b, c, d, (std::rotl(b, 17) ^ d) | 1, (std::rotl(c, 29) ^ a) | 1};
}

// A term of NH. Each half of the word has its own addition of 32 bits.
[[nodiscard]] constexpr std::uint64_t nh_term(std::uint64_t word, std::uint64_t key) noexcept {
    const std::uint32_t low = static_cast<std::uint32_t>(word) + static_cast<std::uint32_t>(key);
    const auto high = static_cast<std::uint32_t>((word >> 32) + (key >> 32));
    return std::uint64_t{low} * high;
}

// 0 .. workers-1. `secret`: of this boot. Cost: 5 cycles.
[[nodiscard]] inline std::uint32_t owner_of(const FlowWords& words, std::uint32_t workers,
                                            const HashSecret& secret) noexcept {
    const OwnerKeys keys = owner_keys(secret);
    const std::uint64_t sum =
        nh_term(words.source, keys.source) + nh_term(words.source_rest, keys.source_rest) +
        nh_term(words.destination, keys.destination) +
        nh_term(words.destination_rest, keys.destination_rest) + words.rest * keys.rest;
    const std::uint64_t spread = (sum ^ sum >> 32) * keys.last;
    return static_cast<std::uint32_t>(((spread >> 32) * workers) >> 32);
}

}  // namespace weir
