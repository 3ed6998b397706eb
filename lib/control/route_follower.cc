// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/route_follower.hh"

#include <algorithm>
#include <utility>

#include "lib/control/log.hh"

namespace weir {

RouteFollower::RouteFollower(Setup setup)
    : setup_(std::move(setup)), timer_(setup_.base, [this] { consider(); }) {}

Result<void> RouteFollower::watch(const std::vector<std::string>& taps) {
    auto monitor = RouteMonitor::create(
        setup_.base, taps,
        [this](std::vector<KernelRoute> routes, bool more) { offer(std::move(routes), more); });
    if (!monitor) return monitor.error();
    monitor_ = std::move(monitor).value();
    return {};
}

void RouteFollower::offer(std::vector<KernelRoute> routes, bool more) {
    if (more && !std::exchange(told_of_more_, true)) {
        log_warning(
            "routes: the kernel has more than {} with a gateway by the TAPs; the others are not "
            "followed",
            max_kernel_routes);
    }
    auto next = std::make_shared<const KernelRoutes>(std::move(routes));
    if (next->all() == used_->all()) {
        next_ = nullptr;
        timer_.cancel();
        return ask({});
    }
    if (next_ == nullptr) offered_ = Clock::now();
    next_ = std::move(next);
    const std::vector<Key> unresolved = setup_.unresolved(*next_);
    ask({unresolved.begin(), unresolved.end()});
    consider();
}

void RouteFollower::ask(std::set<Key> keys) {
    const std::set<Key> before = std::exchange(asked_, std::move(keys));
    for (const Key& key : before) {
        if (asked_.contains(key)) continue;
        known_.erase(key);
        setup_.forget(key);
    }
    for (const Key& key : asked_)
        if (!before.contains(key)) setup_.want(key);
}

void RouteFollower::learn(const Key& key, const MacAddress& mac) {
    if (!asked_.contains(key)) return;
    known_[key] = mac;
    consider();
}

// Now, or when the time has come.
void RouteFollower::consider() {
    if (next_ == nullptr) return;
    const auto now = Clock::now();
    const bool resolved = known_.size() == asked_.size();
    const auto rested = used_at_ + setup_.share * cost_;
    const auto due = resolved ? rested : std::max(rested, offered_ + setup_.patience);
    if (now >= due) return take();
    timer_.set(std::chrono::ceil<std::chrono::microseconds>(due - now));
}

void RouteFollower::take() {
    timer_.cancel();
    const Shared next = std::exchange(next_, nullptr);
    const auto began = Clock::now();
    const bool taken = setup_.use(next);
    used_at_ = Clock::now();
    cost_ = used_at_ - began;
    if (!taken) return ask({});
    used_ = next;
    asked_.clear();  // they are next hops like all others now
    known_.clear();
}

std::vector<Registry::NextHopKey> unresolved_hops(const World& world, const KernelRoutes& routes,
                                                  const std::vector<std::string>& taps) {
    std::vector<Registry::NextHopKey> unresolved;
    if (world.config == nullptr) return unresolved;
    const Config& config = *world.config;
    const auto before = needed_next_hops(config, *world.routes);
    for (const auto& key : needed_next_hops(config, routes)) {
        if (std::ranges::binary_search(before, key) || world.neighbors.contains(key)) continue;
        const auto& fixed = config.ports[index(key.port)].neighbors;
        if (std::ranges::find(fixed, key.address, &StaticNeighbor::address) != fixed.end())
            continue;
        if (!taps[index(key.port)].empty()) unresolved.push_back(key);
    }
    return unresolved;
}

bool adopt_routes(const RouteFollower::Shared& routes, Registry& registry, World& world) {
    if (world.config != nullptr) {
        if (auto adopted = registry.adopt(*world.config, *routes); !adopted) {
            log_error("routes: those of the kernel are not followed: {}", adopted.error().message);
            return false;
        }
        if (routes->all().size() != world.routes->all().size())
            log_info("routes: {} of the kernel lead by the TAPs", routes->all().size());
    }
    world.routes = routes;
    return true;
}

}  // namespace weir
