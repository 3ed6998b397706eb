// SPDX-License-Identifier: BSD-3-Clause
#include "perf/loop/measure.hh"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <thread>

#include <fmt/format.h>
#include <rte_cycles.h>

namespace weir::loop {

namespace {

using namespace std::chrono_literals;

constexpr double least_share = 0.97, most_stray = 1.05, stray_cycles = 2;

}  // namespace

double microseconds(std::uint64_t tsc_cycles) noexcept {
    return static_cast<double>(tsc_cycles) * 1e6 / static_cast<double>(rte_get_tsc_hz());
}

Moment moment_of(const Station& station, int thread) {
    Moment now;
    now.packets = station.sends != nullptr ? station.sends->returned() : station.receives->made();
    now.busy_cycles = station.counters->busy_cycles.read();
    now.busy_loops = station.counters->busy_loops.read();
    if (station.receives != nullptr) now.lane_cycles += station.receives->receive_cycles();
    if (station.sends != nullptr) now.lane_cycles += station.sends->send_cycles();
    for (const auto& [name, cycles] : station.parts)
        now.parts.push_back(cycles->read());
    std::ifstream(fmt::format("/proc/self/task/{}/schedstat", thread)) >> now.ran;
    now.tsc = rte_rdtsc();
    return now;
}

Sample difference(const Moment& before, const Moment& after) {
    const auto hertz = static_cast<double>(rte_get_tsc_hz());
    const auto seconds = static_cast<double>(after.tsc - before.tsc) / hertz;
    const auto packets = static_cast<double>(after.packets - before.packets);
    const auto busy = after.busy_cycles - before.busy_cycles;
    const auto lanes = after.lane_cycles - before.lane_cycles;
    Sample sample;
    sample.packets = after.packets - before.packets;
    sample.cpu_share = static_cast<double>(after.ran - before.ran) / 1e9 / seconds;
    if (sample.packets == 0) return sample;
    sample.cycles = (static_cast<double>(busy) - static_cast<double>(lanes)) / packets;
    sample.mpps = hertz / sample.cycles / 1e6;
    sample.raw_mpps = packets / seconds / 1e6;
    sample.burst = packets / static_cast<double>(after.busy_loops - before.busy_loops);
    for (std::size_t i = 0; i < before.parts.size(); ++i)
        sample.parts.push_back(static_cast<double>(after.parts[i] - before.parts[i]) / packets);
    return sample;
}

namespace {

std::vector<Moment> moments_of(const Runner& runner, const MeasureOptions& options) {
    std::vector<Moment> moments;
    for (const Station& station : runner.stations())
        moments.push_back(moment_of(station, options.threads.at(station.lcore)));
    return moments;
}

bool every_flow_sent_twice(const Runner& runner) {
    return std::ranges::all_of(runner.lanes(),
                               [](const auto& lane) { return lane->made() >= 2 * lane->flows(); });
}

Result<void> one_window(Runner& runner, Course& course, const MeasureOptions& options,
                        const std::atomic<bool>& stop) {
    if (auto started = runner.start(); !started) return started;
    std::this_thread::sleep_for(20ms);
    for (int i = 0; i < 30'000 && !every_flow_sent_twice(runner) && !stop.load(); ++i)
        std::this_thread::sleep_for(1ms);
    const auto before = moments_of(runner, options);
    std::this_thread::sleep_for(std::chrono::duration<double>(options.seconds));
    const auto after = moments_of(runner, options);
    auto& samples = course.samples.emplace_back();
    for (std::size_t i = 0; i < before.size(); ++i)
        samples.push_back(difference(before[i], after[i]));
    return runner.stop();
}

void check(Course& course) {
    course.made = course.runner->made();
    course.right = course.runner->right();
    for (const auto& lane : course.runner->lanes()) {
        for (std::size_t i = 1; i < gen::verdict_count; ++i) {
            const auto verdict = static_cast<gen::Verdict>(i);
            if (const auto count = lane->of(verdict); count != 0)
                course.wrong[std::string(gen::name_of(verdict))] += count;
        }
    }
}

void sort_out(Outcome& outcome) {
    const std::size_t windows = outcome.courses.front().samples.size();
    outcome.kept.clear();
    outcome.strayed = outcome.cpu_taken = 0;
    const auto calm = [&](std::size_t window) {
        return std::ranges::all_of(outcome.courses, [window](const Course& course) {
            return std::ranges::all_of(course.samples[window], [](const Sample& sample) {
                return sample.cpu_share >= least_share && sample.packets != 0;
            });
        });
    };
    const auto reference = [&](std::size_t window) {
        return outcome.courses.front().samples[window].front().cycles;
    };
    double best = 1e9;
    for (std::size_t window = 0; window < windows; ++window)
        if (calm(window)) best = std::min(best, reference(window));
    for (std::size_t window = 0; window < windows; ++window) {
        const bool is_calm = calm(window);
        const bool strays = reference(window) > std::max(best * most_stray, best + stray_cycles);
        if (!is_calm)
            ++outcome.cpu_taken;
        else if (strays)
            ++outcome.strayed;
        outcome.kept.push_back(is_calm && !strays);
    }
}

}  // namespace

Spread spread_of(std::vector<double> values) {
    if (values.empty()) return {};
    std::ranges::sort(values);
    const std::size_t n = values.size();
    const double median = n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
    return {median, values.front(), values.back()};
}

namespace {

// `value(window)` for the kept windows, or for all when none was.
template <typename Value>
Spread over_kept(const std::vector<bool>& kept, Value value) {
    const bool any = std::ranges::find(kept, true) != kept.end();
    std::vector<double> values;
    for (std::size_t window = 0; window < kept.size(); ++window)
        if (kept[window] || !any) values.push_back(value(window));
    return spread_of(std::move(values));
}

double sum(const std::vector<Sample>& samples, double Sample::*what) {
    double total = 0;
    for (const Sample& sample : samples)
        total += sample.*what;
    return total;
}

}  // namespace

Spread Outcome::of(std::size_t course, std::size_t station, double Sample::*what) const {
    return over_kept(
        kept, [&](std::size_t window) { return courses[course].samples[window][station].*what; });
}

Spread Outcome::part(std::size_t course, std::size_t station, std::size_t part) const {
    return over_kept(kept, [&](std::size_t window) {
        const auto& parts = courses[course].samples[window][station].parts;
        return part < parts.size() ? parts[part] : 0.0;
    });
}

Spread Outcome::ratio(std::size_t above, std::size_t below, double Sample::*what) const {
    return over_kept(kept, [&](std::size_t window) {
        const double divisor = sum(courses[below].samples[window], what);
        return divisor > 0 ? sum(courses[above].samples[window], what) / divisor : 0;
    });
}

bool Outcome::all_right() const {
    return std::ranges::all_of(courses, [](const Course& course) {
        return course.right == course.made && course.made != 0;
    });
}

Result<Outcome> measure(const std::vector<std::unique_ptr<Runner>>& runners,
                        const MeasureOptions& options, const std::atomic<bool>& stop) {
    Outcome outcome;
    for (const auto& runner : runners)
        outcome.courses.push_back({runner.get(), {}, 0, 0, {}});
    const auto enough = [&] { return std::ranges::count(outcome.kept, true) >= options.windows; };
    const unsigned most = options.windows * options.tries;
    for (unsigned window = 0; window < most && !enough() && !stop.load(); ++window) {
        for (std::size_t i = 0; i < runners.size(); ++i) {
            // Every other time in reverse order.
            const std::size_t turn = window % 2 ? runners.size() - 1 - i : i;
            auto done = one_window(*runners[turn], outcome.courses[turn], options, stop);
            if (!done) return done.error();
        }
        sort_out(outcome);
    }
    for (Course& course : outcome.courses)
        check(course);
    return outcome;
}

}  // namespace weir::loop
