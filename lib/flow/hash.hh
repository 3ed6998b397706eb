// SPDX-License-Identifier: BSD-3-Clause
// The keyed mix under flow_hash() and slot_hash(): folded 64x64 -> 128 bit multiplications, two
// lanes for the addresses and a last one for ports and protocol. The construction follows wyhash
// (Wang Yi, https://github.com/wangyi-fudan/wyhash, public domain); the code is our own.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace weir {

// Both halves of a * b, xored.
[[nodiscard]] constexpr std::uint64_t fold_multiply(std::uint64_t a, std::uint64_t b) noexcept {
    __extension__ using Wide = unsigned __int128;
    const Wide product = static_cast<Wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

using MixWords = std::array<std::uint64_t, 5>;   // source (2), destination (2), ports and protocol
using MixSecret = std::array<std::uint64_t, 4>;  // should look random; all-zero words mix badly

// First digits of pi's fraction: numbers that nobody could have chosen for a purpose.
inline constexpr MixSecret pi_words = {0x243f6a8885a308d3, 0x13198a2e03707344, 0xa4093822299f31d0,
                                       0x082efa98ec4e6c89};

// The mix of five words: constant time, and the latency of three multiplications, as the address
// lanes do not depend on each other.
[[nodiscard]] constexpr std::uint64_t mix_words(const MixWords& words,
                                                const MixSecret& secret) noexcept {
    const std::uint64_t source = fold_multiply(words[0] ^ secret[0], words[1] ^ secret[1]);
    const std::uint64_t destination = fold_multiply(words[2] ^ secret[2], words[3] ^ secret[3]);
    const std::uint64_t addresses = source ^ destination;
    return fold_multiply(pi_words[0] ^ secret[0],
                         fold_multiply(words[4] ^ secret[1], addresses ^ secret[2]));
}

// A secret from 64 bits; different seeds give unrelated secrets. Two multiplications.
[[nodiscard]] constexpr MixSecret expand_seed(std::uint64_t seed) noexcept {
    const std::uint64_t a = fold_multiply(seed ^ pi_words[0], pi_words[2]);
    const std::uint64_t b = fold_multiply(seed ^ pi_words[3], pi_words[1]);
    return {pi_words[0] ^ a, pi_words[1] ^ b, pi_words[2] ^ std::rotl(a, 32),
            pi_words[3] ^ std::rotl(b, 32)};
}

}  // namespace weir
