// SPDX-License-Identifier: BSD-3-Clause
// FlowTable against std::unordered_map: millions of mixed operations, the same answers.
// WEIR_MODEL_OPERATIONS=N runs N operations instead of the usual number.
#include <cstdlib>
#include <optional>
#include <unordered_map>

#include <catch2/catch.hpp>

#include "tests/unit/flow/keys.hh"
#include "tests/unit/flow/region.hh"

namespace weir {

using namespace test;

namespace {

// What the table must know of one flow: entries that expired but were not reported yet included.
struct ModelEntry {
    std::uint32_t backend = 0;  // never given twice, so it names the insertion
    std::uint32_t service = 0;
    Tick expires{};
};

class Model {
public:
    // `weak`: all flows share 32 hashes, so that buckets overflow and tags agree.
    Model(std::uint32_t entries, std::uint32_t keys, bool weak, std::uint32_t seed)
        : memory_(entries), keys_(keys), weak_(weak), random_(seed) {}

    void run(std::uint64_t operations) {
        for (std::uint64_t i = 0; i < operations; ++i) {
            const std::uint32_t choice = pick(1000);
            if (choice < 600) {
                packet(pick(keys_));
            } else if (choice < 800) {
                look(pick(keys_));
            } else if (choice < 900) {
                erase(pick(keys_));
            } else if (choice < 970) {
                now_ = now_ + pick(8);
            } else if (choice < 999) {
                sweep(pick(40));
            } else if (pick(100) == 0) {
                compare_all();
            } else if (pick(100) == 0) {
                now_ = now_ + 3'000;  // a pause in which everything expires
            }
            REQUIRE(table().size() == flows_.size());
        }
        compare_all();
    }

private:
    FlowTable& table() { return memory_.table; }
    std::uint32_t pick(std::uint32_t below) {
        return static_cast<std::uint32_t>(random_() % below);
    }
    static FlowKey key_of(std::uint32_t n) {
        return nth_key(n, n % 3 == 0 ? Family::v6 : Family::v4);
    }
    [[nodiscard]] std::uint64_t hash_of(std::uint32_t n) const {
        return flow_hash(weak_ ? nth_key(n % 32) : key_of(n), fixed_secret);
    }
    [[nodiscard]] bool live(const ModelEntry& entry) const {
        return elapsed(entry.expires, now_) <= 0;
    }

    // The entry, when table and model agree that it lives.
    FlowEntry* look(std::uint32_t n) {
        table().prefetch(hash_of(n));
        table().prefetch_entry(hash_of(n));
        FlowEntry* entry = table().find(key_of(n), hash_of(n), now_);
        const auto at = flows_.find(n);
        REQUIRE((entry != nullptr) == (at != flows_.end() && live(at->second)));
        if (entry == nullptr) return nullptr;
        REQUIRE(entry->key == key_of(n));
        REQUIRE(entry->backend == at->second.backend);
        REQUIRE(entry->service == at->second.service);
        REQUIRE(entry->expires == at->second.expires);
        return entry;
    }

    // As the pipeline does: found flows live on, others are inserted.
    void packet(std::uint32_t n) {
        const Tick until = now_ + pick(2'000);
        if (FlowEntry* entry = look(n); entry != nullptr) {
            entry->expires = flows_[n].expires = until;
            return;
        }
        const bool was_known = flows_.contains(n);
        const auto inserted = table().insert(key_of(n), hash_of(n), now_);
        if (inserted.replaced) {
            if (was_known) REQUIRE(inserted.old_backend == flows_[n].backend);
            forget(inserted.old_backend, inserted.old_service);
        }
        REQUIRE(flows_.contains(n) == false);  // an expired twin would be found instead some day
        if (inserted.entry == nullptr) {
            REQUIRE_FALSE(inserted.replaced);
            if (!weak_) REQUIRE(table().size() >= table().capacity() * 95ull / 100);
            return;
        }
        const ModelEntry made{++serial_, pick(100), until};
        inserted.entry->backend = made.backend;
        inserted.entry->service = made.service;
        inserted.entry->expires = made.expires;
        flows_[n] = made;
        owners_[made.backend] = n;
    }

    // The table says that this flow is gone: it must have expired.
    void forget(std::uint32_t backend, std::uint32_t service) {
        const auto owner = owners_.find(backend);
        REQUIRE(owner != owners_.end());
        const auto at = flows_.find(owner->second);
        REQUIRE(at != flows_.end());
        REQUIRE(at->second.backend == backend);
        REQUIRE(at->second.service == service);
        REQUIRE_FALSE(live(at->second));
        flows_.erase(at);
        owners_.erase(owner);
    }

    void erase(std::uint32_t n) {
        FlowEntry* entry = look(n);
        if (entry == nullptr) return;
        owners_.erase(entry->backend);
        flows_.erase(n);
        table().erase(entry);
    }

    void sweep(std::uint32_t count) {
        std::uint32_t told = 0;
        const std::uint32_t removed = table().sweep(count, now_, [&](const FlowEntry& entry) {
            forget(entry.backend, entry.service);
            ++told;
        });
        REQUIRE(removed == told);
        REQUIRE(removed <= count);
    }

    void compare_all() {
        std::size_t expected = 0, shown = 0;
        for (const auto& [n, entry] : flows_) {
            look(n);
            expected += live(entry);
        }
        std::vector<FlowEntry> out(64);
        for (std::uint32_t cursor = 0; cursor < table().capacity();)
            shown += table().copy(cursor, out, now_);
        REQUIRE(shown == expected);
    }

    TableInMemory memory_;
    std::uint32_t keys_;
    bool weak_;
    std::mt19937_64 random_;
    Tick now_{0xffff0000};  // wraps early in the run
    std::uint32_t serial_ = 0;
    std::unordered_map<std::uint32_t, ModelEntry> flows_;      // by number of the key
    std::unordered_map<std::uint32_t, std::uint32_t> owners_;  // backend -> number of the key
};

std::uint64_t operations(std::uint64_t usual) {
    const char* asked = std::getenv("WEIR_MODEL_OPERATIONS");
    return asked != nullptr ? std::strtoull(asked, nullptr, 10) : usual;
}

}  // namespace

TEST_CASE("table: equals a map, with room to spare", "[flow][property]") {
    Model(4096, 3000, false, 1).run(operations(1'000'000));
}

TEST_CASE("table: equals a map, when full most of the time", "[flow][property]") {
    Model(700, 3000, false, 2).run(operations(1'000'000));
}

TEST_CASE("table: equals a map, when hashes collide", "[flow][property]") {
    Model(1000, 2000, true, 3).run(operations(500'000));
}

TEST_CASE("table: equals a map, however small", "[flow][property]") {
    for (std::uint32_t entries = 1; entries <= 20; ++entries)
        Model(entries, 30, false, entries).run(operations(20'000));
}

}  // namespace weir
