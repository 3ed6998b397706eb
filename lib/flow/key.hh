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

// 40 bytes without padding, so that equality and hashing may read it as five 64-bit words.
struct FlowKey {
    std::array<std::uint8_t, 16> source{}, destination{};  // IPv4: first 4 bytes, the rest zero
    std::uint16_t source_port = 0, destination_port = 0;   // host byte order
    std::uint8_t protocol = 0;
    Family family = Family::v4;
    std::uint16_t zero = 0;
    friend bool operator==(const FlowKey&, const FlowKey&) = default;

    [[nodiscard]] IpAddress source_address() const noexcept { return {source, family}; }
    [[nodiscard]] IpAddress destination_address() const noexcept { return {destination, family}; }
};
static_assert(sizeof(FlowKey) == 40);

// Key of a parsed frame. Ports are zero unless parsed.l4 is ok. Precondition: parsed.l3 == ip and
// `frame` is what was parsed.
[[nodiscard]] inline FlowKey flow_key(const std::uint8_t* frame, const Parsed& parsed) noexcept {
    FlowKey key;
    const std::uint8_t* ip = frame + parsed.l3_offset;
    if (parsed.family == Family::v4) {
        std::memcpy(key.source.data(), ip + offsetof(Ipv4Header, source), 4);
        std::memcpy(key.destination.data(), ip + offsetof(Ipv4Header, destination), 4);
    } else {
        std::memcpy(key.source.data(), ip + offsetof(Ipv6Header, source), 16);
        std::memcpy(key.destination.data(), ip + offsetof(Ipv6Header, destination), 16);
    }
    const bool has_ports = parsed.l4 == L4Status::ok;
    key.source_port = has_ports ? parsed.source_port : std::uint16_t{0};
    key.destination_port = has_ports ? parsed.destination_port : std::uint16_t{0};
    key.protocol = parsed.protocol;
    key.family = parsed.family;
    return key;
}

struct HashSecret {
    MixSecret words{};
};
// From the system's random source (getrandom). Control plane, once per start. Throws
// std::system_error when the kernel has none.
HashSecret random_hash_secret();

// The key as five words that are the same on machines of either byte order.
[[nodiscard]] inline MixWords key_words(const FlowKey& key) noexcept {
    MixWords words;
    std::memcpy(&words[0], key.source.data(), 16);
    std::memcpy(&words[2], key.destination.data(), 16);
    if constexpr (std::endian::native == std::endian::big)
        for (std::size_t i = 0; i < 4; ++i)
            words[i] = __builtin_bswap64(words[i]);
    words[4] = key.source_port | std::uint64_t{key.destination_port} << 16 |
               std::uint64_t{key.protocol} << 32 |
               std::uint64_t{static_cast<std::uint8_t>(key.family)} << 40;
    return words;
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
