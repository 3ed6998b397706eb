// SPDX-License-Identifier: BSD-3-Clause
// Flow keys for tests, and a chi-square statistic.
#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "lib/flow/key.hh"

namespace weir::test {

inline constexpr HashSecret fixed_secret{
    {0x8f1bbcdc1a2b3c4d, 0x5be0cd19137e2179, 0x6a09e667f3bcc908, 0xbb67ae8584caa73b}};

// The nth flow of an orderly world: sources count up, ports follow. Hashes must not mind.
inline FlowKey nth_key(std::uint32_t n, Family family = Family::v4) {
    FlowKey key;
    key.family = family;
    key.protocol = n % 5 == 0 ? proto_udp : proto_tcp;
    const std::size_t last = family == Family::v4 ? 3 : 15;
    key.source[0] = 10;
    for (std::size_t i = 0; i < 3; ++i)
        key.source[last - i] = static_cast<std::uint8_t>(n / 4 >> (8 * i));
    key.destination[0] = 192;
    key.destination[last] = 80;
    key.source_port = static_cast<std::uint16_t>(1024 + n % 4);
    key.destination_port = 443;
    return key;
}

inline FlowKey random_key(std::mt19937_64& random, Family family) {
    FlowKey key;
    const std::size_t size = family == Family::v4 ? 4 : 16;
    for (std::size_t i = 0; i < size; ++i) {
        key.source[i] = static_cast<std::uint8_t>(random());
        key.destination[i] = static_cast<std::uint8_t>(random());
    }
    key.source_port = static_cast<std::uint16_t>(random());
    key.destination_port = static_cast<std::uint16_t>(random());
    key.protocol = random() % 2 == 0 ? proto_tcp : proto_udp;
    key.family = family;
    return key;
}

// How many standard deviations Pearson's statistic of `counts` lies from that of a uniform
// distribution. Within +-5 is nothing odd.
inline double chi_square_deviation(const std::vector<std::uint32_t>& counts) {
    double total = 0, statistic = 0;
    for (const std::uint32_t count : counts)
        total += count;
    const double expected = total / static_cast<double>(counts.size());
    for (const std::uint32_t count : counts)
        statistic += (count - expected) * (count - expected) / expected;
    const double freedom = static_cast<double>(counts.size() - 1);
    return (statistic - freedom) / std::sqrt(2 * freedom);
}

}  // namespace weir::test
