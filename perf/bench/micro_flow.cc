// SPDX-License-Identifier: BSD-3-Clause
// The connection table alone: lookups and insertions beside what the memory itself costs.
#include <algorithm>
#include <array>
#include <limits>
#include <stdexcept>
#include <vector>

#include <fmt/format.h>

#include "lib/dataplane/lanes.hh"
#include "perf/bench/flows.hh"
#include "perf/bench/groups.hh"
#include "perf/bench/random.hh"

namespace weir::bench {

namespace {

constexpr const char* group = "micro";
constexpr std::size_t line_bytes = 64;
constexpr std::uint32_t enough_to_insert = 100'000;  // for windows of a sixteenth each

// How the lines of a burst are asked for: all by loads, all by prefetches, or a group at a time
// while the one before it is read, as the pipeline does with lanes.
enum class Fetch : std::uint8_t { loads, prefetches, groups };

using Lines = std::span<const std::byte* const>;

void ask(Lines lines, Fetch fetch) noexcept {
    constexpr int to_read = 0, second_level = 2;
    for (const std::byte* line : lines) {
        if (fetch == Fetch::loads)
            static_cast<void>(*static_cast<const volatile std::byte*>(line));
        else if (fetch == Fetch::prefetches)
            __builtin_prefetch(line);
        else
            __builtin_prefetch(line, to_read, second_level);
    }
}

// One random cache line of `memory`: the least that a lookup in so much memory can cost.
// Addresses are drawn beforehand, as the hashes of look_up() are. All take one burst at a time: in
// the pipeline other work lies between two bursts, so the misses of one do not overlap with those
// of the next.
std::vector<Window> random_lines(const Options& options, std::span<const std::byte> memory,
                                 Fetch fetch) {
    std::vector<const std::byte*> drawn(options.burst);
    const Lines lines = drawn;
    const std::size_t at_once = fetch == Fetch::groups ? lanes::group_size : drawn.size();
    const auto part = [&](std::size_t first) {
        return lines.subspan(std::min(first, lines.size()),
                             std::min(at_once, lines.size() - std::min(first, lines.size())));
    };
    Random random;
    volatile unsigned sink = 0;
    return windows_of(options.plan, [&](Stopwatch& watch) {
        for (const std::byte*& line : drawn)
            line =
                memory.data() + std::size_t{random.below(memory.size() / line_bytes)} * line_bytes;
        unsigned sum = 0;
        watch.start();
        ask(part(0), fetch);
        for (std::size_t first = 0; first < lines.size(); first += at_once) {
            ask(part(first + at_once), fetch);
            for (const std::byte* line : part(first))
                sum += static_cast<unsigned>(*line);
        }
        watch.stop(lines.size());
        sink = sum;
    });
}

class FlowBench {
public:
    FlowBench(const Options& options, Family family, std::uint32_t flows)
        : options_(options),
          count_(flows),
          flows_(family, flows),
          asked_(options.burst),
          conditions_({{"family", family == Family::v4 ? 4 : 6}, {"flows", flows}}) {}

    // A window for each sixteenth of the flows.
    [[nodiscard]] std::vector<Window> grow() {
        std::vector<Window> windows;
        Stopwatch watch;
        for (std::uint32_t first = 0; first < count_;) {
            const std::uint32_t count = std::min(options_.burst, count_ - first);
            for (std::uint32_t i = 0; i < count; ++i)
                asked_[i] = flows_.ask(first + i);
            watch.start();
            const unsigned inserted = flows_.insert(std::span(asked_).first(count));
            watch.stop(count);
            if (inserted != count)
                throw std::runtime_error(fmt::format("no room for flow {} of {}", first, count_));
            first += count;
            if (watch.so_far().items >= count_ / 16 || first == count_)
                windows.push_back(watch.take());
        }
        return windows;
    }

    [[nodiscard]] std::vector<Window> look_up() {
        return look_up_by([this](std::uint64_t& sum) { return flows_.look_up(asked_, sum); });
    }
    [[nodiscard]] std::vector<Window> look_up_in_lanes() {
        return look_up_by(
            [this](std::uint64_t& sum) { return flows_.look_up_in_lanes(asked_, sum); });
    }

    // Lookups of flows that are not there: none may be found.
    [[nodiscard]] std::uint64_t false_matches(std::uint64_t lookups) {
        std::uint64_t found = 0, sum = 0;
        for (std::uint64_t done = 0; done < lookups; done += asked_.size()) {
            for (Asked& asked : asked_)
                asked = flows_.ask(count_ + random_.below((std::uint64_t{1} << 32) - count_));
            found += flows_.look_up(asked_, sum);
        }
        return found;
    }

    [[nodiscard]] std::size_t bytes() const noexcept { return flows_.bytes(); }
    [[nodiscard]] const json& conditions() const noexcept { return conditions_; }

private:
    template <typename LookUp>
    [[nodiscard]] std::vector<Window> look_up_by(LookUp&& look_up) {
        return windows_of(options_.plan, [&](Stopwatch& watch) {
            std::uint64_t right = 0, sum = 0;
            for (Asked& asked : asked_) {
                asked = flows_.ask(random_.below(count_));
                right += Flows::remembered_of(asked.flow);
            }
            flows_.prepare(asked_);
            watch.start();
            const unsigned found = look_up(sum);
            watch.stop(asked_.size());
            if (found != asked_.size() || sum != right)
                throw std::runtime_error(
                    "the connection table found something else than it was given");
        });
    }

    const Options& options_;
    std::uint32_t count_;
    Flows flows_;
    std::vector<Asked> asked_;
    Random random_;
    json conditions_;
};

void measure_table(const Options& options, Family family, std::uint32_t flows, Report& report) {
    FlowBench bench(options, family, flows);
    const json& conditions = bench.conditions();
    const Spread fresh = spread_of(bench.grow());
    const Spread one_by_one = spread_of(bench.look_up());
    const Spread found = lanes::available() ? spread_of(bench.look_up_in_lanes()) : one_by_one;
    report.add(group, "flow lookup", conditions, "cycles", found);
    report.add(group, "flow lookup, one by one", conditions, "cycles", one_by_one);
    const Region region(bench.bytes());
    double least = std::numeric_limits<double>::max();
    const auto add_line = [&](const char* name, Fetch fetch) {
        const Spread line =
            spread_of(random_lines(options, region.bytes().first(bench.bytes()), fetch));
        report.add(group, name, conditions, "cycles", line);
        least = std::min(least, line.median);
    };
    add_line("random loaded line", Fetch::loads);
    add_line("random prefetched line", Fetch::prefetches);
    add_line("random line prefetched in groups", Fetch::groups);
    // Against the cheapest way to get a line.
    report.add(group, "flow lookup / random line", conditions, "ratio", scaled(found, 1 / least));
    if (flows >= enough_to_insert)
        report.add(group, "flow insert, from empty to full", conditions, "cycles", fresh);
    report.add(group, "bytes a flow", conditions, "bytes",
               static_cast<double>(bench.bytes()) / flows);
    if (flows == options.micro_flows.back()) {
        const std::uint64_t wrong = bench.false_matches(options.false_lookups);
        report.add(group,
                   fmt::format("false matches in {:.0e} lookups of other flows",
                               static_cast<double>(options.false_lookups)),
                   conditions, "", static_cast<double>(wrong));
    }
}

void measure_hashes(const Options& options, Family family, Report& report) {
    const Flows flows(family, 1000);
    const HashSecret secret = random_hash_secret();
    std::vector<FlowKey> keys;
    for (std::uint32_t i = 0; i < options.round; ++i)
        keys.push_back(flows.ask(i).key);
    volatile std::uint64_t sink = 0;
    const auto time = [&](auto&& hash) {
        return spread_of(windows_of(options.plan, [&](Stopwatch& watch) {
            std::uint64_t sum = 0;
            watch.start();
            for (const FlowKey& key : keys)
                sum += hash(key);
            watch.stop(keys.size());
            sink = sum;
        }));
    };
    const json conditions = {{"family", family == Family::v4 ? 4 : 6}};
    report.add(group, "flow hash", conditions, "cycles",
               time([&](const FlowKey& key) { return flow_hash(key, secret); }));
    report.add(group, "slot hash", conditions, "cycles",
               time([](const FlowKey& key) { return slot_hash(key, 0x5765697200000001); }));
}

}  // namespace

void measure_flow(const Options& options, Report& report) {
    for (const unsigned family : options.families) {
        measure_hashes(options, family == 4 ? Family::v4 : Family::v6, report);
        for (const std::uint64_t flows : options.micro_flows)
            measure_table(options, family == 4 ? Family::v4 : Family::v6,
                          static_cast<std::uint32_t>(flows), report);
    }
}

}  // namespace weir::bench
