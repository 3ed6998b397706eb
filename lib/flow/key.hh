// SPDX-License-Identifier: BSD-3-Clause
// FlowKey: the exact five-tuple, and the two hashes of it.
//
// The flow hash is keyed with a secret of this boot: it picks the owner worker and the bucket of the
// connection table, and nobody outside can choose collisions. The slot hash is keyed with the
// cluster's `hash_seed`: it picks the slot of a service's table, bit-exact on every CPU and boot, so
// that balancers of a cluster agree.
#pragma once

#include <array>
#include <cstdint>

#include "lib/wire/address.hh"
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
[[nodiscard]] FlowKey flow_key(const std::uint8_t* frame, const Parsed& parsed) noexcept;

struct HashSecret {
    std::array<std::uint64_t, 4> words{};
};
// From the system's random source (getrandom). Control plane, once per start.
HashSecret random_hash_secret();

// Well mixed in all 64 bits. Constant time in the key. About 10 cycles.
[[nodiscard]] std::uint64_t flow_hash(const FlowKey& key, const HashSecret& secret) noexcept;

// Well mixed in all 64 bits; the same value for the same key and seed on every machine, for ever: a
// test pins known answers.
[[nodiscard]] std::uint64_t slot_hash(const FlowKey& key, std::uint64_t seed) noexcept;

}  // namespace weir
