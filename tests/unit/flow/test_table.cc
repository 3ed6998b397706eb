// SPDX-License-Identifier: BSD-3-Clause
// The facade: each flow goes to the table of its kind and comes back from there.
#include <cstdlib>
#include <memory>
#include <set>
#include <tuple>

#include <catch2/catch.hpp>

#include "lib/flow/table.hh"
#include "tests/unit/flow/keys.hh"

namespace weir {

using namespace test;

namespace {

constexpr Tick start{1000};

struct Memory {
    explicit Memory(const FlowSizes& sizes)
        : size(FlowTable::footprint(sizes)),
          region(static_cast<std::byte*>(std::aligned_alloc(64, size)), std::free),
          table({region.get(), size}, sizes, fixed_secret) {}
    std::size_t size;
    std::unique_ptr<std::byte, void (*)(void*)> region;
    FlowTable table;
};

struct Flow {
    FlowKey key;
    std::uint16_t endpoint;
    bool several_ports;
};

// All three kinds, and range flows of both families and to several ports.
Flow nth_flow(std::uint32_t n) {
    Flow flow{nth_key(n / 4, n % 2 == 0 ? Family::v4 : Family::v6),
              static_cast<std::uint16_t>(n % 4), n % 4 >= 2};
    if (flow.several_ports) flow.key.destination_port = static_cast<std::uint16_t>(n / 8);
    return flow;
}

FlowName name_of(const FlowTable& table, const Flow& flow) {
    return table.name(flow.key, flow.endpoint, flow.several_ports);
}

// At `start`.
bool insert(FlowTable& table, const FlowName& name, std::uint32_t backend, Tick expires,
            FlowState state = FlowState::syn) {
    return table.insert(name, {backend, state, expiry_of(expires)}, start).done;
}

}  // namespace

TEST_CASE("table: footprint is the validator", "[flow]") {
    CHECK(FlowTable::footprint(0) == 0);
    CHECK(FlowTable::footprint((1u << 28) + 1) == 0);
    CHECK(FlowTable::footprint(1) > 0);
    CHECK(FlowTable::footprint(1u << 28) > 0);
    CHECK(FlowTable::footprint({1u << 28, false, false}) > 0);
    const std::size_t million = 1'000'000;
    CHECK(FlowTable::footprint({1'000'000, false, false}) < 19 * million);
    CHECK(FlowTable::footprint({1'000'000, true, false}) < 50 * million);
    CHECK(FlowTable::footprint({1'000'000, true, true}) < 92 * million);
}

// All that a worker keeps for its connections, the reserves and the headers included.
TEST_CASE("table: 16 bytes an IPv4 flow, 32 an IPv6 flow, in whole huge pages", "[flow]") {
    constexpr std::size_t huge_page = std::size_t{2} << 20;
    for (const std::size_t flows : {8'500'000u, 10'000'000u, 16'777'216u, 33'333'333u, 1u << 28}) {
        const auto entries = static_cast<std::uint32_t>(flows);
        FlowSizes narrow(1), wide(1);
        narrow.narrow = wide.wide = entries;
        CHECK(FlowTable::footprint(narrow) <= 16 * flows);
        CHECK(FlowTable::footprint(wide) <= 32 * flows);
        CHECK(FlowTable::footprint({entries, false, false}) <= 16 * flows);
        CHECK(FlowTable::footprint({entries, true, false}) <= (16 + 32) * flows);
        for (const bool needs_wide : {false, true})
            CHECK(FlowTable::footprint({entries, needs_wide, needs_wide}) % huge_page == 0);
    }
}

TEST_CASE("table: what its size promises finds room beside the reserves", "[flow]") {
    // 8'900'000 IPv4 flows: two huge pages and a half less than 16 bytes each.
    constexpr std::uint32_t entries = 8'900'000;
    Memory memory({entries, false, false});
    FlowTable& table = memory.table;
    const auto name_of_nth = [&](std::uint32_t n) {
        return table.name(nth_key(n, Family::v4), 1, false);
    };
    std::uint32_t refused = 0, lost = 0;
    for (std::uint32_t n = 0; n < entries; ++n)
        refused += !insert(table, name_of_nth(n), n & 0xffff, start);
    CHECK(refused == 0);
    for (std::uint32_t n = 0; n < entries; n += 13)
        lost += !table.find(name_of_nth(n));
    CHECK(lost == 0);
}

TEST_CASE("table: flows of every kind live side by side", "[flow]") {
    constexpr std::uint32_t flows = 4000;
    Memory memory(2000);
    FlowTable& table = memory.table;
    for (std::uint32_t n = 0; n < flows; ++n) {
        const FlowName name = name_of(table, nth_flow(n));
        REQUIRE_FALSE(table.find(name));
        REQUIRE(insert(table, name, n, start + 1000));
    }
    CHECK(table.size() == flows);
    CHECK(table.capacity() == 3 * 2000);  // of all kinds, as size()
    for (std::uint32_t n = 0; n < flows; ++n) {
        const FlowName name = name_of(table, nth_flow(n));
        table.prefetch(name);
        const LinePlace looked = table.look(name, start);
        const LinePlace place = looked.is_open() ? table.finish(name, looked) : looked;
        REQUIRE(place);
        const FlowEntry entry = table.entry(name, place);
        REQUIRE(entry.backend() == n);
        REQUIRE(entry.state() == FlowState::syn);
        REQUIRE_FALSE(is_past(entry.expiry(), start + 1000));
        REQUIRE(is_past(entry.expiry(), start + 1256));
        entry.set_time(FlowState::established, expiry_of(start + 5000));
        REQUIRE_FALSE(is_past(entry.expiry(), start + 1256));
        entry.set({n + 1, FlowState::fin, expiry_of(start + 2000)});
        REQUIRE(entry.backend() == n + 1);
        REQUIRE(entry.state() == FlowState::fin);
    }
}

TEST_CASE("table: an entry is there from its insert until the sweep finds it expired", "[flow]") {
    Memory memory(100);
    FlowTable& table = memory.table;
    for (std::uint32_t n = 0; n < 4; ++n) {
        const FlowName name = name_of(table, nth_flow(n));
        CHECK_FALSE(table.find(name));
        CHECK(table.size() == n);
        REQUIRE(insert(table, name, n, start));
        CHECK(table.find(name));
    }
    const FlowName quick = name_of(table, nth_flow(9));
    REQUIRE(table.insert_at_home(quick, {9, FlowState::syn, expiry_of(start + 300)}));
    CHECK(table.find(quick));
    CHECK(table.sweep(table.lines(), start, [](std::uint32_t) {}) == 0);
    CHECK(table.size() == 5);
    CHECK(table.sweep(table.lines(), start + 1000, [](std::uint32_t) {}) == 5);
    CHECK(table.size() == 0);
    CHECK_FALSE(table.find(quick));
}

TEST_CASE("table: a flow that is refused changes nothing", "[flow]") {
    Memory memory(100);
    FlowTable& table = memory.table;
    std::uint32_t n = 0;
    while (insert(table, name_of(table, nth_flow(n)), n, start + 1000))
        ++n;
    CHECK(n >= 100);
    const std::uint32_t before = table.size();
    const FlowName refused = name_of(table, nth_flow(n));
    CHECK(table.is_full_for(refused, start));
    CHECK_FALSE(table.insert_at_home(refused, {n, FlowState::syn, expiry_of(start)}));
    CHECK(table.size() == before);
    CHECK_FALSE(table.find(refused));
    for (std::uint32_t i = 0; i < n; ++i) {
        const FlowName name = name_of(table, nth_flow(i));
        const LinePlace place = table.find(name);
        REQUIRE(place);
        REQUIRE(table.entry(name, place).backend() == i);
    }
}

TEST_CASE("table: every part of the key counts", "[flow]") {
    Memory memory(1000);
    FlowTable& table = memory.table;
    std::set<std::tuple<int, std::uint64_t>> seen;
    for (std::uint32_t n = 0; n < 4; ++n) {
        const Flow flow = nth_flow(n);
        REQUIRE(insert(table, name_of(table, flow), n, start));
        Flow other = flow;
        other.endpoint ^= 0x8000;
        CHECK_FALSE(table.find(name_of(table, other)));
        other = flow;
        other.key.source_port ^= 1;
        CHECK_FALSE(table.find(name_of(table, other)));
        for (std::size_t byte = 0; byte < (flow.key.family == Family::v4 ? 4 : 16); ++byte) {
            other = flow;
            other.key.source[byte] ^= 0x80;
            CHECK_FALSE(table.find(name_of(table, other)));
        }
        other = flow;
        other.key.destination_port ^= 1;
        // The endpoint says the port where it has a single one.
        CHECK(static_cast<bool>(table.find(name_of(table, other))) == !flow.several_ports);
    }
}

TEST_CASE("table: a dump shows each live flow once, as it was inserted", "[flow]") {
    constexpr std::uint32_t flows = 4000;
    Memory memory(2000);
    FlowTable& table = memory.table;
    for (std::uint32_t n = 0; n < flows; ++n)
        REQUIRE(insert(table, name_of(table, nth_flow(n)), n, start + (n % 5 == 0 ? 10 : 10'000),
                       FlowState::established));
    const Tick later = start + 3000;
    std::multiset<std::uint32_t> shown, expected;
    for (std::uint32_t cursor = 0; cursor < table.lines();) {
        std::array<FlowRecord, 33> out;
        const std::uint32_t before = cursor;
        const std::size_t copied = table.copy(cursor, out, later);
        REQUIRE(cursor > before);
        CHECK(cursor - before <= out.size());
        for (std::size_t i = 0; i < copied; ++i) {
            const Flow flow = nth_flow(out[i].backend);
            REQUIRE(out[i].client == flow.key.source);
            REQUIRE(out[i].client_port == flow.key.source_port);
            REQUIRE(out[i].endpoint == flow.endpoint);
            REQUIRE(out[i].destination_port ==
                    (flow.several_ports ? flow.key.destination_port : 0));
            REQUIRE(out[i].state == FlowState::established);
            REQUIRE(elapsed(start + 10'000, out[i].expires) >= 0);
            REQUIRE(elapsed(start + 10'000, out[i].expires) < 256);
            shown.insert(out[i].backend);
        }
    }
    for (std::uint32_t n = 0; n < flows; ++n)
        if (n % 5 != 0) expected.insert(n);
    CHECK(shown == expected);
}

TEST_CASE("table: the sweep goes round all tables", "[flow]") {
    Memory memory({3000, true, false});
    FlowTable& table = memory.table;
    std::multiset<std::uint32_t> swept;
    std::uint32_t placed = 0;
    for (std::uint32_t n = 0; n < 400; ++n)
        placed += insert(table, name_of(table, nth_flow(n)), n, start);
    const Tick later = start + 3000;
    for (std::uint32_t at = 0; at < table.lines(); at += 7)
        table.sweep(7, later, [&](std::uint32_t backend) { swept.insert(backend); });
    CHECK(swept.size() == placed);
    CHECK(placed > 300);
    CHECK(table.size() == 0);
    CHECK(insert(table, name_of(table, nth_flow(1)), 1, start));
    CHECK(table.sweep(table.lines() + 5, later, [](std::uint32_t) {}) == 1);
}

}  // namespace weir
