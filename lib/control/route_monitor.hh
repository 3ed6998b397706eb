// SPDX-License-Identifier: BSD-3-Clause
// RouteMonitor: mirrors over netlink (libmnl) the unicast routes with a gateway of the kernel's
// main tables whose output interface is one of the exception TAPs. A notification only says that
// the table is to be read anew: so lost ones, replaced routes and those that the kernel removes
// without a word cost no case of their own. Control thread only; needs no privilege.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/control/kernel_routes.hh"
#include "lib/wire/result.hh"

struct event_base;
struct nlmsghdr;

namespace weir {

// What a route message of the kernel says when Weir follows it; nullopt: it does not. Left out are
// other tables, types (blackhole, local, ...) and sources than all, routes without gateway or with
// one of another family, dead ones, those of encapsulations, and Weir's own. Of several next hops
// the first that leaves by one of `ports` (by interface index) counts. Pure.
std::optional<KernelRoute> read_route(const nlmsghdr& message, const std::map<int, PortId>& ports);

class RouteMonitor {
public:
    // All that there are now, sorted; at most max_kernel_routes, `more` tells that there are others
    // that were left out. Told once by create(), when the kernel answers within a second, else
    // after it; then when they change, from the event loop.
    using OnRoutes = std::function<void(std::vector<KernelRoute> routes, bool more)>;
    // `taps`: interface name by PortId, empty where the port has none. `coalesce`: how long after a
    // notification the table is read; longer where reading it takes long. Opens the netlink socket
    // in the network namespace of the process. Fails with the reason.
    static Result<std::unique_ptr<RouteMonitor>> create(
        event_base* base, const std::vector<std::string>& taps, OnRoutes on_routes,
        std::chrono::milliseconds coalesce = std::chrono::milliseconds(100));
    ~RouteMonitor();
    RouteMonitor(const RouteMonitor&) = delete;
    RouteMonitor& operator=(const RouteMonitor&) = delete;

    struct Impl;
    explicit RouteMonitor(std::unique_ptr<Impl> impl);

private:
    std::unique_ptr<Impl> impl_;
};

}  // namespace weir
