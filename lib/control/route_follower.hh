// SPDX-License-Identifier: BSD-3-Clause
// RouteFollower: when the kernel's routes change, has their next hops resolved before backends go
// that way, so that a change of routes costs no packet; but waits no longer than a second for a
// router that does not answer, as the operator's word counts. Control thread only.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "lib/control/compile.hh"
#include "lib/control/kernel_routes.hh"
#include "lib/control/registry.hh"
#include "lib/control/route_monitor.hh"
#include "lib/control/timer.hh"

namespace weir {

class RouteFollower {
public:
    using Key = Registry::NextHopKey;
    using Shared = std::shared_ptr<const KernelRoutes>;
    struct Setup {
        event_base* base = nullptr;
        // What these routes need resolved that is neither resolved nor waited for already.
        std::function<std::vector<Key>(const KernelRoutes&)> unresolved;
        // The NeighborMonitor's.
        std::function<void(const Key&)> want, forget;
        // From now on packets go by them. False: they cannot, which was said, and go as before.
        std::function<bool(const Shared&)> use;
        std::chrono::milliseconds patience{1000};  // with routers that do not answer
        // Using routes takes at most one part in so many of the time: with 100 000 backends it
        // costs some 100 ms.
        int share = 10;
    };
    explicit RouteFollower(Setup setup);

    // Opens a RouteMonitor on these TAPs, by PortId, which offers what it finds from now on. Fails
    // with its reason.
    Result<void> watch(const std::vector<std::string>& taps);
    // All that there are; `more`: there are others that were left out.
    void offer(std::vector<KernelRoute> routes, bool more);
    // From the NeighborMonitor, of any neighbour. May call `use`.
    void learn(const Key& key, const MacAddress& mac);

    // What was asked for and is not in use yet: those that answered, and all.
    [[nodiscard]] const std::map<Key, MacAddress>& known() const noexcept { return known_; }
    [[nodiscard]] const std::set<Key>& asked() const noexcept { return asked_; }

private:
    using Clock = std::chrono::steady_clock;
    void ask(std::set<Key> keys);
    void consider();
    void take();

    Setup setup_;
    Shared used_ = std::make_shared<const KernelRoutes>(), next_;  // next_: null: nothing waits
    std::set<Key> asked_;
    std::map<Key, MacAddress> known_;
    bool told_of_more_ = false;
    Clock::time_point offered_{}, used_at_{};  // offered_: the first that was not used since
    Clock::duration cost_{};
    Timer timer_;
    std::unique_ptr<RouteMonitor> monitor_;
};

// The next hops that `routes` need and the routes in use do not, by ports with a TAP, whose MAC
// address neither the file nor the kernel has told.
std::vector<Registry::NextHopKey> unresolved_hops(const World& world, const KernelRoutes& routes,
                                                  const std::vector<std::string>& taps);

// Makes them those of registry and world. False when the registry has no room for what they need:
// logs it, and changes nothing. A world without configuration takes any.
bool adopt_routes(const RouteFollower::Shared& routes, Registry& registry, World& world);

}  // namespace weir
