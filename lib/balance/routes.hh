// SPDX-License-Identifier: BSD-3-Clause
// Routes: by which next hop any address is reached, for packets that go to clients. The rule is
// control/egress.hh's: the longest prefix among the networks of ports' `address` and the kernel's
// routes, else the first port with a gateway of the family. A station on a port's network is
// reached when it stands in the tables: as a next hop of backends, or because the kernel resolved
// it (control/station_book.hh). Immutable once built; any thread may look up.
#pragma once

#include <array>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "lib/balance/ids.hh"
#include "lib/balance/prefix_table.hh"
#include "lib/wire/address.hh"

namespace weir {

// The answer for one destination.
struct Route {
    bool exists = false;                    // false: no_route
    NextHopId next_hop = invalid_next_hop;  // invalid: an unknown station on the network of `port`
    PortId port{};                          // of a station; with a gateway it says nothing
    friend bool operator==(const Route&, const Route&) = default;
};

class Routes {
public:
    // The network of a port's own address. Of equal lengths the first wins.
    struct Connected {
        IpPrefix prefix;
        PortId port{};
        bool operator==(const Connected&) const = default;
    };
    // A station on the network of a port whose MAC address may be known (Tables::next_hops).
    struct Station {
        PortId port{};
        IpAddress address;
        NextHopId next_hop{};
    };
    // A route with a gateway, and the next hop that this is.
    using Via = PrefixTable<NextHopId>::Item;
    Routes() = default;
    // `gateway4`, `gateway6`: what reaches all else of the family; invalid_next_hop: nothing does.
    Routes(std::vector<Connected> connected, std::span<const Station> stations, NextHopId gateway4,
           NextHopId gateway6, std::vector<Via> via = {});

    // Cost: a bisection for each length of `via`, a comparison for each connected prefix, then a
    // search among the stations when one matched.
    [[nodiscard]] Route find(const IpAddress& destination) const noexcept;

    bool operator==(const Routes&) const = default;

private:
    std::vector<Connected> connected_;  // longest first
    std::map<std::pair<PortId, IpAddress>, NextHopId> stations_;
    PrefixTable<NextHopId> via_;
    std::array<NextHopId, 2> gateways_{invalid_next_hop, invalid_next_hop};  // IPv4, IPv6
};

}  // namespace weir
