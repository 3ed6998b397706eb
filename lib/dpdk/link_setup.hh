// SPDX-License-Identifier: BSD-3-Clause
// LinkSetup: addresses, routes and state of one network interface over netlink (libmnl), and its
// sysctls. Of tap.cc. One thread at a time; every call is one exchange with the kernel. Changes
// need CAP_NET_ADMIN; the error tells it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lib/control/kernel_routes.hh"
#include "lib/wire/address.hh"
#include "lib/wire/result.hh"

struct mnl_socket;
struct nlmsghdr;

namespace weir {

class LinkSetup {
public:
    // In the network namespace of the calling thread.
    static Result<LinkSetup> open(const std::string& interface);

    [[nodiscard]] unsigned index() const noexcept { return index_; }
    Result<void> set_mac_and_mtu(const MacAddress& mac, std::uint16_t mtu);
    Result<void> set_up();
    // A /32 or /128 with `host_only` gets preferred_lft 0 if it is IPv6. IPv6 never waits for
    // duplicate address detection. Ok when it is there already.
    Result<void> add_address(const IpPrefix& prefix, bool host_only);
    Result<void> remove_address(const IpPrefix& prefix);  // ok when it is gone already
    // Default route of the gateway's family. `on_link`: no address of the interface covers it.
    Result<void> add_default_route(const IpAddress& gateway, const IpAddress* source,
                                   std::uint32_t metric, bool on_link);
    // Addresses of the interface that carry weir_protocol.
    Result<std::vector<IpPrefix>> own_addresses();

    // net/ipv4/conf/INTERFACE/KEY = value. Ok when it has that value already, or when the kernel
    // has no such key (IPv6 absent).
    Result<void> set_sysctl(Family family, const std::string& key, int value) const;
    // net/ipv4/conf/all/KEY, 0 where there is none.
    [[nodiscard]] static int all_sysctl(Family family, const std::string& key);

private:
    struct Close {
        void operator()(mnl_socket* socket) const noexcept;
    };
    LinkSetup() = default;
    // Sends a request and waits for its acknowledgement. `tolerated`: an errno that counts as done.
    Result<void> exchange(nlmsghdr* request, const std::string& what, int tolerated = 0);

    std::unique_ptr<mnl_socket, Close> socket_;
    std::uint32_t sequence_ = 0;
    unsigned index_ = 0;
    std::string interface_;
};

}  // namespace weir
