// SPDX-License-Identifier: BSD-3-Clause
// The tables of a service with a thousand backends: how long they take, how evenly they spread, and
// how much moves when backends fall and return.
#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "lib/balance/maglev.hh"
#include "perf/bench/groups.hh"
#include "perf/bench/random.hh"

namespace weir::bench {

namespace {

constexpr const char* group = "micro";
constexpr std::size_t backends = 1000;
constexpr int draws = 10;  // of backends that fall; the worst of all is told

using Live = std::vector<bool>;

std::vector<MaglevMember> members_of(std::uint32_t (*weight)(std::size_t)) {
    std::vector<MaglevMember> members;
    for (std::size_t i = 0; i < backends; ++i)
        members.push_back({maglev_name_hash(fmt::format("backend-{:04}", i)), weight(i)});
    return members;
}

std::vector<std::uint32_t> counts_of(const std::vector<Seat>& slots) {
    std::vector<std::uint32_t> counts(backends);
    for (const Seat seat : slots)
        ++counts.at(seat);
    return counts;
}

// `count` members that are in another state than `wanted`, drawn at random, take it.
Live with(Live live, unsigned count, bool wanted, Random& random) {
    while (count > 0) {
        const std::uint32_t i = random.below(live.size());
        if (live[i] == wanted) continue;
        live[i] = wanted;
        --count;
    }
    return live;
}

class Maglev {
public:
    explicit Maglev(std::uint32_t slots)
        : members_(members_of([](std::size_t) { return 100u; })),
          slots_(slots),
          configured_(maglev_configured(members_, slots)) {}

    [[nodiscard]] std::vector<Seat> table(const Live& live) const {
        return maglev_live(configured_, members_, live);
    }

    // Most slots of a live member over the average of the live ones.
    [[nodiscard]] double peak(const Live& live) const {
        const auto counts = counts_of(table(live));
        const auto up = static_cast<double>(std::ranges::count(live, true));
        return std::ranges::max(counts) * up / slots_;
    }

    // Slots that differ, over those that had to: of members that went, or that came back.
    [[nodiscard]] double moved(const Live& before, const Live& after) const {
        const auto from = table(before), to = table(after);
        std::uint32_t changed = 0, necessary = 0;
        for (std::size_t i = 0; i < from.size(); ++i) {
            changed += from[i] != to[i] ? 1 : 0;
            necessary += !after[from[i]] || !before[to[i]] ? 1 : 0;
        }
        return static_cast<double>(changed) / necessary;
    }

    [[nodiscard]] Spread time_full(const Plan& plan) const {
        return time(plan, [this] {
            return maglev_live(maglev_configured(members_, slots_), members_, Live(backends, true));
        });
    }
    [[nodiscard]] Spread time_change(const Plan& plan) const {
        std::size_t next = 0;
        return time(plan, [this, next]() mutable {
            Live live(backends, true);
            live[next++ % backends] = false;
            return table(live);
        });
    }

private:
    // Milliseconds of a table.
    template <typename Build>
    [[nodiscard]] Spread time(const Plan& plan, Build&& build) const {
        volatile Seat sink = 0;
        const Spread cycles = spread_of(windows_of(plan, [&](Stopwatch& watch) {
            watch.start();
            const std::vector<Seat> slots = build();
            watch.stop(1);
            sink = slots[slots.size() / 2];
        }));
        (void)sink;
        return scaled(cycles, 1e-6 / cycles_per_ns());
    }

    std::vector<MaglevMember> members_;
    std::uint32_t slots_;
    std::vector<Seat> configured_;
};

void measure_disruption(const Maglev& maglev, json conditions, Report& report) {
    for (const unsigned count : {1u, 5u, 100u}) {
        double falls = 0, returns = 0;
        Random random;
        for (int draw = 0; draw < draws; ++draw) {
            // Beside them, some are down all the time.
            const Live before = with(Live(backends, true), draw % 2 == 0 ? 0 : 20, false, random);
            const Live down = with(before, count, false, random);
            const Live back = with(down, count, true, random);  // not the same ones
            falls = std::max(falls, maglev.moved(before, down));
            returns = std::max(returns, maglev.moved(down, back));
        }
        conditions["of"] = fmt::format("{} of {}", count, backends);
        report.add(group, "slots changed / necessary, fall", conditions, "ratio", falls);
        report.add(group, "slots changed / necessary, return", conditions, "ratio", returns);
    }
}

void measure_balance(const Maglev& maglev, json conditions, Report& report) {
    for (const unsigned down : {0u, 10u, 100u}) {
        double worst = 0;
        Random random;
        for (int draw = 0; draw < (down == 0 ? 1 : draws); ++draw)
            worst = std::max(worst, maglev.peak(with(Live(backends, true), down, false, random)));
        conditions["down"] = down;
        report.add(group, "most loaded / average", conditions, "ratio", worst);
    }
}

// How far the share of a backend of weight 1 to 100 is from what its weight says; less the one
// slot that rounding may take, as the lightest have a dozen slots.
double worst_share(std::uint32_t slots) {
    const auto members =
        members_of([](std::size_t i) { return static_cast<std::uint32_t>(i % 100 + 1); });
    const auto counts = counts_of(maglev_configured(members, slots));
    double total = 0, worst = 0;
    for (const MaglevMember& member : members)
        total += member.weight;
    for (std::size_t i = 0; i < backends; ++i) {
        const double due = slots * members[i].weight / total;
        worst = std::max(worst, (std::abs(counts[i] - due) - 1) / due);
    }
    return 100 * worst;
}

}  // namespace

void measure_maglev(const Options& options, Report& report) {
    for (const std::uint32_t slots : {65'537u, 655'373u}) {
        const Maglev maglev(slots);
        const json conditions = {{"backends", backends}, {"slots", slots}};
        report.add(group, "maglev, whole table", conditions, "ms", maglev.time_full(options.plan));
        report.add(group, "maglev, one change", conditions, "ms", maglev.time_change(options.plan));
    }
    const std::uint32_t chosen = maglev_default_size(backends);
    const json conditions = {{"backends", backends}, {"slots", chosen}};
    const Maglev maglev(chosen);
    measure_disruption(maglev, conditions, report);
    measure_balance(maglev, conditions, report);
    report.add(group, "weights 1..100, share off by", conditions, "%", worst_share(chosen));
}

}  // namespace weir::bench
