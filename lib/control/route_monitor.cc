// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/route_monitor.hh"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "lib/control/kernel_socket.hh"
#include "lib/control/timer.hh"

namespace weir {
namespace {

using Clock = std::chrono::steady_clock;
using Ports = std::map<int, PortId>;

// Reading the table takes at most one part in so many of the time.
constexpr int read_share = 10;
// A reading that the kernel says may have missed something is repeated so often, then it must do: a
// table that never rests is followed, too.
constexpr int torn_at_most = 3;
// Start-up waits for the first reading, so that the first tables go by the routes that are there.
constexpr auto first_reading = std::chrono::seconds(1);

constexpr std::size_t attribute_count = RTA_MAX + 1;
using Attributes = std::array<const nlattr*, attribute_count>;

int keep_attribute(const nlattr* attribute, void* user) {
    const std::uint16_t type = mnl_attr_get_type(attribute);
    if (type < attribute_count) (*static_cast<Attributes*>(user))[type] = attribute;
    return MNL_CB_OK;
}

std::optional<std::uint32_t> number_in(const nlattr* attribute) {
    if (attribute == nullptr || mnl_attr_get_payload_len(attribute) != sizeof(std::uint32_t))
        return std::nullopt;
    return mnl_attr_get_u32(attribute);
}

std::optional<IpAddress> address_in(const nlattr* attribute, Family family) {
    IpAddress address;
    address.family = family;
    if (attribute == nullptr || mnl_attr_get_payload_len(attribute) != address.size())
        return std::nullopt;
    std::memcpy(address.bytes.data(), mnl_attr_get_payload(attribute), address.size());
    return address;
}

struct Hop {
    PortId port{};
    IpAddress gateway;
};

// The next hop that these attributes name, by this interface.
std::optional<Hop> hop_of(const Attributes& attributes, int interface, unsigned flags,
                          Family family, const Ports& ports) {
    if ((flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN)) != 0) return std::nullopt;
    if (attributes[RTA_ENCAP] != nullptr) return std::nullopt;
    const auto port = ports.find(interface);
    if (port == ports.end()) return std::nullopt;
    const auto gateway = address_in(attributes[RTA_GATEWAY], family);
    if (!gateway) return std::nullopt;
    return Hop{port->second, *gateway};
}

// RTA_MULTIPATH: rtnexthop after rtnexthop, each followed by attributes of its own.
std::optional<Hop> first_hop(const nlattr* multipath, Family family, const Ports& ports) {
    const auto* at = static_cast<const std::uint8_t*>(mnl_attr_get_payload(multipath));
    std::size_t left = mnl_attr_get_payload_len(multipath);
    while (left >= sizeof(rtnexthop)) {
        rtnexthop head;
        std::memcpy(&head, at, sizeof head);
        const std::size_t length = head.rtnh_len;
        if (length < sizeof head || length > left) return std::nullopt;
        Attributes own{};
        const auto* attribute = reinterpret_cast<const nlattr*>(at + sizeof head);
        int inside = static_cast<int>(length - sizeof head);
        while (mnl_attr_ok(attribute, inside)) {
            keep_attribute(attribute, &own);
            inside -= static_cast<int>(MNL_ALIGN(attribute->nla_len));
            attribute = mnl_attr_next(attribute);
        }
        if (const auto hop = hop_of(own, head.rtnh_ifindex, head.rtnh_flags, family, ports))
            return hop;
        const std::size_t step = std::min((length + 3) & ~std::size_t{3}, left);
        at += step;
        left -= step;
    }
    return std::nullopt;
}

bool is_followed(const rtmsg& head) {
    return (head.rtm_family == AF_INET || head.rtm_family == AF_INET6) &&
           head.rtm_type == RTN_UNICAST && head.rtm_src_len == 0 && head.rtm_tos == 0 &&
           head.rtm_protocol != weir_protocol && (head.rtm_flags & RTM_F_CLONED) == 0;
}

}  // namespace

std::optional<KernelRoute> read_route(const nlmsghdr& message, const std::map<int, PortId>& ports) {
    if (mnl_nlmsg_get_payload_len(&message) < sizeof(rtmsg)) return std::nullopt;
    const auto& head = *static_cast<const rtmsg*>(mnl_nlmsg_get_payload(&message));
    if (!is_followed(head)) return std::nullopt;
    Attributes attributes{};
    mnl_attr_parse(&message, sizeof(rtmsg), &keep_attribute, &attributes);
    const std::uint32_t table = number_in(attributes[RTA_TABLE]).value_or(head.rtm_table);
    if (table != RT_TABLE_MAIN) return std::nullopt;

    const Family family = head.rtm_family == AF_INET ? Family::v4 : Family::v6;
    KernelRoute route;
    route.prefix.address.family = family;
    route.prefix.length = head.rtm_dst_len;
    if (route.prefix.length > route.prefix.address.bits()) return std::nullopt;
    if (route.prefix.length != 0) {
        const auto destination = address_in(attributes[RTA_DST], family);
        if (!destination) return std::nullopt;
        route.prefix.address = *destination;
    }
    route.metric = number_in(attributes[RTA_PRIORITY]).value_or(0);
    const auto interface = number_in(attributes[RTA_OIF]).value_or(0);
    const auto hop =
        attributes[RTA_MULTIPATH] != nullptr
            ? first_hop(attributes[RTA_MULTIPATH], family, ports)
            : hop_of(attributes, static_cast<int>(interface), head.rtm_flags, family, ports);
    if (!hop) return std::nullopt;
    route.port = hop->port;
    route.gateway = hop->gateway;
    return route;
}

struct RouteMonitor::Impl {
    OnRoutes on_routes;
    std::chrono::milliseconds coalesce;
    Ports ports;
    KernelSocket kernel;
    Timer timer;
    std::uint32_t sequence = 0;
    // again: something came meanwhile; torn: the reading may have missed something.
    bool reading = false, again = false, torn = false;
    int torn_in_a_row = 0;
    std::vector<KernelRoute> found;
    bool more = false;
    std::optional<std::pair<std::vector<KernelRoute>, bool>> told;
    Clock::time_point began{};
    Clock::duration took{};

    Impl(event_base* base, OnRoutes told_to, std::chrono::milliseconds delay)
        : on_routes(std::move(told_to)),
          coalesce(delay),
          kernel({.message = [this](const nlmsghdr& message) { handle(message); },
                  .lost = [this] { begin_again(); },
                  .pass_over = {}}),
          timer(base, [this] { read_table(); }) {}
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    Result<void> open(event_base* base, const std::vector<std::string>& taps);
    void await_table();
    void handle(const nlmsghdr& message);
    void note(const nlmsghdr& message);
    [[nodiscard]] bool is_of_port(const nlmsghdr& message) const;
    void keep(const nlmsghdr& message);
    void read_table();
    void finish();
    void begin_again();
    void read_soon();
};

Result<void> RouteMonitor::Impl::open(event_base* base, const std::vector<std::string>& taps) {
    const auto interfaces = interfaces_of(taps, "routes");
    if (!interfaces) return interfaces.error();
    for (std::size_t port = 0; port < interfaces.value().size(); ++port) {
        const int interface = interfaces.value()[port];
        if (interface != 0) ports[interface] = static_cast<PortId>(port);
    }
    constexpr unsigned groups = RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_LINK |
                                RTMGRP_IPV4_IFADDR | (1u << (RTNLGRP_NEXTHOP - 1));
    if (auto opened = kernel.open(base, "routes", groups); !opened) return opened;
    read_table();
    await_table();
    return {};
}

void RouteMonitor::Impl::await_table() {
    const auto end = Clock::now() + first_reading;
    while (reading && Clock::now() < end)
        kernel.await(std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()));
}

void RouteMonitor::Impl::handle(const nlmsghdr& message) {
    if (!kernel.is_answer(message)) return note(message);
    if ((message.nlmsg_flags & NLM_F_DUMP_INTR) != 0) torn = true;
    if (message.nlmsg_type == RTM_NEWROUTE) return keep(message);
    if (message.nlmsg_type == NLMSG_DONE) finish();
    if (message.nlmsg_type == NLMSG_ERROR) {  // it was not read at all
        reading = false;
        read_soon();
    }
}

// Whether an address or link message is about one of our interfaces.
bool RouteMonitor::Impl::is_of_port(const nlmsghdr& message) const {
    const void* payload = mnl_nlmsg_get_payload(&message);
    const std::size_t length = mnl_nlmsg_get_payload_len(&message);
    if (message.nlmsg_type == RTM_DELADDR) {
        return length >= sizeof(ifaddrmsg) &&
               ports.contains(static_cast<int>(static_cast<const ifaddrmsg*>(payload)->ifa_index));
    }
    return length >= sizeof(ifinfomsg) &&
           ports.contains(static_cast<const ifinfomsg*>(payload)->ifi_index);
}

// A notification: may one of our routes have come or gone?
void RouteMonitor::Impl::note(const nlmsghdr& message) {
    switch (message.nlmsg_type) {
        case RTM_NEWROUTE:
        case RTM_DELROUTE:
            // What replaces a route does not say what went.
            if ((message.nlmsg_flags & NLM_F_REPLACE) != 0 || read_route(message, ports))
                read_soon();
            break;
        // IPv4 routes of an interface that goes down, of a source address that is taken away, and
        // of a nexthop object that is deleted go without a word.
        case RTM_NEWLINK:
        case RTM_DELADDR:
            if (is_of_port(message)) read_soon();
            break;
        case RTM_NEWNEXTHOP:
        case RTM_DELNEXTHOP:
            read_soon();
            break;
        default:
            break;
    }
}

void RouteMonitor::Impl::keep(const nlmsghdr& message) {
    const auto route = read_route(message, ports);
    if (!route) return;
    if (found.size() >= max_kernel_routes) {
        more = true;
        return;
    }
    found.push_back(*route);
}

void RouteMonitor::Impl::read_table() {
    if (reading) {
        again = true;
        return;
    }
    found.clear();
    more = again = torn = false;
    began = Clock::now();
    alignas(nlmsghdr) std::array<char, 256> buffer{};
    nlmsghdr* message = mnl_nlmsg_put_header(buffer.data());
    message->nlmsg_type = RTM_GETROUTE;
    message->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    message->nlmsg_seq = ++sequence;
    auto* head = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(rtmsg)));
    head->rtm_family = AF_UNSPEC;
    reading = kernel.send(*message);
    if (!reading) read_soon();
}

void RouteMonitor::Impl::finish() {
    reading = false;
    took = Clock::now() - began;
    if (again || torn) read_soon();
    if (torn && ++torn_in_a_row <= torn_at_most) return;
    torn_in_a_row = 0;
    std::ranges::sort(found);
    std::pair now{std::move(found), more};
    if (told == now) return;
    told = now;
    on_routes(std::move(now.first), more);
}

// Messages were lost, of a table that is being read, too.
void RouteMonitor::Impl::begin_again() {
    again = true;
    read_soon();
}

void RouteMonitor::Impl::read_soon() {
    if (timer.pending()) return;
    timer.set(std::max<std::chrono::microseconds>(
        coalesce, std::chrono::ceil<std::chrono::microseconds>(read_share * took)));
}

Result<std::unique_ptr<RouteMonitor>> RouteMonitor::create(event_base* base,
                                                           const std::vector<std::string>& taps,
                                                           OnRoutes on_routes,
                                                           std::chrono::milliseconds coalesce) {
    auto impl = std::make_unique<Impl>(base, std::move(on_routes), coalesce);
    if (const auto opened = impl->open(base, taps); !opened) return opened.error();
    return std::make_unique<RouteMonitor>(std::move(impl));
}

RouteMonitor::RouteMonitor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RouteMonitor::~RouteMonitor() = default;

}  // namespace weir
