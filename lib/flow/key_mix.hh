// SPDX-License-Identifier: BSD-3-Clause
// KeyMix: a keyed permutation of 64-bit words. A connection table that stores a permuted key knows
// the key itself, so comparing is exact and an entry can be turned back into its addresses.
//
// Three rounds of xor and odd multiplication by secret words, with the high half folded into the
// low one between them. The last multiplication alone keeps two given keys out of one line but for
// chance (Dietzfelbinger et al., "A Reliable Randomized Algorithm for the Closest-Pair Problem",
// J. Algorithms 1997); the rounds before it break up progressions, which a single one would line
// up. No factor is public, so that keys which share a line cannot be computed without the secret.
// Not a cipher: whoever sees the results may learn the secret; they never leave the process.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/flow/hash.hh"
#include "lib/flow/key.hh"

namespace weir {

class KeyMix {
public:
    // Different `purpose`: another permutation and another tweak of the same secret.
    KeyMix(const HashSecret& secret, std::uint64_t purpose) noexcept {
        const auto word = [&](std::uint64_t i) {
            return mix_words({pi_words[i % 4], purpose, i, ~purpose, i + 1}, secret.words);
        };
        for (std::size_t i = 0; i < rounds; ++i) {
            add_[i] = word(3 * i);
            factor_[i] = word(3 * i + 1) | 1;
            inverse_[i] = inverse(factor_[i]);
        }
        tweak_ = {word(100), word(101)};
    }

    // Well mixed in its high bits, which is where the tables look. 13 cycles alone, 4 in a burst.
    [[nodiscard]] std::uint64_t mix(std::uint64_t word) const noexcept {
        word = (word ^ add_[0]) * factor_[0];
        word = ((word ^ word >> 32) ^ add_[1]) * factor_[1];
        return ((word ^ word >> 32) ^ add_[2]) * factor_[2];
    }
    // unmix(mix(word)) == word. A xor of the high half into the low one undoes itself.
    [[nodiscard]] std::uint64_t unmix(std::uint64_t mixed) const noexcept {
        mixed = mixed * inverse_[2] ^ add_[2];
        mixed = (mixed ^ mixed >> 32) * inverse_[1] ^ add_[1];
        return (mixed ^ mixed >> 32) * inverse_[0] ^ add_[0];
    }

    // What mix() and tweak() are made of, for twins of them over many words.
    static constexpr std::size_t rounds = 3;
    [[nodiscard]] std::uint64_t add(std::size_t round) const noexcept { return add_[round]; }
    [[nodiscard]] std::uint64_t tweak_word(std::size_t i) const noexcept { return tweak_[i]; }
    [[nodiscard]] std::uint64_t factor(std::size_t round) const noexcept { return factor_[round]; }

    // A keyed hash of two words, for keys of more than 64 bits: mix(rest ^ tweak(a, b)) depends on
    // all of the key, and is a permutation of `rest` for every a and b.
    [[nodiscard]] std::uint64_t tweak(std::uint64_t a, std::uint64_t b) const noexcept {
        return fold_multiply(a ^ tweak_[0], b ^ tweak_[1]);
    }

private:
    // Newton's iteration doubles the correct low bits: 3 (odd * odd == 1 mod 8), 6, 12, .. 96.
    [[nodiscard]] static constexpr std::uint64_t inverse(std::uint64_t odd) noexcept {
        std::uint64_t result = odd;
        for (int i = 0; i < 5; ++i)
            result *= 2 - odd * result;
        return result;
    }

    std::array<std::uint64_t, rounds> add_, factor_, inverse_;
    std::array<std::uint64_t, 2> tweak_;
};

}  // namespace weir
