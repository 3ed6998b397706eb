// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <bit>
#include <set>

#include <catch2/catch.hpp>

#include "lib/flow/buckets.hh"
#include "tests/unit/flow/keys.hh"
#include "tests/unit/flow/region.hh"

namespace weir {

using namespace test;

namespace {

constexpr Tick start{1000};

std::uint64_t hash_of(const FlowKey& key) {
    return flow_hash(key, fixed_secret);
}

// Inserts the nth key with `backend` and a lifetime; false when full.
bool add(FlowTable& table, std::uint32_t n, std::uint32_t backend, Tick now,
         std::uint32_t lifetime) {
    const FlowKey key = nth_key(n);
    const auto inserted = table.insert(key, hash_of(key), now);
    if (inserted.entry == nullptr) return false;
    inserted.entry->backend = backend;
    inserted.entry->expires = now + lifetime;
    return true;
}

FlowEntry* get(FlowTable& table, std::uint32_t n, Tick now) {
    const FlowKey key = nth_key(n);
    return table.find(key, hash_of(key), now);
}

// A hash as the last of `workers` sees it: bits 32..63 fill a part of their range.
std::uint64_t hash_of_worker(std::mt19937_64& random, std::uint32_t workers) {
    for (;;) {
        const std::uint64_t hash = random();
        if ((hash >> 32) * workers >> 32 == workers - 1) return hash;
    }
}

// Of counts by tag: 0 is never used, 1 stands for both.
double tag_deviation(std::vector<std::uint32_t> counts) {
    counts.erase(counts.begin(), counts.begin() + 2);
    return chi_square_deviation(counts);
}

}  // namespace

TEST_CASE("table: footprint is the validator", "[flow]") {
    CHECK(FlowTable::footprint(0) == 0);
    CHECK(FlowTable::footprint((1u << 28) + 1) == 0);
    CHECK(FlowTable::footprint(0xffffffff) == 0);
    CHECK(FlowTable::footprint(1) > 0);
    CHECK(FlowTable::footprint(1u << 28) > 0);
    CHECK(FlowTable::footprint(1'000'000) < 77 * 1'000'000 + 1000);
    for (std::uint32_t entries = 1; entries < 1000; ++entries)
        REQUIRE(FlowTable::footprint(entries) < FlowTable::footprint(entries + 1));
}

TEST_CASE("table: what was inserted is found until it is erased", "[flow]") {
    TableInMemory memory(100);
    FlowTable& table = memory.table;
    CHECK(table.capacity() == 100);
    CHECK(get(table, 1, start) == nullptr);
    REQUIRE(add(table, 1, 11, start, 500));
    REQUIRE(add(table, 2, 22, start, 500));
    CHECK(table.size() == 2);
    FlowEntry* entry = get(table, 1, start);
    REQUIRE(entry != nullptr);
    CHECK(entry->backend == 11);
    CHECK(entry->key == nth_key(1));
    table.erase(entry);
    CHECK(table.size() == 1);
    CHECK(get(table, 1, start) == nullptr);
    CHECK(get(table, 2, start)->backend == 22);
}

TEST_CASE("table: an entry lives to its last millisecond and not longer", "[flow]") {
    // Also across the wrap of the tick after 49.7 days.
    for (const Tick now : {Tick{0}, Tick{0x7fffff00}, Tick{0xffffff00}, Tick{0xffffffff}}) {
        TableInMemory memory(10);
        REQUIRE(add(memory.table, 1, 11, now, 300));
        CHECK(get(memory.table, 1, now + 300) != nullptr);
        CHECK(get(memory.table, 1, now + 301) == nullptr);
        CHECK(memory.table.size() == 1);  // not swept yet
        std::vector<std::uint32_t> swept;
        const auto note = [&](const FlowEntry& entry) { swept.push_back(entry.backend); };
        CHECK(memory.table.sweep(10, now + 300, note) == 0);
        CHECK(memory.table.sweep(10, now + 301, note) == 1);
        CHECK(swept == std::vector<std::uint32_t>{11});
        CHECK(memory.table.size() == 0);
    }
}

TEST_CASE("table: an expired flow that returns takes its own place", "[flow]") {
    TableInMemory memory(10);
    REQUIRE(add(memory.table, 1, 11, start, 10));
    memory.table.find(nth_key(1), hash_of(nth_key(1)), start)->service = 5;
    const auto again = memory.table.insert(nth_key(1), hash_of(nth_key(1)), start + 11);
    REQUIRE(again.entry != nullptr);
    CHECK(again.replaced);
    CHECK(again.old_backend == 11);
    CHECK(again.old_service == 5);
    CHECK(again.entry->backend == 0);
    CHECK(again.entry->state == FlowState::untracked);
    CHECK(memory.table.size() == 1);
}

TEST_CASE("table: a full table keeps its live flows and refuses new ones", "[flow]") {
    constexpr std::uint32_t entries = 1000;
    TableInMemory memory(entries);
    for (std::uint32_t n = 0; n < entries; ++n)
        REQUIRE(add(memory.table, n, n, start, n == 77 ? 10 : 1000));
    for (std::uint32_t n = entries; n < 100 * entries; ++n)
        REQUIRE_FALSE(add(memory.table, n, n, start, 1000));
    for (std::uint32_t n = 0; n < entries; ++n)
        REQUIRE(get(memory.table, n, start)->backend == n);
    // One of them expires: some new flow finds its bucket and takes the place, and only that one.
    std::uint32_t taken = 0;
    for (std::uint32_t n = entries; n < 100 * entries; ++n)
        taken += add(memory.table, n, n, start + 11, 1000);
    CHECK(taken == 1);
    for (std::uint32_t n = 0; n < entries; ++n)
        REQUIRE((get(memory.table, n, start + 11) != nullptr) == (n != 77));
}

TEST_CASE("table: chosen collisions are bounded and hurt nobody else", "[flow]") {
    TableInMemory memory(1000);
    for (std::uint32_t n = 0; n < 100; ++n)
        REQUIRE(add(memory.table, n, n, start, 1000));
    const std::uint64_t same = 0x0123456789abcdef;
    std::uint32_t placed = 0;
    for (std::uint32_t n = 5000; n < 6000; ++n) {
        const auto inserted = memory.table.insert(nth_key(n), same, start);
        if (inserted.entry == nullptr) continue;
        inserted.entry->expires = start + 1000;
        inserted.entry->backend = n;
        ++placed;
    }
    CHECK(placed <= 16);
    for (std::uint32_t n = 5000; n < 5000 + placed; ++n) {
        FlowEntry* entry = memory.table.find(nth_key(n), same, start);
        REQUIRE(entry != nullptr);
        CHECK(entry->backend == n);
        memory.table.erase(entry);
    }
    for (std::uint32_t n = 0; n < 100; ++n)
        REQUIRE(get(memory.table, n, start)->backend == n);
    CHECK(memory.table.size() == 100);
}

TEST_CASE("table: full buckets give the place of an expired flow, full table or not", "[flow]") {
    TableInMemory memory(1000);
    const std::uint64_t same = 0x0123456789abcdef;
    std::uint32_t placed = 0;
    for (;; ++placed) {
        const auto inserted = memory.table.insert(nth_key(placed), same, start);
        if (inserted.entry == nullptr) break;
        inserted.entry->expires = start + (placed == 3 ? 10 : 1000);
        inserted.entry->backend = placed;
    }
    REQUIRE(placed == 16);
    CHECK(memory.table.insert(nth_key(50), same, start + 10).entry == nullptr);
    const auto inserted = memory.table.insert(nth_key(50), same, start + 11);
    REQUIRE(inserted.entry != nullptr);
    CHECK(inserted.replaced);
    CHECK(inserted.old_backend == 3);
    CHECK(memory.table.size() == 16);
}

TEST_CASE("table: all entries fit before the first flow is refused", "[flow][property]") {
    for (const std::uint32_t workers : {1u, 2u, 7u}) {
        for (const std::uint32_t entries : {1u, 7u, 16u, 100u, 1000u, 30'000u, 500'000u}) {
            std::mt19937_64 random(entries + workers);
            TableInMemory memory(entries);
            std::uint32_t placed = 0;
            for (;; ++placed) {
                const auto inserted =
                    memory.table.insert(nth_key(placed), hash_of_worker(random, workers), start);
                if (inserted.entry == nullptr) break;
                inserted.entry->expires = start + 1000;
            }
            CHECK(placed >= (entries * 95ull + 99) / 100);
            CHECK(placed <= entries);
        }
    }
}

TEST_CASE("table: room is not lost by a long life", "[flow][property]") {
    // Nearly full, flows come and go at random: chains, holes or tombstones would show.
    constexpr std::uint32_t entries = 20'000, kept = entries * 95 / 100;
    TableInMemory memory(entries);
    std::mt19937 random(4);
    std::vector<std::uint32_t> live;
    std::uint32_t next = 0;
    for (; next < kept; ++next) {
        REQUIRE(add(memory.table, next, next, start, 1000));
        live.push_back(next);
    }
    for (int round = 0; round < 400'000; ++round) {
        std::uint32_t& victim = live[random() % live.size()];
        memory.table.erase(get(memory.table, victim, start));
        victim = next++;
        REQUIRE(add(memory.table, victim, victim, start, 1000));
    }
    for (const std::uint32_t n : live)
        REQUIRE(get(memory.table, n, start)->backend == n);
    CHECK(memory.table.size() == kept);
}

TEST_CASE("table: the sweep visits all in turn, a bounded number a call", "[flow]") {
    TableInMemory memory(1000);
    const auto ignore = [](const FlowEntry&) {};
    CHECK(memory.table.sweep(100, start, ignore) == 0);
    for (std::uint32_t n = 0; n < 1000; ++n)
        REQUIRE(add(memory.table, n, n, start, n % 2 == 0 ? 10 : 1000));
    std::uint32_t removed = 0;
    for (int call = 0; call < 10; ++call) {
        const std::uint32_t now_removed = memory.table.sweep(100, start + 11, ignore);
        CHECK(now_removed <= 100);
        removed += now_removed;
    }
    CHECK(removed == 500);
    CHECK(memory.table.size() == 500);
    CHECK(memory.table.sweep(5000, start + 11, ignore) == 0);
    CHECK(memory.table.sweep(5000, start + 1001, ignore) == 500);
}

TEST_CASE("table: a dump shows each live flow once, in bounded steps", "[flow]") {
    TableInMemory memory(1000);
    for (std::uint32_t n = 0; n < 800; ++n)
        REQUIRE(add(memory.table, n, n, start, n % 5 == 0 ? 10 : 1000));
    for (std::uint32_t n = 100; n < 300; ++n)
        memory.table.erase(get(memory.table, n, start));
    std::multiset<std::uint32_t> shown;
    std::uint32_t cursor = 0;
    int calls = 0;
    for (; cursor < memory.table.capacity(); ++calls) {
        REQUIRE(calls < 1000);
        std::array<FlowEntry, 7> out;
        const std::uint32_t before = cursor;
        const std::size_t copied = memory.table.copy(cursor, out, start + 11);
        CHECK(copied <= out.size());
        if (cursor != memory.table.capacity()) {
            CHECK(cursor - before <= 4 * out.size());
        }
        for (std::size_t i = 0; i < copied; ++i) {
            CHECK(out[i].key == nth_key(out[i].backend));
            shown.insert(out[i].backend);
        }
    }
    std::multiset<std::uint32_t> expected;
    for (std::uint32_t n = 0; n < 800; ++n)
        if (n % 5 != 0 && (n < 100 || n >= 300)) expected.insert(n);
    CHECK(shown == expected);
    std::array<FlowEntry, 7> out;
    CHECK(memory.table.copy(cursor, out, start) == 0);  // at the end it stays
    CHECK(cursor == memory.table.capacity());
    TableInMemory empty(10);
    cursor = 0;
    CHECK(empty.table.copy(cursor, out, start) == 0);
    CHECK(cursor == 10);
}

TEST_CASE("table: the region holds no pointer and may move", "[flow]") {
    TableInMemory one(500), two(500);
    for (std::uint32_t n = 0; n < 400; ++n) {
        REQUIRE(add(one.table, n, n, start, 1000));
        REQUIRE(add(two.table, n, n, start, 1000));
    }
    CHECK(std::ranges::equal(one.region(), two.region()));
}

TEST_CASE("buckets: both choices and the tag are even for each worker", "[flow][property]") {
    for (const std::uint32_t workers : {1u, 2u, 7u, 32u}) {
        for (const std::uint32_t buckets : {64 * 17u, 4096u}) {
            std::mt19937_64 random(workers);
            std::vector<std::uint32_t> first(buckets), second(buckets), tags(65536), pairs(64 * 64);
            for (int i = 0; i < 500'000; ++i) {
                const Placement place = placement(hash_of_worker(random, workers), buckets);
                ++first[place.first];
                ++second[place.second];
                ++tags[place.tag];
                ++pairs[place.first * 64ull / buckets * 64 + place.second * 64ull / buckets];
            }
            CHECK(std::abs(chi_square_deviation(first)) < 5);
            CHECK(std::abs(chi_square_deviation(second)) < 5);
            CHECK(std::abs(chi_square_deviation(pairs)) < 5);
            CHECK(std::abs(tag_deviation(tags)) < 5);
        }
    }
}

TEST_CASE("buckets: within one bucket of a large table the tag still tells flows apart",
          "[flow][property]") {
    // 2^26 buckets: the number of a bucket takes 26 bits, and the tag must not be made of the same.
    constexpr std::uint32_t buckets = 1u << 26;
    constexpr std::uint64_t factor = 0x9e3779b97f4a7c15, inverse = 0xf1de83e19937733d;
    static_assert(factor * inverse == 1);
    for (const std::uint32_t workers : {1u, 2u, 7u}) {
        std::mt19937_64 random(workers);
        std::vector<std::uint32_t> in_first(65536), in_second(65536);
        for (int i = 0; i < 500'000; ++i) {
            const std::uint64_t hash = (hash_of_worker(random, workers) & ~0xffffffc0ull) | 0xabc0;
            const std::uint64_t same_first = hash | (random() & 0x3f);
            REQUIRE(placement(same_first, buckets).first == 0xabc0 >> 6);
            ++in_first[placement(same_first, buckets).tag];
            std::uint64_t same_second;
            do {
                same_second = (0xabcull << 38 | (random() & ((1ull << 38) - 1))) * inverse;
            } while ((same_second >> 32) * workers >> 32 != workers - 1);
            REQUIRE(placement(same_second, buckets).second == 0xabc);
            ++in_second[placement(same_second, buckets).tag];
        }
        CHECK(std::abs(tag_deviation(in_first)) < 5);
        CHECK(std::abs(tag_deviation(in_second)) < 5);
    }
}

TEST_CASE("buckets: no flow has the tag of a free slot", "[flow]") {
    CHECK(placement(0, 10).tag == 1);
    std::mt19937_64 random(6);
    for (int i = 0; i < 1'000'000; ++i)
        REQUIRE(placement(random(), 10).tag != 0);
}

TEST_CASE("buckets: the fast tag comparison equals the plain one", "[flow][property]") {
    std::mt19937 random(5);
    for (int round = 0; round < 200'000; ++round) {
        alignas(16) std::uint16_t first[tags_per_bucket], second[tags_per_bucket];
        const auto draw = [&] {
            static constexpr std::uint16_t likely[] = {0,      1,      0x7fff, 0x8000,
                                                       0xff00, 0x00ff, 0xffff};
            const auto choice = random();
            return choice % 4 == 0 ? static_cast<std::uint16_t>(choice >> 8)
                                   : likely[(choice >> 8) % std::size(likely)];
        };
        std::ranges::generate(first, draw);
        std::ranges::generate(second, draw);
        const std::uint16_t tag = draw();
        REQUIRE(match_tags(first, second, tag) == match_tags_scalar(first, second, tag));
    }
}

}  // namespace weir
