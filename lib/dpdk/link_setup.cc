// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dpdk/link_setup.hh"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

namespace weir {

namespace {

constexpr std::size_t message_bytes = 1024;  // longer than any request here
using Message = std::array<char, message_bytes>;

nlmsghdr* start_request(Message& buffer, std::uint16_t type, std::uint16_t flags) {
    nlmsghdr* header = mnl_nlmsg_put_header(buffer.data());
    header->nlmsg_type = type;
    header->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    return header;
}

std::uint8_t kernel_family(Family family) {
    return family == Family::v4 ? AF_INET : AF_INET6;
}

void put_address(nlmsghdr* header, std::uint16_t type, const IpAddress& address) {
    mnl_attr_put(header, type, address.size(), address.bytes.data());
}

nlmsghdr* address_request(Message& buffer, std::uint16_t type, std::uint16_t flags,
                          const IpPrefix& prefix, unsigned index) {
    nlmsghdr* header = start_request(buffer, type, flags);
    auto* body = static_cast<ifaddrmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ifaddrmsg)));
    body->ifa_family = kernel_family(prefix.address.family);
    body->ifa_prefixlen = prefix.length;
    body->ifa_scope = RT_SCOPE_UNIVERSE;
    body->ifa_index = index;
    put_address(header, IFA_LOCAL, prefix.address);
    put_address(header, IFA_ADDRESS, prefix.address);
    return header;
}

std::string sysctl_path(Family family, const std::string& interface, const std::string& key) {
    // A slash would be another directory; interface names have none.
    return fmt::format("/proc/sys/net/{}/conf/{}/{}", family == Family::v4 ? "ipv4" : "ipv6",
                       interface, key);
}

}  // namespace

void LinkSetup::Close::operator()(mnl_socket* socket) const noexcept {
    mnl_socket_close(socket);
}

Result<LinkSetup> LinkSetup::open(const std::string& interface) {
    LinkSetup setup;
    setup.interface_ = interface;
    setup.index_ = if_nametoindex(interface.c_str());
    if (setup.index_ == 0) return Error{fmt::format("no interface '{}'", interface)};
    setup.socket_.reset(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
    if (!setup.socket_ || mnl_socket_bind(setup.socket_.get(), 0, MNL_SOCKET_AUTOPID) < 0)
        return Error{fmt::format("no netlink socket: {}", std::strerror(errno))};
    return setup;
}

Result<void> LinkSetup::exchange(nlmsghdr* request, const std::string& what, int tolerated) {
    request->nlmsg_flags |= NLM_F_ACK;
    request->nlmsg_seq = ++sequence_;
    const unsigned port = mnl_socket_get_portid(socket_.get());
    std::array<char, 8192> answer;
    int error = 0;
    if (mnl_socket_sendto(socket_.get(), request, request->nlmsg_len) < 0) {
        error = errno;
    } else {
        const ssize_t got = mnl_socket_recvfrom(socket_.get(), answer.data(), answer.size());
        if (got < 0 || mnl_cb_run(answer.data(), static_cast<std::size_t>(got), sequence_, port,
                                  nullptr, nullptr) < 0)
            error = errno;
    }
    if (error == 0 || (tolerated != 0 && error == tolerated)) return {};
    return Error{fmt::format("{} on '{}' fails: {}{}", what, interface_, std::strerror(error),
                             error == EPERM ? "; start as root or with CAP_NET_ADMIN" : "")};
}

Result<void> LinkSetup::set_mac_and_mtu(const MacAddress& mac, std::uint16_t mtu) {
    Message buffer;
    nlmsghdr* header = start_request(buffer, RTM_NEWLINK, 0);
    auto* body = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg)));
    body->ifi_family = AF_UNSPEC;
    body->ifi_index = static_cast<int>(index_);
    mnl_attr_put(header, IFLA_ADDRESS, mac.bytes.size(), mac.bytes.data());
    mnl_attr_put_u32(header, IFLA_MTU, mtu);
    return exchange(header, fmt::format("setting MAC {} and MTU {}", to_string(mac), mtu));
}

Result<void> LinkSetup::set_up() {
    Message buffer;
    nlmsghdr* header = start_request(buffer, RTM_NEWLINK, 0);
    auto* body = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg)));
    body->ifi_family = AF_UNSPEC;
    body->ifi_index = static_cast<int>(index_);
    body->ifi_flags = body->ifi_change = IFF_UP;
    return exchange(header, "setting the link up");
}

Result<void> LinkSetup::add_address(const IpPrefix& prefix, bool host_only) {
    Message buffer;
    nlmsghdr* header =
        address_request(buffer, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, prefix, index_);
    mnl_attr_put_u8(header, IFA_PROTO, weir_protocol);
    if (prefix.address.family == Family::v6) {
        mnl_attr_put_u32(header, IFA_FLAGS, IFA_F_NODAD);
        // Deprecated from the start: the kernel never chooses it as a source by itself.
        const ifa_cacheinfo lifetimes{.ifa_prefered = host_only ? 0 : 0xffffffff,
                                      .ifa_valid = 0xffffffff,
                                      .cstamp = 0,
                                      .tstamp = 0};
        mnl_attr_put(header, IFA_CACHEINFO, sizeof lifetimes, &lifetimes);
    }
    return exchange(header, fmt::format("adding address {}", to_string(prefix)), EEXIST);
}

Result<void> LinkSetup::remove_address(const IpPrefix& prefix) {
    Message buffer;
    nlmsghdr* header = address_request(buffer, RTM_DELADDR, 0, prefix, index_);
    return exchange(header, fmt::format("removing address {}", to_string(prefix)), EADDRNOTAVAIL);
}

Result<void> LinkSetup::add_default_route(const IpAddress& gateway, const IpAddress* source,
                                          std::uint32_t metric, bool on_link) {
    Message buffer;
    nlmsghdr* header = start_request(buffer, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
    auto* body = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(rtmsg)));
    body->rtm_family = kernel_family(gateway.family);
    body->rtm_table = RT_TABLE_MAIN;
    body->rtm_protocol = weir_protocol;
    body->rtm_scope = RT_SCOPE_UNIVERSE;
    body->rtm_type = RTN_UNICAST;
    body->rtm_flags = on_link ? RTNH_F_ONLINK : 0;
    put_address(header, RTA_GATEWAY, gateway);
    mnl_attr_put_u32(header, RTA_OIF, index_);
    mnl_attr_put_u32(header, RTA_PRIORITY, metric);
    if (source != nullptr) put_address(header, RTA_PREFSRC, *source);
    return exchange(header, fmt::format("adding the default route by {}", to_string(gateway)),
                    EEXIST);
}

namespace {

struct Dump {
    unsigned index;
    std::vector<IpPrefix> found;
};

struct Found {
    IpPrefix prefix;
    bool ours = false, local = false;
};

int take_attribute(const nlattr* attribute, void* data) {
    auto& found = *static_cast<Found*>(data);
    const std::uint16_t type = mnl_attr_get_type(attribute);
    if (type == IFA_PROTO) found.ours = mnl_attr_get_u8(attribute) == weir_protocol;
    // IFA_LOCAL is the interface's own; IPv6 has only IFA_ADDRESS.
    IpAddress& address = found.prefix.address;
    const bool taken = type == IFA_LOCAL || (type == IFA_ADDRESS && !found.local);
    if (taken && mnl_attr_get_payload_len(attribute) == address.size()) {
        found.local = type == IFA_LOCAL;
        std::memcpy(address.bytes.data(), mnl_attr_get_payload(attribute), address.size());
    }
    return MNL_CB_OK;
}

int take_address(const nlmsghdr* header, void* data) {
    auto& dump = *static_cast<Dump*>(data);
    const auto* body = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(header));
    if (body->ifa_index != dump.index) return MNL_CB_OK;
    Found found;
    found.prefix.length = body->ifa_prefixlen;
    found.prefix.address.family = body->ifa_family == AF_INET6 ? Family::v6 : Family::v4;
    mnl_attr_parse(header, sizeof(ifaddrmsg), take_attribute, &found);
    if (found.ours) dump.found.push_back(found.prefix);
    return MNL_CB_OK;
}

}  // namespace

Result<std::vector<IpPrefix>> LinkSetup::own_addresses() {
    Message buffer;
    nlmsghdr* header = start_request(buffer, RTM_GETADDR, NLM_F_DUMP);
    header->nlmsg_seq = ++sequence_;
    auto* body = static_cast<ifaddrmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ifaddrmsg)));
    body->ifa_family = AF_UNSPEC;
    Dump dump{index_, {}};
    const unsigned port = mnl_socket_get_portid(socket_.get());
    int state = mnl_socket_sendto(socket_.get(), header, header->nlmsg_len) < 0 ? -1 : MNL_CB_OK;
    std::vector<char> answer(32'768);
    while (state == MNL_CB_OK) {
        const ssize_t got = mnl_socket_recvfrom(socket_.get(), answer.data(), answer.size());
        state = got < 0 ? -1
                        : mnl_cb_run(answer.data(), static_cast<std::size_t>(got), sequence_, port,
                                     take_address, &dump);
    }
    if (state < 0)
        return Error{fmt::format("reading the addresses of '{}' fails: {}", interface_,
                                 std::strerror(errno))};
    return std::move(dump.found);
}

Result<void> LinkSetup::set_sysctl(Family family, const std::string& key, int value) const {
    const std::string path = sysctl_path(family, interface_, key);
    int present = 0;
    if (!(std::ifstream(path) >> present) || present == value) return {};
    std::ofstream file(path);
    file << value << std::flush;
    if (file.good()) return {};
    return Error{fmt::format(
        "{} cannot be set to {}: {}; set it before the start: `sysctl -w "
        "net.{}.conf.default.{}={}`",
        path, value, std::strerror(errno), family == Family::v4 ? "ipv4" : "ipv6", key, value)};
}

int LinkSetup::all_sysctl(Family family, const std::string& key) {
    int value = 0;
    std::ifstream(sysctl_path(family, "all", key)) >> value;
    return value;
}

}  // namespace weir
