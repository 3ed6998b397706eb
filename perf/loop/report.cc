// SPDX-License-Identifier: BSD-3-Clause
#include "perf/loop/report.hh"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <rte_cycles.h>

namespace weir::loop {

namespace {

using nlohmann::json;

// The figures that follow from a mode's courses.
struct Conclusion {
    std::string name, words;
    Spread value;
};

// Index of the course, by name.
std::size_t at(const Outcome& outcome, const char* name) {
    const auto found = std::ranges::find_if(
        outcome.courses, [name](const Course& course) { return course.runner->name() == name; });
    return static_cast<std::size_t>(found - outcome.courses.begin());
}

// The worker's cycles in `course` above those in `reference`, window by window.
Spread above(const Outcome& outcome, std::size_t course, std::size_t station,
             std::size_t reference) {
    std::vector<double> values;
    const bool any = std::ranges::find(outcome.kept, true) != outcome.kept.end();
    for (std::size_t window = 0; window < outcome.kept.size(); ++window)
        if (outcome.kept[window] || !any)
            values.push_back(outcome.courses[course].samples[window][station].cycles -
                             outcome.courses[reference].samples[window].front().cycles);
    return spread_of(std::move(values));
}

std::size_t worker_station(const Course& course) {
    std::size_t station = 0;
    while (course.runner->stations()[station].sends == nullptr)
        ++station;
    return station;
}

std::vector<Conclusion> conclusions(const Options& options, const Outcome& outcome) {
    const std::size_t bare = at(outcome, "macfwd"), weir = at(outcome, "weir");
    std::vector<Conclusion> all{
        {"extra_cycles", "cycles a packet above macfwd", above(outcome, weir, 0, bare)}};
    if (options.mode == "ring") {
        const std::size_t ring = at(outcome, "ring"), far = at(outcome, "weir-far");
        all.push_back({"handover_cycles",
                       "cycles a packet of the worker above direct polling of far packets (P15)",
                       above(outcome, ring, worker_station(outcome.courses[ring]), far)});
    }
    if (options.mode == "scaling") {
        const auto add = [&](const char* name, const char* words, const char* two, const char* one,
                             double Sample::*what) {
            all.push_back({name, words, outcome.ratio(at(outcome, two), at(outcome, one), what)});
        };
        add("two_over_one", "two workers / one, making and checking taken off (P14)", "weir-2",
            "weir", &Sample::mpps);
        add("two_over_one_raw", "the same as forwarded, making and checking included", "weir-2",
            "weir", &Sample::raw_mpps);
        add("two_over_one_any", "two / one where any worker receives any flow, taken off",
            "weir-2-any", "weir", &Sample::mpps);
        add("macfwd_two_over_one", "of macfwd: what the machine allows", "macfwd-2", "macfwd",
            &Sample::mpps);
    }
    return all;
}

std::string words(const Spread& spread) {
    return fmt::format("{:7.2f} ({:.2f}..{:.2f})", spread.median, spread.least, spread.most);
}

std::size_t kept(const Outcome& outcome) {
    return static_cast<std::size_t>(std::ranges::count(outcome.kept, true));
}

}  // namespace

json json_of(const Spread& spread) {
    return {{"median", spread.median}, {"min", spread.least}, {"max", spread.most}};
}

std::string table(const Options& options, const Outcome& outcome) {
    std::string text = fmt::format(
        "{}, {} flows a worker; windows kept {}, dropped: reference strayed {}, CPU taken {}\n"
        "{:<11} {:<8} {:<24} {:<23} {:>6}  {:>12}  {}\n",
        options.forward, options.flows, kept(outcome), outcome.strayed, outcome.cpu_taken, "", "",
        "cycles a packet", "Mpps of those", "burst", "packets", "checked");
    for (std::size_t c = 0; c < outcome.courses.size(); ++c) {
        const Course& course = outcome.courses[c];
        const auto& stations = course.runner->stations();
        for (std::size_t s = 0; s < stations.size(); ++s) {
            const std::string checked =
                course.right == course.made
                    ? "all right"
                    : fmt::format("{} NOT right", course.made - course.right);
            text += fmt::format("{:<11} {:<8} {:<24} {:<23} {:6.1f}  {:12}  {}\n",
                                course.runner->name(), stations[s].name,
                                words(outcome.of(c, s, &Sample::cycles)),
                                words(outcome.of(c, s, &Sample::mpps)),
                                outcome.of(c, s, &Sample::burst).median, course.made, checked);
            for (std::size_t p = 0; p < stations[s].parts.size(); ++p)
                text += fmt::format("{:<11}  of it {:<14}{}\n", "", stations[s].parts[p].first,
                                    words(outcome.part(c, s, p)));
        }
        for (const auto& [kind, count] : course.wrong)
            text += fmt::format("{:<11} wrong: {} {}\n", "", kind, count);
    }
    for (const Conclusion& conclusion : conclusions(options, outcome))
        text += fmt::format("{}  {}\n", words(conclusion.value), conclusion.words);
    return text;
}

std::string json_of(const Options& options, const Outcome& outcome) {
    json courses = json::array();
    for (std::size_t c = 0; c < outcome.courses.size(); ++c) {
        const Course& course = outcome.courses[c];
        json stations = json::array();
        for (std::size_t s = 0; s < course.runner->stations().size(); ++s) {
            const Station& station = course.runner->stations()[s];
            json parts = json::object();
            for (std::size_t p = 0; p < station.parts.size(); ++p)
                parts[station.parts[p].first] = json_of(outcome.part(c, s, p));
            json windows = json::array();
            for (const auto& samples : course.samples)
                windows.push_back({{"cycles", samples[s].cycles},
                                   {"raw_mpps", samples[s].raw_mpps},
                                   {"cpu_share", samples[s].cpu_share}});
            stations.push_back({{"name", station.name},
                                {"cycles", json_of(outcome.of(c, s, &Sample::cycles))},
                                {"mpps", json_of(outcome.of(c, s, &Sample::mpps))},
                                {"raw_mpps", json_of(outcome.of(c, s, &Sample::raw_mpps))},
                                {"burst", outcome.of(c, s, &Sample::burst).median},
                                {"parts", std::move(parts)},
                                {"windows", std::move(windows)}});
        }
        courses.push_back({{"name", course.runner->name()},
                           {"stations", std::move(stations)},
                           {"sent", course.made},
                           {"right", course.right},
                           {"wrong_by_kind", course.wrong}});
    }
    json result{
        {"mode", options.mode},           {"forward", options.forward},
        {"flows", options.flows},         {"entries", options.entries},
        {"backends", options.backends},   {"tsc_mhz", static_cast<double>(rte_get_tsc_hz()) / 1e6},
        {"windows", outcome.kept.size()}, {"kept", kept(outcome)},
        {"strayed", outcome.strayed},     {"cpu_taken", outcome.cpu_taken},
        {"ok", outcome.all_right()},      {"runners", std::move(courses)}};
    for (const Conclusion& conclusion : conclusions(options, outcome))
        result[conclusion.name] = json_of(conclusion.value);
    return result.dump() + "\n";
}

}  // namespace weir::loop
