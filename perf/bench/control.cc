// SPDX-License-Identifier: BSD-3-Clause
// The control plane with ten thousand services: from the file to tables, and what a change of
// health costs.
#include <stdexcept>
#include <string>

#include "perf/bench/groups.hh"
#include "perf/many/services.hh"

namespace weir::bench {

namespace {

constexpr const char* group = "control";
constexpr double mebibyte = 1024.0 * 1024;
constexpr std::uint32_t flips = 5;  // in one publication: a thousand a second, one in 5 ms

std::unique_ptr<many::Instance> load(const many::File& file, many::Instance::Memory* memory) {
    auto instance = many::Instance::load(file.path(), *parse_mac("02:00:00:00:00:05"), memory);
    if (!instance) throw std::runtime_error(instance.error().message);
    return std::move(instance).value();
}

}  // namespace

void measure_control(const Options& options, Report& report) {
    const many::Options size;
    const many::File file(many::configuration(size));
    const json conditions{{"services", size.services}, {"backends", size.backends}};
    many::Instance::Memory memory;
    const auto instance = load(file, &memory);
    for (const auto& [what, bytes] :
         {std::pair{"memory, configuration", memory.config}, std::pair{"memory, ids", memory.ids},
          std::pair{"memory, tables", memory.tables}})
        report.add(group, what, conditions, "MiB", static_cast<double>(bytes) / mebibyte);

    const auto loads = windows_of(options.plan, [&](Stopwatch& watch) {
        watch.start();
        const auto fresh = load(file, nullptr);
        watch.stop(1);
    });
    report.add(group, "load, from the file to tables", conditions, "ms",
               scaled(spread_of(loads), 1e-6 / cycles_per_ns()));

    auto tables = instance->take_tables();
    std::uint32_t next = 0;
    const auto changes = windows_of(options.plan, [&](Stopwatch& watch) {
        watch.start();
        for (std::uint32_t i = 0; i < flips; ++i, ++next)
            instance->set_health(
                next % size.services, next / size.services % size.backends,
                next / size.services / size.backends % 2 == 0 ? Liveness::down : Liveness::up);
        tables = instance->compile_changes(*tables);
        watch.stop(1);
    });
    report.add(group, "compile, 5 flips, older tables freed", conditions, "us",
               scaled(spread_of(changes), 1e-3 / cycles_per_ns()));
}

}  // namespace weir::bench
