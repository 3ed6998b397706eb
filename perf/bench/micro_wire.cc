// SPDX-License-Identifier: BSD-3-Clause
// Tunnel headers and checksums alone, over bytes that are in the cache.
#include <array>
#include <stdexcept>
#include <vector>

#include "lib/wire/checksum.hh"
#include "lib/wire/encapsulate.hh"
#include "perf/bench/groups.hh"

namespace weir::bench {

namespace {

constexpr const char* group = "micro";
constexpr std::size_t room = 64;  // of a header

Spread time_header(const Options& options, const OuterTemplate& outer) {
    std::vector<std::uint8_t> out(options.round * room);
    return spread_of(windows_of(options.plan, [&](Stopwatch& watch) {
        watch.start();
        for (std::uint32_t i = 0; i < options.round; ++i)
            write_outer(&out[i * room], outer, 46, 0, i * 0x9e37'79b1u);
        watch.stop(options.round);
        for (std::uint32_t i = 0; i < options.round && outer.length == 20; ++i)
            if (checksum_sum({&out[i * room], outer.length}) != 0xffff)
                throw std::runtime_error("a tunnel header has a wrong checksum");
    }));
}

Spread time_sum(const Options& options, std::size_t bytes) {
    std::vector<std::uint8_t> data(bytes + room, 0x5a);
    volatile std::uint16_t sink = 0;
    return spread_of(windows_of(options.plan, [&](Stopwatch& watch) {
        std::uint32_t sum = 0;
        watch.start();
        for (std::uint32_t i = 0; i < options.round; ++i)
            sum += checksum_sum(std::span<const std::uint8_t>(data).subspan(2 * i % room, bytes));
        watch.stop(options.round);
        sink = static_cast<std::uint16_t>(sum);
    }));
}

}  // namespace

void measure_wire(const Options& options, Report& report) {
    report.add(group, "tunnel header", {{"outer", 4}}, "cycles",
               time_header(options, make_outer_template(*parse_prefix("10.64.0.0/16"),
                                                        *parse_ip("10.0.1.1"), Family::v4)));
    report.add(group, "tunnel header", {{"outer", 6}}, "cycles",
               time_header(options, make_outer_template(*parse_prefix("fd00:64::/96"),
                                                        *parse_ip("fd00:1::1:1"), Family::v4)));
    for (const std::size_t bytes : {std::size_t{20}, std::size_t{40}, std::size_t{1500}})
        report.add(group, "checksum", {{"bytes", bytes}}, "cycles", time_sum(options, bytes));
}

}  // namespace weir::bench
