// SPDX-License-Identifier: BSD-3-Clause
#include "perf/bench/report.hh"

#include <cstdio>
#include <utility>

#include <fmt/format.h>

namespace weir::bench {

void Report::add(const std::string& group, const std::string& what, json conditions,
                 const std::string& unit, const Spread& spread) {
    figures_.push_back({{"group", group},
                        {"what", what},
                        {"conditions", std::move(conditions)},
                        {"unit", unit},
                        {"median", spread.median},
                        {"min", spread.least},
                        {"max", spread.most},
                        {"windows", spread.windows},
                        {"dropped", spread.dropped}});
    print(figures_.back());
}

void Report::add(const std::string& group, const std::string& what, json conditions,
                 const std::string& unit, double value) {
    add(group, what, std::move(conditions), unit, Spread{value, value, value, 0, 0});
}

void Report::print(const json& figure) {
    std::string words = figure["what"].get<std::string>();
    for (const auto& [name, value] : figure["conditions"].items())
        words += fmt::format(" {}={}", name,
                             value.is_string() ? value.get<std::string>() : value.dump());
    std::string spread, dropped;
    if (figure["windows"] != 0 || figure["dropped"] != 0)
        spread = fmt::format(" ({:.2f}..{:.2f})", figure["min"].get<double>(),
                             figure["max"].get<double>());
    if (figure["dropped"] != 0)
        dropped = fmt::format("  {} windows, {} not quiet", figure["windows"].get<unsigned>(),
                              figure["dropped"].get<unsigned>());
    fmt::print("{:<66} {:10.2f} {}{}{}\n", words, figure["median"].get<double>(),
               figure["unit"].get<std::string>(), spread, dropped);
    std::fflush(stdout);
}

}  // namespace weir::bench
