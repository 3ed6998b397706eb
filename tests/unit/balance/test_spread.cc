// SPDX-License-Identifier: BSD-3-Clause
// What users count: the share of connections that each backend gets, from the address and port of a
// client to the seat.
#include <array>
#include <cmath>
#include <string>

#include <catch2/catch.hpp>

#include "lib/balance/maglev.hh"
#include "lib/flow/key.hh"

using namespace weir;

namespace {

constexpr std::uint64_t seed = 0x5765697200000001;
constexpr std::size_t flows = 30'000;

// 30 000 clients, each with its own (address, port), to 203.0.113.10:443. `kind`: many addresses
// with few ports, few addresses with many, or one address with all.
FlowKey client(std::size_t i, int kind) {
    const std::size_t addresses = kind == 0 ? 30'000 : kind == 1 ? 30 : 1;
    const std::size_t a = i % addresses, p = i / addresses;
    FlowKey key;
    key.source = {10, 1, static_cast<std::uint8_t>(a >> 8), static_cast<std::uint8_t>(a)};
    key.destination = {203, 0, 113, 10};
    key.source_port = static_cast<std::uint16_t>(1024 + p);
    key.destination_port = 443;
    key.protocol = 6;
    return key;
}

// Largest deviation of a seat's flows from its share by weight, relative to the share.
double worst(std::span<const std::uint32_t> weights, const std::vector<bool>& live, int kind) {
    std::vector<MaglevMember> members;
    double sum = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
        members.push_back({maglev_name_hash("web-" + std::to_string(i + 1)), weights[i]});
        sum += live[i] ? weights[i] : 0;
    }
    const auto configured = maglev_configured(members, maglev_default_size(weights.size()));
    const auto slots = maglev_live(configured, members, live);
    std::vector<double> counts(weights.size());
    for (std::size_t i = 0; i < flows; ++i) {
        ++counts.at(maglev_lookup(slots, slot_hash(client(i, kind), seed)));
    }
    double result = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
        if (!live[i]) continue;
        const double share = flows * weights[i] / sum;
        result = std::max(result, std::abs(counts[i] - share) / share);
    }
    return result;
}

}  // namespace

// With a perfect table the standard deviation alone is 0.8 % of a third and 1.3 % of a sixth.
TEST_CASE("spread: 30 000 flows over three backends are within 2 % of each share", "[balance]") {
    for (const int kind : {0, 1, 2}) {
        INFO("kind of clients " << kind);
        const std::array<std::uint32_t, 3> equal{100, 100, 100}, weighted{3, 2, 1};
        CHECK(worst(equal, {true, true, true}, kind) <= 0.02);
        CHECK(worst(weighted, {true, true, true}, kind) <= 0.02);
        CHECK(worst(equal, {true, false, true}, kind) <= 0.02);
        CHECK(worst(weighted, {false, true, true}, kind) <= 0.02);
    }
}

TEST_CASE("spread: 30 000 flows over ten backends are within 4 % of each share", "[balance]") {
    const std::array<std::uint32_t, 10> ten{1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    for (const int kind : {0, 1, 2}) {
        CHECK(worst(ten, std::vector<bool>(10, true), kind) <= 0.04);
    }
}
