// SPDX-License-Identifier: BSD-3-Clause
// The tables of lines against std::unordered_map: mixed operations, the same answers.
#include <algorithm>
#include <unordered_map>

#include <catch2/catch.hpp>

#include "tests/unit/flow/line_tables.hh"

namespace weir {

using namespace test;

namespace {

template <typename Table>
class Model {
public:
    // Entries live for `shortest` milliseconds at least.
    Model(std::uint32_t entries, std::uint32_t keys, std::uint64_t seed, std::uint32_t shortest = 0)
        : memory_(entries, {{seed, 5, 6, 7}}), keys_(keys), shortest_(shortest), random_(seed) {}

    void run(std::uint64_t operations) {
        for (std::uint64_t i = 0; i < operations; ++i) {
            const std::uint32_t choice = pick(1000);
            if (choice < 600) {
                packet(pick(keys_));
            } else if (choice < 750) {
                look(pick(keys_));
            } else if (choice < 850) {
                erase(pick(keys_));
            } else if (choice < 950) {
                now_ = now_ + pick(200);
            } else if (choice < 999) {
                sweep(pick(20));
            } else if (pick(100) == 0) {
                compare_all();
            } else if (pick(100) == 0) {
                now_ = now_ + 600'000;  // a pause in which everything expires
            }
            REQUIRE(table().size() == flows_.size());
        }
        compare_all();
    }
    [[nodiscard]] std::uint64_t refusals() const { return refusals_; }
    [[nodiscard]] std::uint64_t unsearched() const { return unsearched_; }
    [[nodiscard]] bool full() { return table().size() == table().capacity(); }

private:
    Table& table() { return memory_.table; }
    std::uint32_t pick(std::uint32_t below) {
        return static_cast<std::uint32_t>(random_() % below);
    }

    // Same place whether live or not, as both keep what expired until somebody needs the place.
    LinePlace look(std::uint32_t n) {
        const LinePlace place = table().find(table().name(nth<Table>(n)));
        const auto at = flows_.find(n);
        REQUIRE(static_cast<bool>(place) == (at != flows_.end()));
        if (!place) return place;
        REQUIRE(table().key(place) == nth<Table>(n));
        REQUIRE(table().backend(place) == at->second.backend);
        REQUIRE(table().state(place) == at->second.state);
        REQUIRE(table().expiry(place) == at->second.expiry);
        return place;
    }

    // As the pipeline does: a known flow is renewed in its place, others are inserted.
    void packet(std::uint32_t n) {
        FlowValue value{pick(1u << backend_bits), static_cast<FlowState>(pick(4)),
                        expiry_of(now_ + shortest_ + pick(100'000))};
        if (const LinePlace place = look(n); place) {
            if (pick(2) == 0) {
                table().set_time(place, value.state, value.expiry);
                value.backend = flows_[n].backend;
            } else {
                table().set(place, value);
            }
            flows_[n] = value;
            return;
        }
        const bool was_full = full();
        const auto name = table().name(nth<Table>(n));
        if (was_full && !table().soonest().may_be_past(now_)) {
            REQUIRE(table().is_full_for(name, now_));
            if (++unsearched_ % 16 == 0) none_expired();
        }
        const auto inserted = table().insert(name, value, now_);
        if (!inserted.place) {
            REQUIRE(was_full);
            REQUIRE_FALSE(inserted.replaced);
            ++refusals_;
            return;
        }
        if (was_full) REQUIRE(inserted.replaced);
        if (inserted.replaced) forget_one(inserted.old_backend);
        flows_[n] = value;
    }

    // What lets a full table refuse without a search.
    void none_expired() const {
        REQUIRE(std::ranges::none_of(
            flows_, [this](const auto& flow) { return is_past(flow.second.expiry, now_); }));
    }

    // One that expired and counted for `backend` is gone; which one, the table tells by its key.
    void forget_one(std::uint32_t backend) {
        for (auto at = flows_.begin(); at != flows_.end(); ++at) {
            if (at->second.backend != backend || !is_past(at->second.expiry, now_)) continue;
            if (table().find(table().name(nth<Table>(at->first)))) continue;
            flows_.erase(at);
            return;
        }
        FAIL("an entry is gone that had not expired");
    }

    void erase(std::uint32_t n) {
        const LinePlace place = look(n);
        if (!place) return;
        flows_.erase(n);
        table().erase(place);
    }

    void sweep(std::uint32_t lines) {
        std::vector<std::uint32_t> gone;
        const std::uint32_t removed =
            table().sweep(lines, now_, [&](std::uint32_t backend) { gone.push_back(backend); });
        REQUIRE(removed == gone.size());
        for (const std::uint32_t backend : gone)
            forget_one(backend);
    }

    void compare_all() {
        std::size_t expected = 0, shown = 0;
        for (const auto& [n, value] : flows_) {
            look(n);
            expected += !is_past(value.expiry, now_);
        }
        std::vector<typename Table::Shown> out(64);
        for (std::uint32_t cursor = 0; cursor < table().lines();)
            shown += table().copy(cursor, out, now_);
        REQUIRE(shown == expected);
    }

    LinesInMemory<Table> memory_;
    std::uint32_t keys_, shortest_;
    std::mt19937_64 random_;
    Tick now_{0xffff0000};  // wraps early in the run
    std::uint64_t refusals_ = 0, unsearched_ = 0;
    std::unordered_map<std::uint32_t, FlowValue> flows_;  // by number of the key
};

template <typename Table>
void compare(std::uint64_t operations) {
    Model<Table> roomy(2000, 1500, 1), full(1200, 5000, 2), packed(1032, 3000, 3), tiny(1, 30, 4);
    roomy.run(operations);
    CHECK(roomy.refusals() == 0);
    full.run(operations);
    CHECK(full.refusals() > 0);
    packed.run(operations);
    // Its entries live so long that the sweep comes round meanwhile, and knows that none expired.
    Model<Table> lasting(1200, 5000, 5, 600'000);
    lasting.run(operations);
    CHECK(lasting.unsearched() > operations / 10);
    tiny.run(operations / 10);
}

}  // namespace

TEMPLATE_TEST_CASE("lines: equals a map", "[flow][property]", NarrowTable, WideTable, RangeTable) {
    compare<TestType>(150'000);
}

// 10^8 operations and more on each kind of table.
TEMPLATE_TEST_CASE("lines: equals a map, for hours", "[.long]", NarrowTable, WideTable,
                   RangeTable) {
    compare<TestType>(35'000'000);
}

// A key finds no entry that is not its own, however many are tried: five million lookups of absent
// keys here, 10^9 in the long run.
namespace {
template <typename Table>
void look_for_absent(std::uint32_t rounds) {
    constexpr std::uint32_t entries = 1'000'000;
    LinesInMemory<Table> memory(entries);
    Table& table = memory.table;
    std::uint32_t placed = 0;
    for (std::uint32_t n = 0; n < entries; ++n) {
        const FlowValue value{1, FlowState::syn, expiry_of(Tick{1})};
        placed += static_cast<bool>(table.insert(table.name(nth<Table>(n)), value, Tick{0}).place);
    }
    CHECK(placed == entries);
    std::uint64_t found = 0;
    for (std::uint32_t i = 0; i < rounds; ++i)
        found += static_cast<bool>(table.find(table.name(nth<Table>(entries + i))));
    CHECK(found == 0);
}
}  // namespace
TEMPLATE_TEST_CASE("lines: no false match", "[flow][property]", NarrowTable, WideTable,
                   RangeTable) {
    look_for_absent<TestType>(5'000'000);
}
TEMPLATE_TEST_CASE("lines: no false match in 10^9 lookups", "[.long]", NarrowTable, WideTable,
                   RangeTable) {
    look_for_absent<TestType>(1'000'000'000);
}

}  // namespace weir
