// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <array>
#include <set>
#include <vector>

#include <catch2/catch.hpp>

#include "tests/unit/flow/line_tables.hh"

namespace weir {

using namespace test;

namespace {

constexpr Tick start{1000};

template <typename Table>
bool add(Table& table, std::uint32_t n, std::uint32_t backend, Tick now, std::uint32_t lifetime) {
    const auto name = table.name(nth<Table>(n));
    return static_cast<bool>(
        table.insert(name, {backend, FlowState::syn, expiry_of(now + lifetime)}, now).place);
}

template <typename Table>
LinePlace get(const Table& table, std::uint32_t n) {
    return table.find(table.name(nth<Table>(n)));
}

// The first `count` keys whose home is that of key 0.
template <typename Table>
std::vector<std::uint32_t> sharing_a_home(const Table& table, std::size_t count) {
    std::vector<std::uint32_t> found;
    const std::uint32_t home = table.name(nth<Table>(0)).home;
    for (std::uint32_t n = 0; found.size() < count; ++n)
        if (table.name(nth<Table>(n)).home == home) found.push_back(n);
    return found;
}

}  // namespace

#define ALL_TABLES NarrowTable, WideTable, RangeTable

TEMPLATE_TEST_CASE("lines: footprint is the validator", "[flow]", ALL_TABLES) {
    CHECK(TestType::footprint(0) == 0);
    CHECK(TestType::footprint((1u << 28) + 1) == 0);
    CHECK(TestType::footprint(0xffffffff) == 0);
    CHECK(TestType::footprint(1) > 0);
    CHECK(TestType::footprint(1u << 28) > 0);
}

TEST_CASE("lines: an IPv4 flow takes 16 bytes, an IPv6 flow 32", "[flow]") {
    for (const std::size_t entries : {2'000u, 65'536u, 1'000'000u, 10'000'000u, 1u << 28}) {
        CHECK(NarrowTable::footprint(static_cast<std::uint32_t>(entries)) <= 16 * entries);
        CHECK(WideTable::footprint(static_cast<std::uint32_t>(entries)) <= 32 * entries);
    }
}

TEMPLATE_TEST_CASE("lines: what was inserted is found until it is erased", "[flow]", ALL_TABLES) {
    LinesInMemory<TestType> memory(100);
    TestType& table = memory.table;
    CHECK(table.capacity() == 100);
    CHECK_FALSE(get(table, 1));
    REQUIRE(add(table, 1, 11, start, 500));
    REQUIRE(add(table, 2, 131'071, start, 500));
    CHECK(table.size() == 2);
    const LinePlace place = get(table, 1);
    REQUIRE(place);
    CHECK(table.backend(place) == 11);
    CHECK(table.state(place) == FlowState::syn);
    CHECK(table.key(place) == nth<TestType>(1));
    table.set(place, {12, FlowState::fin, expiry_of(start + 7000)});
    CHECK(table.backend(place) == 12);
    CHECK(table.state(place) == FlowState::fin);
    CHECK(table.is_live(place, start + 7000));
    CHECK(table.backend(get(table, 2)) == 131'071);
    table.erase(place);
    CHECK(table.size() == 1);
    CHECK_FALSE(get(table, 1));
    CHECK(get(table, 2));
}

TEMPLATE_TEST_CASE("lines: keys come back out of any number of lines", "[flow][property]",
                   ALL_TABLES) {
    std::mt19937_64 random(9);
    for (const std::uint32_t entries : {1u, 1029u, 1033u, 4099u, 100'003u}) {
        LinesInMemory<TestType> memory(entries);
        TestType& table = memory.table;
        for (std::uint32_t n = 0; n < entries; ++n)
            REQUIRE(add(table, n, n & 0x1ffff, start, 500));
        for (std::uint32_t n = 0; n < entries; ++n) {
            const LinePlace place = get(table, n);
            REQUIRE(place);
            REQUIRE(table.key(place) == nth<TestType>(n));
            REQUIRE(table.backend(place) == (n & 0x1ffff));
        }
        for (std::uint32_t n = entries; n < 3 * entries; ++n)
            REQUIRE_FALSE(get(table, n));
    }
}

TEMPLATE_TEST_CASE("lines: keys that differ in one bit are different flows", "[flow][property]",
                   ALL_TABLES) {
    std::mt19937_64 random(10);
    using Key = typename TestType::Key;
    for (int round = 0; round < 50; ++round) {
        LinesInMemory<TestType> memory(1000);
        TestType& table = memory.table;
        // Only bytes that are part of the key: those in which two value-initialised keys may
        // differ.
        const Key key = nth<TestType>(static_cast<std::uint32_t>(random()));
        REQUIRE(table.insert(table.name(key), {1, FlowState::syn, expiry_of(start)}, start).place);
        for (unsigned bit = 0; bit < 8 * sizeof(Key); ++bit) {
            Key other = key;
            reinterpret_cast<std::uint8_t*>(&other)[bit / 8] ^=
                static_cast<std::uint8_t>(1u << bit % 8);
            if (other == key) continue;  // padding
            CHECK_FALSE(table.find(table.name(other)));
        }
    }
}

TEMPLATE_TEST_CASE("lines: a full table keeps its live flows and refuses new ones",
                   "[flow][fault-23]", ALL_TABLES) {
    constexpr std::uint32_t entries = 5000;
    LinesInMemory<TestType> memory(entries);
    TestType& table = memory.table;
    for (std::uint32_t n = 0; n < entries; ++n)
        REQUIRE(add(table, n, n, start, n == 77 ? 10 : 100'000));
    CHECK(table.size() == entries);
    for (std::uint32_t n = entries; n < 20 * entries; ++n)
        REQUIRE_FALSE(add(table, n, n, start, 1000));
    for (std::uint32_t n = 0; n < entries; ++n)
        REQUIRE(table.backend(get(table, n)) == n);
    // One of them expires: a new flow of its lines takes the place, and only one.
    const Tick later = start + 1000;
    std::uint32_t taken = 0;
    for (std::uint32_t n = entries; n < 20 * entries; ++n)
        taken += add(table, n, n, later, 1000);
    CHECK(taken == 1);
    for (std::uint32_t n = 0; n < entries; ++n)
        REQUIRE(static_cast<bool>(get(table, n)) == (n != 77));
}

TEMPLATE_TEST_CASE("lines: what an expired flow counted for is told when it gives its place",
                   "[flow]", ALL_TABLES) {
    LinesInMemory<TestType> memory(1);
    TestType& table = memory.table;
    const auto shared = sharing_a_home(table, 2);
    REQUIRE(add(table, shared[0], 11, start, 10));
    CHECK_FALSE(add(table, shared[1], 22, start, 10));
    const auto inserted = table.insert(table.name(nth<TestType>(shared[1])),
                                       {22, FlowState::syn, expiry_of(start)}, start + 1000);
    REQUIRE(inserted.place);
    CHECK(inserted.replaced);
    CHECK(inserted.old_backend == 11);
    CHECK(table.size() == 1);
    CHECK_FALSE(get(table, shared[0]));
}

// Needs all ways to make room: 10 of a home fill both lines only if they share the alternate, too.
TEMPLATE_TEST_CASE("lines: keys that share a home do not crowd each other out", "[flow]",
                   ALL_TABLES) {
    LinesInMemory<TestType> memory(4000);
    TestType& table = memory.table;
    const auto shared = sharing_a_home(table, 300);
    for (const std::uint32_t n : shared)
        REQUIRE(add(table, n, n & 0x1ffff, start, 1000));
    for (const std::uint32_t n : shared)
        REQUIRE(table.backend(get(table, n)) == (n & 0x1ffff));
    for (const std::uint32_t n : shared)
        table.erase(get(table, n));
    CHECK(table.size() == 0);
    CHECK_FALSE(get(table, shared[0]));
    // Nothing is left in the lines, counts of displaced entries included.
    const std::size_t bucket = (memory.region().size() - line_table_header) / table.lines();
    for (std::size_t at = line_table_header; at < memory.region().size(); at += bucket)
        REQUIRE(std::ranges::all_of(memory.region().subspan(at, 64),
                                    [](std::byte byte) { return byte == std::byte{0}; }));
}

TEMPLATE_TEST_CASE("lines: keys chosen under one secret are spread under another",
                   "[flow][property][fault-24]", ALL_TABLES) {
    LinesInMemory<TestType> one(4000);
    HashSecret other_secret = fixed_secret;
    other_secret.words[0] ^= 0x8000;
    LinesInMemory<TestType> two(4000, other_secret);
    std::multiset<std::uint32_t> homes;
    const auto shared = sharing_a_home(one.table, 500);
    for (const std::uint32_t n : shared)
        homes.insert(two.table.name(nth<TestType>(n)).home);
    std::size_t most = 0;
    for (const std::uint32_t home : homes)
        most = std::max(most, homes.count(home));
    CHECK(most <= 6);  // 500 balls in about 1000 lines
}

TEMPLATE_TEST_CASE("lines: all entries fit before the first flow is refused", "[flow][property]",
                   ALL_TABLES) {
    for (const std::uint32_t entries : {1u, 7u, 100u, 1000u, 1300u, 30'000u, 300'000u}) {
        for (std::uint64_t seed = 0; seed < 5; ++seed) {
            LinesInMemory<TestType> memory(entries, {{seed, 1, 2, 3}});
            for (std::uint32_t n = 0; n < entries; ++n)
                REQUIRE(add(memory.table, n, 1, start, 1000));
        }
    }
}

TEMPLATE_TEST_CASE("lines: room is not lost by a long life", "[flow][property]", ALL_TABLES) {
    constexpr std::uint32_t entries = 20'000;
    LinesInMemory<TestType> memory(entries);
    TestType& table = memory.table;
    std::mt19937 random(4);
    std::vector<std::uint32_t> live;
    std::uint32_t next = 0;
    for (; next < entries; ++next) {
        REQUIRE(add(table, next, next & 0x1ffff, start, 1000));
        live.push_back(next);
    }
    for (int round = 0; round < 300'000; ++round) {
        std::uint32_t& victim = live[random() % live.size()];
        table.erase(get(table, victim));
        victim = next++;
        REQUIRE(add(table, victim, victim & 0x1ffff, start, 1000));
    }
    for (const std::uint32_t n : live)
        REQUIRE(table.backend(get(table, n)) == (n & 0x1ffff));
    CHECK(table.size() == entries);
}

TEMPLATE_TEST_CASE("lines: two stages find what one finds", "[flow][property]", ALL_TABLES) {
    constexpr std::uint32_t entries = 4000;
    LinesInMemory<TestType> memory(entries);
    TestType& table = memory.table;
    for (std::uint32_t n = 0; n < entries; ++n)
        REQUIRE(add(table, n, n, start, 1000));
    std::size_t looking = 0;
    for (std::uint32_t n = 0; n < 2 * entries; ++n) {
        const auto name = table.name(nth<TestType>(n));
        table.prefetch(name);
        const LinePlace looked = table.look(name, start), found = table.find(name);
        looking += looked.is_open();
        const LinePlace place = looked.is_open() ? table.finish(name, looked) : looked;
        REQUIRE(static_cast<bool>(place) == (n < entries));
        if (place) REQUIRE(place == found);
    }
    CHECK(looking > 500);
    table.erase(get(table, 1));
    CHECK_FALSE(table.find(table.name(nth<TestType>(1))));
}

// What a burst counts on: it looks up all of its flows before the first of them is inserted.
TEMPLATE_TEST_CASE("lines: places hold unless an insert says that entries moved",
                   "[flow][property]", ALL_TABLES) {
    LinesInMemory<TestType> memory(1032);
    TestType& table = memory.table;
    std::vector<LinePlace> places;
    unsigned moved = 0, replaced = 0;
    for (std::uint32_t n = 0; n < 1500; ++n) {
        const Tick now = n < 1032 ? start : start + 1000;
        const auto inserted =
            table.insert(table.name(nth<TestType>(n)),
                         {n, FlowState::syn, expiry_of(now + (n % 3 == 0 ? 10 : 100'000))}, now);
        places.push_back(inserted.place);
        moved += inserted.moved;
        replaced += inserted.replaced;
        if (inserted.replaced) REQUIRE(inserted.moved);
        if (inserted.moved) {
            for (std::uint32_t i = 0; i < n; ++i)
                places[i] = get(table, i);
        }
        for (std::uint32_t i = 0; i <= n; ++i)
            REQUIRE((get(table, i) == places[i] || !(get(table, i) || places[i])));
    }
    CHECK(replaced > 100);
    CHECK(moved > replaced);
    CHECK(moved < 1000);
}

TEMPLATE_TEST_CASE("lines: the quick ways to insert do what insert() does", "[flow][property]",
                   ALL_TABLES) {
    LinesInMemory<TestType> one(1100), two(1100);
    std::mt19937 random(11);
    Tick now = start;
    unsigned at_home = 0, refused = 0;
    for (int round = 0; round < 20'000; ++round) {
        const auto n = static_cast<std::uint32_t>(random() % 100'000);
        if (get(one.table, n)) continue;
        if (round > 5000) now = now + static_cast<std::uint32_t>(random() % 3);
        const auto name = one.table.name(nth<TestType>(n));
        const FlowValue value{n, FlowState::established, expiry_of(now + 20'000)};
        const auto inserted = one.table.insert(name, value, now);
        if (two.table.insert_at_home(name, value)) {
            ++at_home;
            REQUIRE(inserted.place.line() == name.home);
            REQUIRE_FALSE(inserted.moved);
        } else if (two.table.is_full_for(name, now)) {
            ++refused;
            REQUIRE_FALSE(inserted.place);
        } else {
            REQUIRE(two.table.insert(name, value, now).place == inserted.place);
        }
        if (round % 64 == 0) REQUIRE(std::ranges::equal(one.region(), two.region()));
    }
    CHECK(std::ranges::equal(one.region(), two.region()));
    CHECK(at_home > 500);
    CHECK(refused > 1000);
}

TEMPLATE_TEST_CASE("lines: a full table looks for expired entries once there may be some", "[flow]",
                   ALL_TABLES) {
    constexpr std::uint32_t entries = 1032;
    LinesInMemory<TestType> memory(entries);
    TestType& table = memory.table;
    const auto ignore = [](std::uint32_t) {};
    for (std::uint32_t n = 0; n < entries; ++n)
        REQUIRE(add(table, n, n, start, n == 7 ? 5000 : 9000));
    CHECK_FALSE(table.soonest().may_be_past(start + 5000));
    CHECK_FALSE(add(table, entries, 1, start + 5000, 1000));
    CHECK(table.soonest().may_be_past(start + 5256));
    // One that stays longer than it should have: the sweep finds out.
    table.set_time(get(table, 7), FlowState::established, expiry_of(start + 9000));
    CHECK(table.soonest().may_be_past(start + 5256));
    for (int round = 0; round < 2; ++round)
        CHECK(table.sweep(table.lines(), start + 5256, ignore) == 0);
    CHECK_FALSE(table.soonest().may_be_past(start + 9000));
    // One that leaves earlier, and gives its place to a key of its line.
    const std::vector<std::uint32_t> near = sharing_a_home(table, 40);
    const std::uint32_t leaving = *std::ranges::find_if(near, [&](std::uint32_t n) {
        return n < entries && get(table, n).line() == table.name(nth<TestType>(n)).home;
    });
    table.set_time(get(table, leaving), FlowState::fin, expiry_of(start + 6000));
    CHECK_FALSE(table.soonest().may_be_past(start + 6000));
    CHECK(table.soonest().may_be_past(start + 6256));
    std::uint32_t added = 0;
    for (const std::uint32_t n : near)
        added += n >= entries && add(table, n, n, start + 6256, 9000);
    CHECK(added == 1);
    CHECK_FALSE(get(table, leaving));
    CHECK(table.size() == entries);
    // None is left of an empty table; what comes then is the soonest.
    for (int round = 0; round < 2; ++round)
        table.sweep(table.lines(), start + 20'000, ignore);
    CHECK(table.size() == 0);
    REQUIRE(add(table, 1, 1, start + 20'000, 1000));
    CHECK_FALSE(table.soonest().may_be_past(start + 21'000));
    CHECK(table.soonest().may_be_past(start + 21'256));
}

TEMPLATE_TEST_CASE("lines: the sweep visits all in turn, a bounded number a call", "[flow]",
                   ALL_TABLES) {
    LinesInMemory<TestType> memory(2000);
    TestType& table = memory.table;
    std::multiset<std::uint32_t> swept;
    const auto note = [&](std::uint32_t backend) { swept.insert(backend); };
    CHECK(table.sweep(table.lines(), start, note) == 0);
    for (std::uint32_t n = 0; n < 2000; ++n)
        REQUIRE(add(table, n, n, start, n % 2 == 0 ? 10 : 1000));
    const Tick later = start + 500;
    std::uint32_t removed = 0;
    for (std::uint32_t at = 0; at < table.lines(); at += 10) {
        const std::uint32_t now_removed = table.sweep(10, later, note);
        CHECK(now_removed <= 50);
        removed += now_removed;
    }
    CHECK(removed == 1000);
    CHECK(swept.size() == 1000);
    for (const std::uint32_t backend : swept)
        REQUIRE((backend % 2 == 0 && swept.count(backend) == 1));
    CHECK(table.size() == 1000);
    CHECK(table.sweep(table.lines(), later, note) == 0);
    CHECK(table.sweep(table.lines(), start + 2000, note) == 1000);
    for (std::uint32_t n = 0; n < 2000; ++n)
        REQUIRE_FALSE(get(table, n));
}

TEMPLATE_TEST_CASE("lines: a dump shows each live flow once, in bounded steps", "[flow]",
                   ALL_TABLES) {
    LinesInMemory<TestType> memory(2000);
    TestType& table = memory.table;
    for (std::uint32_t n = 0; n < 2000; ++n)
        REQUIRE(add(table, n, n, start, n % 5 == 0 ? 10 : 1000));
    const Tick later = start + 600;
    std::multiset<std::uint32_t> shown, expected;
    std::uint32_t cursor = 0;
    while (cursor < table.lines()) {
        std::array<typename TestType::Shown, 17> out;
        const std::uint32_t before = cursor;
        const std::size_t copied = table.copy(cursor, out, later);
        REQUIRE(cursor > before);
        CHECK(cursor - before <= out.size());
        for (std::size_t i = 0; i < copied; ++i) {
            CHECK(out[i].key == nth<TestType>(out[i].value.backend));
            CHECK(out[i].value.state == FlowState::syn);
            shown.insert(out[i].value.backend);
        }
    }
    for (std::uint32_t n = 0; n < 2000; ++n)
        if (n % 5 != 0) expected.insert(n);
    CHECK(shown == expected);
    std::array<typename TestType::Shown, 17> out;
    CHECK(table.copy(cursor, out, start) == 0);  // at the end it stays
    CHECK(cursor == table.lines());
}

TEMPLATE_TEST_CASE("lines: the region holds no pointer and may move", "[flow]", ALL_TABLES) {
    LinesInMemory<TestType> one(500), two(500);
    for (std::uint32_t n = 0; n < 400; ++n) {
        REQUIRE(add(one.table, n, n, start, 1000));
        REQUIRE(add(two.table, n, n, start, 1000));
    }
    CHECK(std::ranges::equal(one.region(), two.region()));
}

}  // namespace weir
