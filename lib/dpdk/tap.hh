// SPDX-License-Identifier: BSD-3-Clause
// Tap: the kernel's end of a port. The kernel answers ARP, ND and ping for the port's addresses and
// the VIPs there, and carries probe sockets and routing daemons.
//
// Own /dev/net/tun descriptor (IFF_TAP | IFF_NO_PI, non-blocking, no offloads: frames arrive and
// leave with finished checksums), in the network namespace of the creating thread. What it sets on
// the interface, and on no other: MAC, MTU, up; arp_ignore = 1, arp_announce = 2, rp_filter = 0,
// accept_ra = 0, autoconf = 0; the port's addresses; VIPs as IPv4 /32 and as IPv6 /128 with nodad
// and preferred_lft 0 (never chosen as source); a default route of each gateway's family with a
// high metric, so that answers from a VIP leave here and no existing default route is displaced.
// Addresses and routes carry protocol number 87, by which a later process knows them as Weir's.
//
// Threads: one thread at a time (the control thread). Needs CAP_NET_ADMIN except for frames.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "lib/wire/address.hh"
#include "lib/wire/result.hh"

namespace weir {

class LinkSetup;

struct TapOptions {
    std::string name;  // of the interface, 1 .. 15 characters
    MacAddress mac;    // the port's
    std::uint16_t mtu = 1500;
    std::vector<IpPrefix> addresses;  // the port's own
    std::vector<IpAddress> gateways;  // at most one of each family
    std::uint32_t metric = 4096;      // of the default routes; give each port its own
    bool persist = false;             // leave the interface when the descriptor is closed
};

class Tap {
public:
    // Makes the interface, or takes over a persistent one of that name that nobody has open.
    static Result<Tap> create(const TapOptions& options);
    Tap(Tap&& other) noexcept;
    Tap& operator=(Tap&& other) noexcept;
    ~Tap();  // the interface goes with it unless persistent

    // VIPs on the interface become exactly these: adds what is new, removes what left. All that can
    // be done is done; the first error is told.
    Result<void> set_vips(std::span<const IpAddress> vips);

    // One frame from the kernel, without FCS. Answers its length, 0 when there is none. A frame
    // longer than `frame` is cut: give MTU + 18 bytes. Never blocks; one system call.
    [[nodiscard]] std::size_t read_frame(std::span<std::byte> frame) noexcept;
    // One frame to the kernel. False when the kernel does not take it (interface down, no memory).
    bool write_frame(std::span<const std::byte> frame) noexcept;

    [[nodiscard]] int fd() const noexcept { return fd_; }  // readable: frames wait
    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    [[nodiscard]] unsigned interface_index() const noexcept { return index_; }
    // Settings of the machine that spoil the exception path, each with the command that mends it.
    [[nodiscard]] const std::vector<std::string>& warnings() const noexcept { return warnings_; }

private:
    Tap() = default;
    Result<void> open_descriptor(const TapOptions& options);
    Result<void> set_up(const TapOptions& options);
    Result<void> set_behaviour(LinkSetup& link);
    static Result<void> add_route(LinkSetup& link, const TapOptions& options,
                                  const IpAddress& gateway);

    int fd_ = -1;
    unsigned index_ = 0;
    std::string name_;
    std::vector<IpAddress> vips_;  // sorted; on the interface
    std::vector<IpAddress> own_;   // sorted; the port's, never removed by set_vips()
    std::vector<std::string> warnings_;
};

}  // namespace weir
