// SPDX-License-Identifier: BSD-3-Clause
#include <array>
#include <bit>
#include <functional>
#include <set>
#include <unordered_set>

#include <catch2/catch.hpp>

#include "tests/unit/flow/keys.hh"
#include "tests/unit/wire/frames.hh"

namespace weir {

using namespace test;

namespace {

FlowKey key_of(const Bytes& frame, std::uint16_t vlan = 0) {
    const Parsed parsed = parse_exact(frame, {.vlan = vlan});
    REQUIRE(parsed.l3 == L3Status::ip);
    return flow_key(frame.data(), parsed);
}

// Flips one of the bits that a key of its family can carry.
FlowKey flip(FlowKey key, unsigned bit) {
    const unsigned address_bits = key.family == Family::v4 ? 32 : 128;
    const auto flip_in = [&](std::array<std::uint8_t, 16>& bytes, unsigned at) {
        bytes[at / 8] ^= static_cast<std::uint8_t>(1 << at % 8);
    };
    if (bit < address_bits) {
        flip_in(key.source, bit);
    } else if (bit -= address_bits; bit < address_bits) {
        flip_in(key.destination, bit);
    } else if (bit -= address_bits; bit < 16) {
        key.source_port ^= static_cast<std::uint16_t>(1 << bit);
    } else if (bit -= 16; bit < 16) {
        key.destination_port ^= static_cast<std::uint16_t>(1 << bit);
    } else {
        key.protocol ^= static_cast<std::uint8_t>(1 << (bit - 16));
    }
    return key;
}
unsigned bits_of(Family family) {
    return (family == Family::v4 ? 64u : 256u) + 16 + 16 + 8;
}

using Hash = std::function<std::uint64_t(const FlowKey&)>;
const std::array<Hash, 3> hashes{
    [](const FlowKey& key) { return flow_hash(key, fixed_secret); },
    [](const FlowKey& key) { return slot_hash(key, 0); },
    [](const FlowKey& key) { return slot_hash(key, 0x77656972); },
};

}  // namespace

TEST_CASE("key: the five-tuple of a frame, with or without a tag", "[flow]") {
    const FlowKey four = key_of(ethernet(ether_type_ipv4, ipv4({}, tcp(1234, 443))));
    CHECK(four.source_address() == ip("10.1.2.3"));
    CHECK(four.destination_address() == ip("192.0.2.10"));
    CHECK(four.source_port == 1234);
    CHECK(four.destination_port == 443);
    CHECK(four.protocol == proto_tcp);
    CHECK(four == key_of(ethernet(ether_type_ipv4, ipv4({.tos = 4, .ttl = 9}, tcp(1234, 443)),
                                  {{ether_type_vlan, 5}}),
                         5));
    const FlowKey six =
        key_of(ethernet(ether_type_ipv6, ipv6({.next_header = proto_udp}, udp(53, 5353))));
    CHECK(six.source_address() == ip("2001:db8::1"));
    CHECK(six.destination_address() == ip("2001:db8:f::80"));
    CHECK(six.source_port == 53);
    CHECK(six.protocol == proto_udp);
    // IPv6 extension headers are not part of the flow.
    const Bytes chain = extension(proto_udp, 2, udp(53, 5353));
    CHECK(six == key_of(ethernet(ether_type_ipv6, ipv6({.next_header = 60}, chain))));
}

TEST_CASE("key: no ports unless the transport header is sound", "[flow]") {
    for (const Bytes& packet :
         {ipv4({.fragment = 0x2000}, tcp(1, 2)), ipv4({.protocol = 47}, tcp(1, 2)),
          ipv4({}, tcp(1, 2, tcp_syn | tcp_fin)), ipv4({}, Bytes(8, 1))}) {
        const FlowKey key = key_of(ethernet(ether_type_ipv4, packet));
        CHECK(key.source_port == 0);
        CHECK(key.destination_port == 0);
        CHECK(key.source_address() == ip("10.1.2.3"));
    }
}

TEST_CASE("key: swapped frames have swapped keys, and other hashes", "[flow]") {
    const FlowKey there = key_of(ethernet(ether_type_ipv4, ipv4({}, tcp(1, 2))));
    const FlowKey back = key_of(
        ethernet(ether_type_ipv4,
                 ipv4({.source = ip("192.0.2.10"), .destination = ip("10.1.2.3")}, tcp(2, 1))));
    CHECK(there.source == back.destination);
    CHECK(there.destination == back.source);
    CHECK(there.source_port == back.destination_port);
    for (const Hash& hash : hashes)
        CHECK(hash(there) != hash(back));
}

TEST_CASE("key: IPv4 and IPv6 keys of the same bytes are different flows", "[flow]") {
    std::mt19937_64 random(1);
    for (int i = 0; i < 1000; ++i) {
        const FlowKey four = random_key(random, Family::v4);
        FlowKey six = four;
        six.family = Family::v6;
        REQUIRE_FALSE(four == six);
        for (const Hash& hash : hashes)
            REQUIRE(hash(four) != hash(six));
    }
}

TEST_CASE("key: keys that differ in any bit are different flows", "[flow][property]") {
    std::mt19937_64 random(4);
    for (const Family family : {Family::v4, Family::v6}) {
        const FlowKey key = random_key(random, family);
        CHECK(key == FlowKey(key));
        for (unsigned bit = 0; bit < bits_of(family); ++bit)
            CHECK_FALSE(key == flip(key, bit));
    }
}

TEST_CASE("key: slot hashes are pinned for ever", "[flow]") {
    // Computed by an independent program in Python from the text of hash.hh. A balancer of another
    // version that answers otherwise would send the flows of a cluster elsewhere.
    const FlowKey four = key_of(ethernet(ether_type_ipv4, ipv4({}, tcp(1234, 443))));
    const FlowKey six =
        key_of(ethernet(ether_type_ipv6, ipv6({.next_header = proto_udp}, udp(53, 5353))));
    CHECK(slot_hash(FlowKey{}, 0) == 0xea1c9e21f717377e);
    CHECK(slot_hash(four, 0) == 0x05ce84be21d543fa);
    CHECK(slot_hash(four, 1) == 0x2abc0646fa7778af);
    CHECK(slot_hash(four, 0xffffffffffffffff) == 0xe8f0f6e4b6efece8);
    CHECK(slot_hash(six, 0) == 0x56b7385f8119661a);
    CHECK(slot_hash(six, 0x0123456789abcdef) == 0xcd9f561ad143cebe);
}

TEST_CASE("key: one flipped bit flips every bit of the hash half of the time", "[flow][property]") {
    constexpr int samples = 2000;
    // Binomial: 0.5 +- 0.0112 for 2000 samples; six times that for the worst of 20 000 pairs.
    constexpr double tolerance = 6 * 0.0112;
    for (const Hash& hash : hashes) {
        for (const Family family : {Family::v4, Family::v6}) {
            std::mt19937_64 random(2);
            for (unsigned bit = 0; bit < bits_of(family); ++bit) {
                std::array<int, 64> flips{};
                for (int i = 0; i < samples; ++i) {
                    const FlowKey key = random_key(random, family);
                    const std::uint64_t change = hash(key) ^ hash(flip(key, bit));
                    for (unsigned out = 0; out < 64; ++out)
                        flips[out] += static_cast<int>(change >> out & 1);
                }
                for (const int count : flips)
                    REQUIRE(std::abs(static_cast<double>(count) / samples - 0.5) < tolerance);
            }
        }
    }
}

TEST_CASE("key: orderly keys fill any part of the hash evenly", "[flow][property]") {
    constexpr unsigned keys = 400'000;
    for (const Hash& hash : hashes) {
        for (const Family family : {Family::v4, Family::v6}) {
            for (const unsigned shift : {0u, 20u, 32u, 52u}) {
                std::vector<std::uint32_t> counts(4096);
                for (unsigned n = 0; n < keys; ++n)
                    ++counts[hash(nth_key(n, family)) >> shift & 4095];
                REQUIRE(std::abs(chi_square_deviation(counts)) < 5);
            }
        }
    }
}

TEST_CASE("key: a million orderly flows have a million hashes", "[flow][property]") {
    for (const Hash& hash : hashes) {
        std::unordered_set<std::uint64_t> seen;
        for (std::uint32_t n = 0; n < 500'000; ++n) {
            seen.insert(hash(nth_key(n, Family::v4)));
            seen.insert(hash(nth_key(n, Family::v6)));
        }
        CHECK(seen.size() == 1'000'000);
    }
}

TEST_CASE("key: each word of secret and seed matters", "[flow][property][fault-24]") {
    std::mt19937_64 random(3);
    for (const Family family : {Family::v4, Family::v6}) {
        for (std::size_t word = 0; word < 4; ++word) {
            HashSecret other = fixed_secret;
            other.words[word] ^= 1;
            int changed = 0;
            for (int i = 0; i < 1000; ++i) {
                const FlowKey key = random_key(random, family);
                changed += std::popcount(flow_hash(key, fixed_secret) ^ flow_hash(key, other));
            }
            CHECK(changed > 31'000);
            CHECK(changed < 33'000);
        }
    }
    // Slots of two seeds have nothing to do with each other.
    std::vector<std::uint32_t> pairs(64 * 64);
    for (std::uint32_t n = 0; n < 400'000; ++n)
        ++pairs[slot_hash(nth_key(n), 0) >> 58 << 6 | slot_hash(nth_key(n), 1) >> 58];
    CHECK(std::abs(chi_square_deviation(pairs)) < 5);
}

TEST_CASE("key: secrets of two starts differ", "[flow]") {
    CHECK(random_hash_secret().words != random_hash_secret().words);
}

}  // namespace weir
