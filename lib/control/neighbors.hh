// SPDX-License-Identifier: BSD-3-Clause
// NeighborMonitor: mirrors the kernel's neighbour table of the exception TAPs over netlink (libmnl),
// asks the kernel to resolve the next hops that the configuration needs and to re-confirm them
// (Weir's own traffic does not refresh an entry; REACHABLE, STALE, DELAY, PROBE and PERMANENT are
// usable), and keeps the last good answer. Only needed next hops are learnt. Control thread only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/control/registry.hh"
#include "lib/wire/result.hh"

struct event_base;

namespace weir {

class NeighborMonitor {
public:
    // nullopt: never told by this class today (the last good answer is kept).
    using OnNeighbor = std::function<void(const Registry::NextHopKey&, const MacAddress&)>;
    // `taps`: interface name by PortId, empty where the port has none. Opens the netlink socket in
    // the network namespace of the process. Fails with the reason.
    static Result<std::unique_ptr<NeighborMonitor>> create(event_base* base,
                                                           std::vector<std::string> taps,
                                                           OnNeighbor on_neighbor);
    ~NeighborMonitor();

    // The next hops to keep resolved. Asks for the new ones at once, then every second until they
    // resolve; resolved ones are re-confirmed every 20 s.
    void want(std::vector<Registry::NextHopKey> keys);

    // The kernel's state word of a wanted neighbour ("REACHABLE", "STALE", "INCOMPLETE", ...).
    [[nodiscard]] std::string state(const Registry::NextHopKey& key) const;

    struct Impl;
    explicit NeighborMonitor(std::unique_ptr<Impl> impl);

private:
    std::unique_ptr<Impl> impl_;
};

}  // namespace weir
