// SPDX-License-Identifier: BSD-3-Clause
// NeighborMonitor: mirrors the kernel's neighbour table of the exception TAPs over netlink
// (libmnl), asks the kernel to resolve the next hops that the configuration needs and to re-confirm
// them (Weir's own traffic does not refresh an entry; REACHABLE, STALE, DELAY, PROBE and PERMANENT
// are usable), and keeps the last good answer. Only needed next hops are learnt, each on the TAP of
// its own port, so that no ARP or ND message makes this grow. Control thread only.
//
// Asking needs CAP_NET_ADMIN. The kernel's table has room for net.ipv4.neigh.default.gc_thresh3
// entries (and net.ipv6...): more next hops than that do not resolve.
#pragma once

#include <chrono>
#include <cstddef>
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
    // Told when a wanted neighbour resolves and when its MAC changes; there is no taking back (the
    // last good answer is kept). Called from the event loop; it may call want().
    using OnNeighbor = std::function<void(const Registry::NextHopKey&, const MacAddress&)>;
    // How often to ask for a neighbour that has no usable entry, and for one that has.
    struct Pace {
        std::chrono::milliseconds retry{1000}, confirm{20'000};
    };
    // `taps`: interface name by PortId, empty where the port has none. Opens the netlink socket in
    // the network namespace of the process. Fails with the reason.
    static Result<std::unique_ptr<NeighborMonitor>> create(event_base* base,
                                                           std::vector<std::string> taps,
                                                           OnNeighbor on_neighbor,
                                                           Pace pace = default_pace());
    ~NeighborMonitor();
    NeighborMonitor(const NeighborMonitor&) = delete;
    NeighborMonitor& operator=(const NeighborMonitor&) = delete;

    // The next hops to keep resolved. Asks for the new ones at once, then every second until they
    // resolve; resolved ones are re-confirmed every 20 s. Keys of ports without a TAP are left out.
    void want(std::vector<Registry::NextHopKey> keys);

    // One more, and one less, beside the others: for keys that come and go. Cost: O(log n), and a
    // message to the kernel; no other one is asked for later because of it.
    void want_one(const Registry::NextHopKey& key);
    void forget(const Registry::NextHopKey& key);

    // Whether the kernel has a usable entry for a wanted neighbour now.
    [[nodiscard]] bool is_usable(const Registry::NextHopKey& key) const;
    // The kernel's state word of a wanted neighbour ("REACHABLE", "STALE", "INCOMPLETE", ...);
    // "NONE": the kernel has no entry; "refused: " and why: it did not take the request; empty: not
    // wanted.
    [[nodiscard]] std::string state(const Registry::NextHopKey& key) const;

    // Wanted neighbours.
    [[nodiscard]] std::size_t size() const noexcept;

    struct Impl;
    explicit NeighborMonitor(std::unique_ptr<Impl> impl);

private:
    static Pace default_pace() { return {}; }
    std::unique_ptr<Impl> impl_;
};

}  // namespace weir
