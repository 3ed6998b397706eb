// SPDX-License-Identifier: BSD-3-Clause
#include "perf/loop/modes.hh"

#include <numeric>

#include "perf/loop/parts.hh"

namespace weir::loop {

namespace {

using Flows = std::vector<std::uint32_t>;
using Lanes = std::vector<std::unique_ptr<Lane>>;

Flows range(std::uint32_t first, std::uint32_t count) {
    Flows flows(count);
    std::iota(flows.begin(), flows.end(), first);
    return flows;
}

class Maker {
public:
    Maker(const Options& options, const Stage& stage, const gen::Frames& frames)
        : options_(options), stage_(stage), frames_(frames) {}

    // `bare`: what macfwd sends, all to the first backend by its MAC address.
    Result<Lanes> lanes(std::vector<Flows> flows, bool bare) const {
        gen::Expectation expectation = stage_.scene.expectation();
        if (bare) expectation.forwarding = gen::Forwarding::dsr_l2;
        Lanes lanes;
        for (Flows& one : flows) {
            auto checker = gen::Checker::make(expectation, frames_, flows_needed(options_));
            if (!checker) return checker.error();
            lanes.push_back(std::make_unique<Lane>(frames_, std::move(checker).value(),
                                                   std::move(one), stage_.pools.at(lanes.size())));
        }
        return lanes;
    }

    Result<void> add_bare(const char* name, std::vector<Flows> flows,
                          const std::vector<unsigned>& lcores) {
        auto made = lanes(std::move(flows), true);
        if (!made) return made.error();
        runners.push_back(
            std::make_unique<MacRunner>(name, stage_, lcores, std::move(made).value()));
        return {};
    }

    Result<void> add_engine(const char* name, std::vector<Flows> flows,
                            std::vector<LcorePlan> lcores) {
        auto made = lanes(std::move(flows), false);
        if (!made) return made.error();
        lcores.push_back({.lcore = control_lcore, .cpu = options_.cpus[1], .control = true});
        auto runner = EngineRunner::make(name, stage_, std::move(lcores), std::move(made).value());
        if (!runner) return runner.error();
        runners.push_back(std::move(runner).value());
        return {};
    }

    template <typename Parts>
    Result<void> add_parts(const char* name, Flows flows) {
        auto made = lanes({std::move(flows)}, false);
        if (!made) return made.error();
        auto state = WorkerState::make(stage_);
        if (!state) return state.error();
        runners.push_back(std::make_unique<Parts>(
            name, stage_, worker_lcore, std::move(made).value(), std::move(state).value()));
        return {};
    }

    [[nodiscard]] LcorePlan worker(unsigned lcore, int number) const {
        return {
            .lcore = lcore, .cpu = options_.cpus[lcore == worker_lcore ? 0 : 1], .worker = number};
    }
    [[nodiscard]] LcorePlan poller(unsigned lcore) const {
        return {.lcore = lcore, .cpu = options_.cpus[1], .rx = 0};
    }

    // The first so many flows of each of two workers.
    [[nodiscard]] std::vector<Flows> by_owner() const {
        const auto owners = owners_of(frames_, flows_needed(options_), 2);
        std::vector<Flows> flows(2);
        for (std::uint32_t flow = 0; flow < owners.size(); ++flow)
            if (flows[owners[flow]].size() < options_.flows) flows[owners[flow]].push_back(flow);
        return flows;
    }

    std::vector<std::unique_ptr<Runner>> runners;

private:
    const Options& options_;
    const Stage& stage_;
    const gen::Frames& frames_;
};

Result<void> add_direct(Maker& maker, std::uint32_t flows) {
    if (auto added = maker.add_bare("macfwd", {range(0, flows)}, {worker_lcore}); !added)
        return added;
    return maker.add_engine("weir", {range(0, flows)}, {maker.worker(worker_lcore, 0)});
}

Result<void> add_ring(Maker& maker, std::uint32_t flows) {
    if (auto added = add_direct(maker, flows); !added) return added;
    if (auto added =
            maker.add_engine("weir-far", {range(0, flows)}, {maker.worker(worker_lcore, 0)});
        !added)
        return added;
    auto& far = dynamic_cast<EngineRunner&>(*maker.runners.back());
    if (auto set = far.set_maker(other_lcore); !set) return set;
    return maker.add_engine("ring", {range(0, flows)},
                            {maker.poller(other_lcore), maker.worker(worker_lcore, 0)});
}

Result<void> add_steps(Maker& maker, std::uint32_t flows) {
    if (auto added = add_direct(maker, flows); !added) return added;
    if (auto added = maker.add_parts<StepsRunner>("steps", range(0, flows)); !added) return added;
    return maker.add_parts<ProcessRunner>("process", range(0, flows));
}

Result<void> add_scaling(Maker& maker, std::uint32_t flows) {
    const std::vector<LcorePlan> two{maker.worker(worker_lcore, 0), maker.worker(other_lcore, 1)};
    if (auto added = add_direct(maker, flows); !added) return added;
    if (auto added = maker.add_bare("macfwd-2", {range(0, flows), range(flows, flows)},
                                    {worker_lcore, other_lcore});
        !added)
        return added;
    if (auto added = maker.add_engine("weir-2", maker.by_owner(), two); !added) return added;
    return maker.add_engine("weir-2-any", {range(0, flows), range(flows, flows)}, two);
}

}  // namespace

std::uint32_t flows_needed(const Options& options) {
    // Of so many, each of two workers owns options.flows, but for a chance that nobody lives to
    // see.
    return options.mode == "scaling" ? 2 * options.flows + options.flows / 8 + 1000 : options.flows;
}

Result<std::vector<std::unique_ptr<Runner>>> runners_of(const Options& options, const Stage& stage,
                                                        const gen::Frames& frames) {
    Maker maker(options, stage, frames);
    const auto add = options.mode == "ring"      ? add_ring
                     : options.mode == "scaling" ? add_scaling
                     : options.mode == "swap"    ? add_direct
                                                 : add_steps;
    if (auto added = add(maker, options.flows); !added) return added.error();
    return std::move(maker.runners);
}

}  // namespace weir::loop
