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

// The key as five words in registers. A key written to memory in small pieces makes every wider
// load that follows wait for the stores, so what is hot goes from the frame to the hash with these.
struct FlowWords {
    std::uint64_t source = 0, source_rest = 0, destination = 0, destination_rest = 0;
    std::uint64_t rest = 0;  // source port, destination port, protocol, family

    [[nodiscard]] bool is_v4() const noexcept {
        return static_cast<std::uint8_t>(rest >> 40) == static_cast<std::uint8_t>(Family::v4);
    }
    void store(FlowKey& key) const noexcept {
        auto* at = reinterpret_cast<std::byte*>(&key);
        std::memcpy(at, &source, 8);
        std::memcpy(at + 8, &source_rest, 8);
        std::memcpy(at + 16, &destination, 8);
        std::memcpy(at + 24, &destination_rest, 8);
        std::memcpy(at + 32, &rest, 8);
    }
};

// `ip`: the IP header of `family`. Ports in host byte order.
[[nodiscard]] inline FlowWords flow_words(const std::uint8_t* ip, Family family,
                                          std::uint8_t protocol, std::uint16_t source_port,
                                          std::uint16_t destination_port) noexcept {
    FlowWords words;
    if (family == Family::v4) {
        words.source = load_word<std::uint32_t>(ip, offsetof(Ipv4Header, source));
        words.destination = load_word<std::uint32_t>(ip, offsetof(Ipv4Header, destination));
    } else {
        words.source = load_word<std::uint64_t>(ip, offsetof(Ipv6Header, source));
        words.source_rest = load_word<std::uint64_t>(ip, offsetof(Ipv6Header, source) + 8);
        words.destination = load_word<std::uint64_t>(ip, offsetof(Ipv6Header, destination));
        words.destination_rest =
            load_word<std::uint64_t>(ip, offsetof(Ipv6Header, destination) + 8);
    }
    words.rest = std::uint64_t{source_port} | std::uint64_t{destination_port} << 16 |
                 std::uint64_t{protocol} << 32 |
                 std::uint64_t{static_cast<std::uint8_t>(family)} << 40;
    return words;
}

// Of a parsed frame. Ports are zero unless parsed.l4 is ok. Precondition: parsed.l3 == ip and
// `frame` is what was parsed.
[[nodiscard]] inline FlowWords flow_words(const std::uint8_t* frame,
                                          const Parsed& parsed) noexcept {
    const bool ports = parsed.l4 == L4Status::ok;
    return flow_words(frame + parsed.l3_offset, parsed.family, parsed.protocol,
                      ports ? parsed.source_port : std::uint16_t{0},
                      ports ? parsed.destination_port : std::uint16_t{0});
}

[[nodiscard]] inline FlowKey flow_key(const std::uint8_t* frame, const Parsed& parsed) noexcept {
    FlowKey key;
    flow_words(frame, parsed).store(key);
    return key;
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

// Well mixed in all 64 bits. Constant time in the key. About 5 cycles.
[[nodiscard]] inline std::uint64_t flow_hash(const FlowWords& words,
                                             const HashSecret& secret) noexcept {
    return mix_words(
        {words.source, words.source_rest, words.destination, words.destination_rest, words.rest},
        secret.words);
}
[[nodiscard]] inline std::uint64_t flow_hash(const FlowKey& key,
                                             const HashSecret& secret) noexcept {
    return mix_words(key_words(key), secret.words);
}

// The cluster's seed, and what slot_hash() makes of it.
class SlotSeed {
public:
    SlotSeed(std::uint64_t seed = 0) noexcept : seed_(seed), secret_(expand_seed(seed)) {}
    [[nodiscard]] const MixSecret& secret() const noexcept { return secret_; }
    friend bool operator==(const SlotSeed& a, const SlotSeed& b) noexcept {
        return a.seed_ == b.seed_;
    }

private:
    std::uint64_t seed_;
    MixSecret secret_;
};

// Well mixed in all 64 bits; the same value for the same key and seed on every machine, for ever: a
// test pins known answers.
[[nodiscard]] inline std::uint64_t slot_hash(const FlowWords& words,
                                             const SlotSeed& seed) noexcept {
    return mix_words(
        {words.source, words.source_rest, words.destination, words.destination_rest, words.rest},
        seed.secret());
}
[[nodiscard]] inline std::uint64_t slot_hash(const FlowKey& key, const SlotSeed& seed) noexcept {
    return mix_words(key_words(key), seed.secret());
}

}  // namespace weir
