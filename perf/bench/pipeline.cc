// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <stdexcept>
#include <vector>

#include <fmt/format.h>

#include "lib/control/forward_mode.hh"
#include "perf/bench/balancer.hh"
#include "perf/bench/groups.hh"
#include "perf/bench/packets.hh"

namespace weir::bench {

namespace {

constexpr const char* group = "pipeline";

std::uint32_t entries_for(const Options& options, std::uint64_t flows) {
    if (options.entries != 0) return options.entries;
    return std::max<std::uint32_t>(1u << 22, static_cast<std::uint32_t>(flows * 8 / 5));
}

// One balancer with its flows: what is measured of one case and one number of flows.
class Bed {
public:
    Bed(const Options& options, const Setting& setting, const Case& which, std::uint64_t flows,
        std::uint32_t entries)
        : options_(options),
          flows_(flows),
          memory_(Balancer::footprint(entries)),
          balancer_(setting, memory_.bytes(), entries),
          packets_(setting, which, flows, options.round),
          sorted_(options.round),
          conditions_({{"family", which.family == Family::v4 ? 4 : 6},
                       {"forward", name_of(which.forward)},
                       {"flows", flows}}) {
        if (which.to_other_family) conditions_["to"] = which.backend_family() == Family::v4 ? 4 : 6;
    }

    // Every flow comes once, and the table has room for all.
    [[nodiscard]] std::vector<Window> grow() {
        std::vector<Window> windows = come(0, flows_);
        expect_entries(flows_);
        return windows;
    }

    // The second half of the flows, when the table has room for the first.
    [[nodiscard]] std::vector<Window> overflow() {
        (void)come(0, flows_ / 2);
        std::vector<Window> windows = come(flows_ / 2, flows_);
        expect_entries(flows_ / 2);
        return windows;
    }

    // And once more as an ACK: the flows are established.
    void establish() {
        Stopwatch watch;
        for (std::uint64_t first = 0; first < flows_;) {
            const auto count =
                static_cast<std::uint32_t>(std::min<std::uint64_t>(options_.round, flows_ - first));
            packets_.fill_from(first, count, false);
            run(watch);
            first += count;
        }
    }

    [[nodiscard]] Spread established() {
        return spread_of(windows_of(options_.plan, [this](Stopwatch& watch) {
            packets_.fill_random(false);
            run(watch);
            packets_.check();
        }));
    }

    // Each of another datagram, and of more at once than there is room for.
    [[nodiscard]] Spread first_fragments() {
        return spread_of(windows_of(options_.plan, [this](Stopwatch& watch) {
            packets_.fill_random(false);
            packets_.make_first_fragments();
            run(watch);
            packets_.make_whole();
            packets_.check();
        }));
    }

    // `stage(first, count)` over bursts of packets that were sorted but not rewritten.
    template <typename Stage>
    void time_stage(Report& report, const std::string& name, Stage&& stage) {
        const Spread spread = spread_of(windows_of(options_.plan, [&](Stopwatch& watch) {
            packets_.fill_random(false);
            balancer_.sort(packets_.packets(), sorted_);
            in_bursts(watch, stage);
        }));
        report.add(group, "stage " + name, conditions_, "cycles", spread);
    }
    void time_stages(Report& report);

    [[nodiscard]] const json& conditions() const noexcept { return conditions_; }
    [[nodiscard]] std::uint64_t checked() const noexcept { return packets_.checked(); }

private:
    // These flows come once, as a SYN each: a window for each sixteenth of them.
    [[nodiscard]] std::vector<Window> come(std::uint64_t first, std::uint64_t end) {
        std::vector<Window> windows;
        Stopwatch watch;
        const std::uint64_t sixteenth = std::max<std::uint64_t>(1, (end - first) / 16);
        while (first < end) {
            const auto count =
                static_cast<std::uint32_t>(std::min<std::uint64_t>(options_.round, end - first));
            packets_.fill_from(first, count, true);
            run(watch);
            packets_.check();
            first += count;
            if (watch.so_far().items >= sixteenth || first == end) windows.push_back(watch.take());
        }
        return windows;
    }

    void expect_entries(std::uint64_t expected) const {
        if (balancer_.flows() != expected)
            throw std::runtime_error(
                fmt::format("the table should have {} flows, not {}", expected, balancer_.flows()));
    }

    template <typename Stage>
    void in_bursts(Stopwatch& watch, Stage&& stage) {
        const std::size_t count = packets_.packets().size();
        watch.start();
        for (std::size_t first = 0; first < count; first += options_.burst)
            stage(first, std::min<std::size_t>(options_.burst, count - first));
        watch.stop(count);
    }

    // All packets of the round, in bursts.
    void run(Stopwatch& watch) {
        in_bursts(watch, [this](std::size_t first, std::size_t count) {
            balancer_.process(packets_.packets().subspan(first, count),
                              packets_.verdicts().subspan(first, count), now_);
        });
    }

    const Options& options_;
    std::uint64_t flows_;
    Region memory_;
    Balancer balancer_;
    Packets packets_;
    std::vector<Sorted> sorted_;
    json conditions_;
    Tick now_{1000};  // stands still: no flow expires in the seconds of a run
    volatile std::uint64_t sink_ = 0;
};

void Bed::time_stages(Report& report) {
    const auto burst = [this](std::size_t first, std::size_t count) {
        return packets_.packets().subspan(first, count);
    };
    const auto sorted = [this](std::size_t first, std::size_t count) {
        return std::span(sorted_).subspan(first, count);
    };
    time_stage(report, "read a plain packet", [&](std::size_t first, std::size_t count) {
        sink_ = balancer_.plain_only(burst(first, count));
    });
    time_stage(report, "service", [&](std::size_t first, std::size_t count) {
        sink_ = balancer_.service_only(sorted(first, count));
    });
    time_stage(report, "key and hash", [&](std::size_t first, std::size_t count) {
        balancer_.name_only(burst(first, count), sorted(first, count));
    });
    time_stage(report, "flow lookup", [&](std::size_t first, std::size_t count) {
        sink_ = balancer_.lookup_only(sorted(first, count), now_);
    });
    time_stage(report, "forward (encapsulation)", [&](std::size_t first, std::size_t count) {
        balancer_.forward_only(sorted(first, count), burst(first, count));
    });
    time_stage(report, "counters", [&](std::size_t first, std::size_t count) {
        balancer_.count_only(sorted(first, count));
    });
    time_stage(report, "owner, of two workers", [&](std::size_t first, std::size_t count) {
        sink_ = balancer_.owners_only(burst(first, count));
    });
    time_stage(report, "not plain: parse", [&](std::size_t first, std::size_t count) {
        sink_ = balancer_.parse_only(burst(first, count));
    });
    time_stage(report, "not plain: classify", [&](std::size_t first, std::size_t count) {
        sink_ = balancer_.classify_only(burst(first, count));
    });
    const Spread sweep = spread_of(windows_of(options_.plan, [&](Stopwatch& watch) {
        watch.start();
        const std::uint32_t visited = balancer_.sweep(4096, now_);
        watch.stop(visited);
    }));
    report.add(group, "sweep, an entry", conditions_, "cycles", sweep);
}

// New flows are told where there are enough of them for windows that mean something.
constexpr std::uint64_t enough_new_flows = 1'000'000;

constexpr std::uint16_t least_frame = 64;  // of Ethernet, with FCS

// First fragments are measured at one number of flows, of IPv4 in the two ordinary modes.
constexpr std::uint64_t fragment_flows = 1000;
bool may_be_cut(const Case& which) {
    return which.family == Family::v4 && !which.to_other_family &&
           (which.forward == Forward::dsr_l2 || which.forward == Forward::ipip);
}

void measure_case(const Options& options, const Setting& setting, const Case& which,
                  std::uint64_t flows, Report& report) {
    Bed bed(options, setting, which, flows, entries_for(options, flows));
    const std::vector<Window> growth = bed.grow();
    bed.establish();
    const Spread cycles = bed.established();
    report.add(group, "process", bed.conditions(), "cycles", cycles);
    report.add(group, "process", bed.conditions(), "ns", scaled(cycles, 1 / cycles_per_ns()));
    if (flows >= enough_new_flows) {
        const Spread fresh = spread_of(growth);
        report.add(group, "new flows, table growing from 0", bed.conditions(), "cycles", fresh);
        report.add(group, "new flows a second", bed.conditions(), "M/s",
                   inverted(fresh, 1e3 * cycles_per_ns()));
    }
    if (options.stages) bed.time_stages(report);
    report.add(group, "packets checked, all right", bed.conditions(), "",
               static_cast<double>(bed.checked()));
}

// A first fragment has a multiple of 8 bytes (RFC 791, 3.2): 70 bytes of frame are the least.
void measure_first_fragments(const Options& options, const Setting& setting, Case which,
                             std::uint64_t flows, Report& report) {
    which.frame_bytes = 70;
    Bed bed(options, setting, which, flows, entries_for(options, flows));
    (void)bed.grow();
    bed.establish();
    const Spread whole = bed.established(), cut = bed.first_fragments();
    report.add(group, "process, as whole", bed.conditions(), "cycles", whole);
    report.add(group, "process, first fragments", bed.conditions(), "cycles", cut);
    report.add(group, "a worker's time for 1M first fragments a second", bed.conditions(), "%",
               scaled(cut, 1e6 / cycles_per_ns() / 1e9 * 100));
}

void measure_full(const Options& options, const Setting& setting, const Case& which,
                  std::uint64_t flows, Report& report) {
    Bed bed(options, setting, which, flows, static_cast<std::uint32_t>(flows / 2));
    report.add(group, "new flows, table full", bed.conditions(), "cycles",
               spread_of(bed.overflow()));
}

}  // namespace

void measure_pipeline(const Options& options, Report& report) {
    const Setting setting;
    for (const unsigned family : options.families) {
        for (const std::string& forward : options.forwards) {
            const auto* const mode = std::ranges::find(
                modes, forward, [](Forward one) { return std::string(name_of(one)); });
            Case which{.family = family == 4 ? Family::v4 : Family::v6, .forward = *mode};
            which.to_other_family = options.to_other_family && may_change_family(*mode);
            // What becomes IPv4 shall still be a whole frame of Ethernet.
            if (which.to_other_family && which.family == Family::v6)
                which.frame_bytes = least_frame + sizeof(Ipv6Header) - sizeof(Ipv4Header);
            for (const std::uint64_t flows : options.flows) {
                measure_case(options, setting, which, flows, report);
                if (flows == fragment_flows && may_be_cut(which))
                    measure_first_fragments(options, setting, which, flows, report);
                if (flows >= enough_new_flows) measure_full(options, setting, which, flows, report);
            }
        }
    }
}

}  // namespace weir::bench
