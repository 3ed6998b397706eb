// SPDX-License-Identifier: BSD-3-Clause
// FlowKey: the exact five-tuple, and the two hashes of it.
//
// The flow hash is keyed with a secret of this boot: it picks the owner worker and the bucket of
// the connection table, and nobody outside can choose collisions. The slot hash is keyed with the
// cluster's `hash_seed`: it picks the slot of a service's table, bit-exact on every CPU and boot,
// so that balancers of a cluster agree.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "lib/flow/hash.hh"
#include "lib/wire/address.hh"
#include "lib/wire/headers.hh"
#include "lib/wire/parse.hh"

namespace weir {

// One Word at `at` bytes into `object`, in the low end of the result.
template <typename Word>
[[nodiscard]] inline std::uint64_t load_word(const void* object, std::size_t at) noexcept {
    Word word;
    std::memcpy(&word, static_cast<const std::byte*>(object) + at, sizeof word);
    return word;
}

// 40 bytes without padding, so that equality and hashing may read it as five 64-bit words. That
// reading is for little-endian machines, all that DPDK's x86 and ARM builds run on.
static_assert(std::endian::native == std::endian::little);
struct FlowKey {
    std::array<std::uint8_t, 16> source{}, destination{};  // IPv4: first 4 bytes, the rest zero
    std::uint16_t source_port = 0, destination_port = 0;   // host byte order
    std::uint8_t protocol = 0;
    Family family = Family::v4;
    std::uint16_t zero = 0;
    friend bool operator==(const FlowKey& a, const FlowKey& b) noexcept {
        const auto difference = [&](std::size_t at) {
            return load_word<std::uint64_t>(&a, at) ^ load_word<std::uint64_t>(&b, at);
        };
        return (difference(0) | difference(8) | difference(16) | difference(24) | difference(32)) ==
               0;
    }

    [[nodiscard]] IpAddress source_address() const noexcept { return {source, family}; }
    [[nodiscard]] IpAddress destination_address() const noexcept { return {destination, family}; }
};
static_assert(sizeof(FlowKey) == 40);

// Key of a parsed frame. Ports are zero unless parsed.l4 is ok. Precondition: parsed.l3 == ip and
// `frame` is what was parsed.
//
// Put together in registers: a key written to memory byte by byte makes every wider load that
// follows wait for the small stores (key and hash took 29 cycles that way, and take 7).
[[nodiscard]] inline FlowKey flow_key(const std::uint8_t* frame, const Parsed& parsed) noexcept {
    const std::uint8_t* ip = frame + parsed.l3_offset;
    std::uint64_t source, source_rest = 0, destination, destination_rest = 0;
    if (parsed.family == Family::v4) {
        source = load_word<std::uint32_t>(ip, offsetof(Ipv4Header, source));
        destination = load_word<std::uint32_t>(ip, offsetof(Ipv4Header, destination));
    } else {
        source = load_word<std::uint64_t>(ip, offsetof(Ipv6Header, source));
        source_rest = load_word<std::uint64_t>(ip, offsetof(Ipv6Header, source) + 8);
        destination = load_word<std::uint64_t>(ip, offsetof(Ipv6Header, destination));
        destination_rest = load_word<std::uint64_t>(ip, offsetof(Ipv6Header, destination) + 8);
    }
    std::uint64_t rest = std::uint64_t{parsed.protocol} << 32 |
                         std::uint64_t{static_cast<std::uint8_t>(parsed.family)} << 40;
    if (parsed.l4 == L4Status::ok)
        rest |= parsed.source_port | std::uint64_t{parsed.destination_port} << 16;
    return std::bit_cast<FlowKey>(
        MixWords{source, source_rest, destination, destination_rest, rest});
}

struct HashSecret {
    MixSecret words{};
};
// From the system's random source (getrandom). Control plane, once per start. Throws
// std::system_error when the kernel has none.
HashSecret random_hash_secret();

// The key as the five words that are hashed.
[[nodiscard]] inline MixWords key_words(const FlowKey& key) noexcept {
    return std::bit_cast<MixWords>(key);
}

// Well mixed in all 64 bits. Constant time in the key. About 10 cycles.
[[nodiscard]] inline std::uint64_t flow_hash(const FlowKey& key,
                                             const HashSecret& secret) noexcept {
    return mix_words(key_words(key), secret.words);
}

// Well mixed in all 64 bits; the same value for the same key and seed on every machine, for ever: a
// test pins known answers.
[[nodiscard]] std::uint64_t slot_hash(const FlowKey& key, std::uint64_t seed) noexcept;

}  // namespace weir
