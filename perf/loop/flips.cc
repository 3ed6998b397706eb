// SPDX-License-Identifier: BSD-3-Clause
#include "perf/loop/flips.hh"

#include <algorithm>
#include <chrono>
#include <deque>
#include <numeric>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <rte_cycles.h>

#include "perf/loop/modes.hh"
#include "perf/loop/report.hh"

namespace weir::loop {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr unsigned flips_a_second = 1000;
constexpr auto coalesce = 5ms;  // of lib/control/controller.cc
constexpr unsigned flips_a_turn = flips_a_second / (1s / coalesce);
// How many are down at a time.
constexpr std::size_t most_down = 200;
constexpr double least_share = 0.97;

class Flipper {
public:
    Flipper(Publisher& publisher, many::Instance& instance, ManyFlows& flows)
        : publisher_(publisher), instance_(instance), flows_(flows) {}

    // For `seconds`, a publication every 5 ms.
    void run(double seconds, Flips& result) {
        const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                            std::chrono::duration<double>(seconds));
        for (auto next = Clock::now(); next < end; next += coalesce) {
            std::this_thread::sleep_until(next);
            const std::uint64_t begin = rte_rdtsc();
            turn();
            result.publish.push_back(microseconds(rte_rdtsc() - begin));
            result.flips += flips_a_turn;
        }
        std::this_thread::sleep_until(end);
    }

private:
    void turn() {
        // Nobody reads the tables of the last turn's predecessor any more.
        if (publisher_.settled()) {
            for (const std::uint32_t service : fallen_)
                flows_.set_down(service, falling(), true);
            fallen_.clear();
        }
        for (unsigned i = 0; i < flips_a_turn; ++i)
            flip();
        publisher_.publish(instance_.compile_changes(*publisher_.current()));
    }

    void flip() {
        const bool up = down_.size() == most_down || (!down_.empty() && down_.size() % 2 == 1);
        if (up) {
            const std::uint32_t service = down_.front();
            down_.pop_front();
            std::erase(fallen_, service);
            flows_.set_down(service, falling(), false);
            instance_.set_health(service, falling(), Liveness::up);
            return;
        }
        down_.push_back(next_);
        fallen_.push_back(next_);
        instance_.set_health(next_, falling(), Liveness::down);
        next_ = (next_ + 1) % flows_.size().services;
    }

    [[nodiscard]] std::uint32_t falling() const noexcept { return flows_.size().backends - 1; }

    Publisher& publisher_;
    many::Instance& instance_;
    ManyFlows& flows_;
    std::uint32_t next_ = 0;
    std::deque<std::uint32_t> down_;     // services whose last backend is down
    std::vector<std::uint32_t> fallen_;  // those of them that a worker may still use
};

Result<gen::Frames> frames_of(const Options& options, const Stage& stage) {
    gen::FrameOptions frames;
    frames.source_mac = *parse_mac("02:00:00:00:00:c1");
    frames.destination_mac = stage.port.mac();
    frames.destination = many::address_of(many::first_vip);
    frames.flows = options.flows;
    return gen::Frames::make(frames);
}

// One worker, and a lane for all flows.
Result<std::unique_ptr<Runner>> runner_of(const Options& options, const Stage& stage,
                                          const gen::Frames& frames, ManyFlows& many) {
    gen::Expectation expectation;
    expectation.forwarding = gen::Forwarding::ipip;
    expectation.weir_mac = stage.port.mac();
    expectation.tunnel_sources = {*parse_prefix(many::tunnel_source)};
    expectation.backends.resize(1);  // ManyFlows knows them all
    auto checker = gen::Checker::make(expectation, frames, 0);
    if (!checker) return checker.error();
    std::vector<std::uint32_t> flows(options.flows);
    std::iota(flows.begin(), flows.end(), 0u);
    std::vector<std::unique_ptr<Lane>> lanes;
    lanes.push_back(std::make_unique<Lane>(frames, std::move(checker).value(), std::move(flows),
                                           stage.pools.front(), &many));
    const LcorePlan control{.lcore = control_lcore, .cpu = options.cpus[1], .control = true};
    const LcorePlan worker{.lcore = worker_lcore, .cpu = options.cpus[0], .worker = 0};
    return EngineRunner::make("flips", stage, {worker, control}, std::move(lanes));
}

// `value(pair)` over the calm pairs, or over all when none was.
template <typename Value>
Spread over(const Flips& flips, Value value) {
    const bool any = std::ranges::any_of(flips.pairs, &Flips::Pair::calm);
    std::vector<double> values;
    for (const Flips::Pair& pair : flips.pairs)
        if (pair.calm() || !any) values.push_back(value(pair));
    return spread_of(std::move(values));
}

double loss(double with, double without) {
    return 100 * (1 - with / without);
}
Spread net_loss(const Flips& flips) {
    return over(flips, [](const auto& pair) { return loss(pair.with.mpps, pair.without.mpps); });
}
Spread raw_loss(const Flips& flips) {
    return over(flips,
                [](const auto& pair) { return loss(pair.with.raw_mpps, pair.without.raw_mpps); });
}
Spread cycles(const Flips& flips, Sample Flips::Pair::*which) {
    return over(flips, [which](const auto& pair) { return (pair.*which).cycles; });
}

std::size_t kept(const Flips& flips) {
    return static_cast<std::size_t>(std::ranges::count_if(flips.pairs, &Flips::Pair::calm));
}

}  // namespace

bool Flips::Pair::calm() const noexcept {
    return std::min(without.cpu_share, with.cpu_share) >= least_share && without.packets != 0 &&
           with.packets != 0;
}

namespace {

Result<Flips> watch(EngineRunner& runner, many::Instance& instance, ManyFlows& flows,
                    const Options& options, int worker_thread, const std::atomic<bool>& stop) {
    Flips result;
    if (auto started = runner.start(); !started) return started.error();
    const Lane& lane = *runner.lanes().front();
    while (lane.made() < 2 * lane.flows() && !stop.load())
        std::this_thread::sleep_for(1ms);
    Flipper flipper(runner.publisher(), instance, flows);
    const Station& station = runner.stations().front();
    const auto window = [&](bool flip) {
        const Moment before = moment_of(station, worker_thread);
        if (flip)
            flipper.run(options.seconds, result);
        else
            std::this_thread::sleep_for(std::chrono::duration<double>(options.seconds));
        return difference(before, moment_of(station, worker_thread));
    };
    const unsigned most = options.windows * options.tries;
    for (unsigned i = 0; i < most && kept(result) < options.windows && !stop.load(); ++i) {
        Flips::Pair& pair = result.pairs.emplace_back();
        // In changing order.
        for (const bool flip : {i % 2 != 0, i % 2 == 0})
            (flip ? pair.with : pair.without) = window(flip);
    }
    if (auto stopped = runner.stop(); !stopped) return stopped.error();
    result.made = runner.made();
    result.right = runner.right();
    for (std::size_t i = 1; i < gen::verdict_count; ++i) {
        const auto verdict = static_cast<gen::Verdict>(i);
        if (const auto count = lane.of(verdict); count != 0)
            result.wrong[std::string(gen::name_of(verdict))] = count;
    }
    return result;
}

}  // namespace

Result<Flips> watch_flips(const Options& options, const Stage& stage, int worker_thread,
                          const std::atomic<bool>& stop) {
    const many::Options size;
    auto loaded =
        many::Instance::load(many::File(many::configuration(size)).path(), stage.port.mac());
    if (!loaded) return loaded.error();
    many::Instance& instance = *loaded.value();
    auto frames = frames_of(options, stage);
    if (!frames) return frames.error();
    ManyFlows flows(size, options.flows);
    auto made = runner_of(options, stage, frames.value(), flows);
    if (!made) return made.error();
    auto& runner = dynamic_cast<EngineRunner&>(*made.value());
    runner.publisher().publish(instance.take_tables());
    return watch(runner, instance, flows, options, worker_thread, stop);
}

std::string flips_table(const Options& options, const Flips& flips) {
    const auto line = [](const char* what, const Spread& spread) {
        return fmt::format("{:<52} {:8.2f} ({:.2f}..{:.2f})\n", what, spread.median, spread.least,
                           spread.most);
    };
    std::string text = fmt::format(
        "{} flows over many services, {} flips; pairs of windows kept {} of {}; median "
        "(least..most)\n",
        options.flows, flips.flips, kept(flips), flips.pairs.size());
    text += line("cycles a packet without flips", cycles(flips, &Flips::Pair::without));
    text += line("cycles a packet with 1000 flips a second", cycles(flips, &Flips::Pair::with));
    text += line("throughput loss, making and checking off, % (P11)", net_loss(flips));
    text += line("the same as forwarded, %", raw_loss(flips));
    text += line("compile and publish 5 flips, on control, us", spread_of(flips.publish));
    for (const auto& [kind, count] : flips.wrong)
        text += fmt::format("wrong: {} {}\n", kind, count);
    return text + fmt::format("{} packets, {}\n", flips.made,
                              flips.made == flips.right ? "all right" : "NOT all right");
}

std::string json_of_flips(const Options& options, const Flips& flips) {
    return nlohmann::json{{"mode", options.mode},
                          {"flows", options.flows},
                          {"flips", flips.flips},
                          {"windows", flips.pairs.size()},
                          {"kept", kept(flips)},
                          {"cycles_without", json_of(cycles(flips, &Flips::Pair::without))},
                          {"cycles_with", json_of(cycles(flips, &Flips::Pair::with))},
                          {"loss_percent", json_of(net_loss(flips))},
                          {"loss_percent_raw", json_of(raw_loss(flips))},
                          {"publish_us", json_of(spread_of(flips.publish))},
                          {"sent", flips.made},
                          {"right", flips.right},
                          {"wrong_by_kind", flips.wrong},
                          {"ok", flips.made == flips.right && flips.made != 0}}
               .dump() +
           "\n";
}

}  // namespace weir::loop
