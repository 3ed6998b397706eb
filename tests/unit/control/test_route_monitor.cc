// SPDX-License-Identifier: BSD-3-Clause
// Route messages built as the kernel builds them, and the real kernel in a namespace of its own.
#include <algorithm>
#include <array>

#include <catch2/catch.hpp>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "lib/control/egress.hh"
#include "lib/control/route_monitor.hh"
#include "tests/unit/control/loop.hh"
#include "tests/unit/control/namespaces.hh"

using namespace weir;
using namespace std::chrono_literals;

namespace {

IpAddress ip(std::string_view text) {
    return parse_ip(text).value();
}
KernelRoute route(std::string_view prefix, unsigned port, std::string_view gateway,
                  std::uint32_t metric = 0) {
    return {parse_prefix(prefix).value(), metric, static_cast<PortId>(port), ip(gateway)};
}

const std::map<int, PortId> ports{{7, PortId{0}}, {9, PortId{1}}};

// A message of one route; by default 10.9.0.0/16 via 10.0.1.254 by interface 7.
struct Message {
    alignas(nlmsghdr) std::array<char, 512> bytes{};
    nlmsghdr* header = mnl_nlmsg_put_header(bytes.data());
    rtmsg* head = nullptr;

    explicit Message(std::string_view destination = "10.9.0.0", std::uint8_t length = 16) {
        header->nlmsg_type = RTM_NEWROUTE;
        head = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(rtmsg)));
        const IpAddress to = ip(destination);
        head->rtm_family = to.family == Family::v4 ? AF_INET : AF_INET6;
        head->rtm_dst_len = length;
        head->rtm_table = RT_TABLE_MAIN;
        head->rtm_protocol = RTPROT_BOOT;
        head->rtm_type = RTN_UNICAST;
        if (length != 0) put(RTA_DST, to);
    }
    Message& put(std::uint16_t type, const IpAddress& address) {
        mnl_attr_put(header, type, address.size(), address.bytes.data());
        return *this;
    }
    Message& put(std::uint16_t type, std::uint32_t number) {
        mnl_attr_put_u32(header, type, number);
        return *this;
    }
    Message& via(std::string_view gateway, std::uint32_t interface) {
        return put(RTA_GATEWAY, ip(gateway)).put(RTA_OIF, interface);
    }
    [[nodiscard]] std::optional<KernelRoute> read() const { return read_route(*header, ports); }
};

// One next hop of a multipath route.
void put_hop(nlmsghdr* message, int interface, std::string_view gateway, std::uint8_t flags = 0) {
    auto* hop = static_cast<rtnexthop*>(mnl_nlmsg_put_extra_header(message, sizeof(rtnexthop)));
    const auto* begin = reinterpret_cast<const char*>(hop);
    hop->rtnh_ifindex = interface;
    hop->rtnh_flags = flags;
    const IpAddress address = ip(gateway);
    mnl_attr_put(message, RTA_GATEWAY, address.size(), address.bytes.data());
    hop->rtnh_len = static_cast<unsigned short>(
        static_cast<const char*>(mnl_nlmsg_get_payload_tail(message)) - begin);
}

}  // namespace

TEST_CASE("route messages: those with a gateway by one of our interfaces are followed",
          "[control][routes]") {
    CHECK(Message().via("10.0.1.254", 7).read() == route("10.9.0.0/16", 0, "10.0.1.254"));
    CHECK(Message().via("10.0.1.254", 9).put(RTA_PRIORITY, 20).read() ==
          route("10.9.0.0/16", 1, "10.0.1.254", 20));
    CHECK(Message("0.0.0.0", 0).via("10.0.1.254", 7).read() == route("0.0.0.0/0", 0, "10.0.1.254"));
    CHECK(Message("2001:db8:9::", 48).via("fe80::1", 7).read() ==
          route("2001:db8:9::/48", 0, "fe80::1"));
    // The attribute has room for tables that the header's byte has not.
    Message large;
    large.head->rtm_table = RT_TABLE_UNSPEC;
    CHECK(large.via("10.0.1.254", 7).put(RTA_TABLE, RT_TABLE_MAIN).read().has_value());
}

TEST_CASE("route messages: all others are not", "[control][routes]") {
    CHECK_FALSE(Message().via("10.0.1.254", 8).read());
    CHECK_FALSE(Message().put(RTA_OIF, 7).read());  // on link
    CHECK_FALSE(Message().put(RTA_GATEWAY, ip("10.0.1.254")).read());
    CHECK_FALSE(Message().via("fe80::1", 7).read());  // of the other family
    const auto with = [](auto change) {
        Message message;
        message.via("10.0.1.254", 7);
        change(message);
        return message.read();
    };
    CHECK(with([](Message&) {}).has_value());
    CHECK_FALSE(with([](Message& m) { m.head->rtm_type = RTN_BLACKHOLE; }));
    CHECK_FALSE(with([](Message& m) { m.head->rtm_type = RTN_UNREACHABLE; }));
    CHECK_FALSE(with([](Message& m) { m.head->rtm_type = RTN_LOCAL; }));
    CHECK_FALSE(with([](Message& m) { m.head->rtm_table = RT_TABLE_LOCAL; }));
    CHECK_FALSE(with([](Message& m) { m.put(RTA_TABLE, 1000); }));
    CHECK_FALSE(with([](Message& m) { m.head->rtm_src_len = 24; }));
    CHECK_FALSE(with([](Message& m) { m.head->rtm_tos = 8; }));
    CHECK_FALSE(with([](Message& m) { m.head->rtm_flags = RTM_F_CLONED; }));
    CHECK_FALSE(with([](Message& m) { m.head->rtm_flags = RTNH_F_DEAD; }));
    CHECK_FALSE(with([](Message& m) { m.head->rtm_flags = RTNH_F_LINKDOWN; }));
    CHECK_FALSE(with([](Message& m) { m.head->rtm_protocol = weir_protocol; }));
    CHECK_FALSE(with([](Message& m) { m.put(RTA_ENCAP, 1); }));
    CHECK_FALSE(with([](Message& m) { m.head->rtm_dst_len = 33; }));
    CHECK_FALSE(with([](Message& m) { m.head->rtm_family = AF_INET6; }));
    CHECK_FALSE(with([](Message& m) { m.header->nlmsg_len = NLMSG_HDRLEN + 4; }));
}

TEST_CASE("route messages: of several next hops the first by one of our interfaces counts",
          "[control][routes]") {
    const auto read = [](auto put_hops) {
        Message message;
        nlattr* nest = mnl_attr_nest_start(message.header, RTA_MULTIPATH);
        put_hops(message.header);
        mnl_attr_nest_end(message.header, nest);
        return message.read();
    };
    CHECK(read([](nlmsghdr* m) {
              put_hop(m, 9, "10.1.0.1");
              put_hop(m, 7, "10.0.1.254");
          }) == route("10.9.0.0/16", 1, "10.1.0.1"));
    CHECK(read([](nlmsghdr* m) {
              put_hop(m, 8, "10.3.0.1");
              put_hop(m, 9, "10.1.0.1", RTNH_F_DEAD);
              put_hop(m, 7, "10.0.1.254");
          }) == route("10.9.0.0/16", 0, "10.0.1.254"));
    CHECK_FALSE(read([](nlmsghdr* m) { put_hop(m, 8, "10.3.0.1"); }));
    CHECK_FALSE(read([](nlmsghdr*) {}));
    // Lengths that lie end the search.
    for (const int length : {0, 7, 200}) {
        CHECK_FALSE(read([&](nlmsghdr* m) {
            auto* hop = static_cast<rtnexthop*>(mnl_nlmsg_get_payload_tail(m));
            put_hop(m, 9, "10.1.0.1");
            hop->rtnh_len = static_cast<unsigned short>(length);
            put_hop(m, 7, "10.0.1.254");
        }));
    }
}

TEST_CASE("kernel routes: of equal prefixes the lowest metric, then the first port",
          "[control][routes]") {
    const KernelRoutes routes(
        {route("10.9.0.0/16", 1, "10.1.0.1", 10), route("10.9.0.0/16", 1, "10.1.0.2", 5),
         route("10.9.0.0/16", 0, "10.0.0.9", 5), route("10.9.7.0/24", 1, "10.1.0.7", 99)});
    REQUIRE(routes.all().size() == 2);
    CHECK(routes.find(ip("10.9.1.1"))->gateway == ip("10.0.0.9"));
    CHECK(routes.find(ip("10.9.7.1"))->gateway == ip("10.1.0.7"));
    CHECK(routes.find(ip("10.8.0.1")) == nullptr);
}

namespace {

bool may_make_namespaces() {
    if (test::Namespace().ok()) return true;
    WARN("skipped: routes need the right to make network namespaces; run as root");
    return false;
}

struct Machine {
    test::Namespace here;
    test::Loop loop;
    std::vector<std::vector<KernelRoute>> told;
    bool more = false;
    std::unique_ptr<RouteMonitor> monitor;

    Machine() {
        REQUIRE(
            here.run("set -e; sysctl -qw net.ipv6.conf.default.accept_dad=0;"
                     "for i in lan0x wan0x other; do ip link add $i type veth peer name p$i;"
                     " ip link set $i up; ip link set p$i up; "
                     "done;"
                     "ip addr add 10.0.1.5/24 dev lan0x; ip addr add 10.0.2.5/24 dev wan0x;"
                     "ip addr add fd01::5/64 dev lan0x nodad; ip addr add 10.0.3.5/24 dev other"));
    }
    void watch(std::chrono::milliseconds coalesce = 1ms) {
        here.inside([&] {
            auto created = RouteMonitor::create(
                loop.base(), {"wan0x", "lan0x", ""},
                [this](std::vector<KernelRoute> routes, bool others) {
                    told.push_back(std::move(routes));
                    more = others;
                },
                coalesce);
            if (created) monitor = std::move(created.value());
        });
        REQUIRE(monitor != nullptr);
    }
    bool until(std::vector<KernelRoute> wanted) {
        std::ranges::sort(wanted);
        return loop.until([&] { return !told.empty() && told.back() == wanted; });
    }
};

}  // namespace

TEST_CASE("routes: what the kernel has, and what an operator changes", "[control][routes]") {
    if (!may_make_namespaces()) return;
    Machine machine;
    REQUIRE(
        machine.here.run("set -e; ip route add 10.9.0.0/16 via 10.0.1.254;"
                         "ip route add 10.8.0.0/16 via 10.0.3.254;"
                         "ip route add default via 10.0.2.1 metric 4096 proto 87"));
    machine.watch();
    const auto first = route("10.9.0.0/16", 1, "10.0.1.254");
    CHECK(machine.until({first}));

    REQUIRE(
        machine.here.run("set -e; ip route add 10.9.7.0/24 via 10.0.2.9 metric 7;"
                         "ip -6 route add 2001:db8:9::/48 via fe80::1 dev lan0x metric 30"));
    const auto second = route("10.9.7.0/24", 0, "10.0.2.9", 7);
    const auto third = route("2001:db8:9::/48", 1, "fe80::1", 30);
    CHECK(machine.until({first, second, third}));

    // Replaced by one that is not ours: the kernel does not say what went.
    REQUIRE(machine.here.run("ip route replace 10.9.0.0/16 via 10.0.3.254"));
    CHECK(machine.until({second, third}));
    REQUIRE(machine.here.run("ip -6 route del 2001:db8:9::/48"));
    CHECK(machine.until({second}));
    // Those of an interface that goes down are gone without a word.
    REQUIRE(machine.here.run("ip link set wan0x down"));
    CHECK(machine.until({}));
    REQUIRE(machine.here.run(
        "set -e; ip route add blackhole 10.6.0.0/16; ip route add unreachable 10.7.0.0/16;"
        "ip route add 10.5.0.0/16 via 10.0.1.9 table 100;"
        "ip route add 10.4.0.0/16 nexthop via 10.0.3.9 dev other nexthop via 10.0.1.8 dev lan0x"));
    CHECK(machine.until({route("10.4.0.0/16", 1, "10.0.1.8")}));
    CHECK_FALSE(machine.more);
}

TEST_CASE("routes: those that the kernel takes away without a word are gone", "[control][routes]") {
    if (!may_make_namespaces()) return;
    Machine machine;
    machine.watch();
    REQUIRE(
        machine.here.run("set -e; ip addr add 10.0.1.77/24 dev lan0x;"
                         "ip route add 10.8.0.0/16 via 10.0.1.9 src 10.0.1.77;"
                         "ip route add 10.9.0.0/16 via 172.16.0.1 dev lan0x onlink"));
    const auto onlink = route("10.9.0.0/16", 1, "172.16.0.1");
    CHECK(machine.until({route("10.8.0.0/16", 1, "10.0.1.9"), onlink}));
    REQUIRE(machine.here.run("ip addr del 10.0.1.77/24 dev lan0x"));
    CHECK(machine.until({onlink}));
    if (!machine.here.run("ip nexthop add id 20 via 10.0.1.9 dev lan0x 2>/dev/null")) {
        WARN("skipped in part: this kernel has no nexthop objects");
        return;
    }
    REQUIRE(machine.here.run("ip route add 10.7.0.0/16 nhid 20"));
    CHECK(machine.until({route("10.7.0.0/16", 1, "10.0.1.9"), onlink}));
    REQUIRE(machine.here.run("ip nexthop replace id 20 via 10.0.1.10 dev lan0x"));
    CHECK(machine.until({route("10.7.0.0/16", 1, "10.0.1.10"), onlink}));
    REQUIRE(machine.here.run("ip nexthop del id 20"));
    CHECK(machine.until({onlink}));
}

TEST_CASE("routes: many changes are few readings", "[control][routes]") {
    if (!may_make_namespaces()) return;
    Machine machine;
    constexpr auto coalesce = 50ms;
    const auto begin = std::chrono::steady_clock::now();
    machine.watch(coalesce);
    for (int i = 0; i < 20; ++i) {
        REQUIRE(
            machine.here.run(fmt::format("ip route replace 10.9.0.0/16 via 10.0.1.{}", 100 + i)));
        machine.loop.turn();
    }
    CHECK(machine.until({route("10.9.0.0/16", 1, "10.0.1.119")}));
    const auto took = std::chrono::steady_clock::now() - begin;
    CHECK(machine.told.size() <= 2u + static_cast<unsigned>(took / coalesce));
}

TEST_CASE("routes: more than there is room for are left out, and that is said",
          "[control][routes]") {
    if (!may_make_namespaces()) return;
    Machine machine;
    REQUIRE(machine.here.run(
        "for i in $(seq 0 19); do for j in $(seq 0 254); do"
        " echo route add 10.$((i + 20)).$j.0/24 via 10.0.1.9; done; done | ip -batch -"));
    machine.watch();
    REQUIRE(machine.loop.until([&] { return !machine.told.empty(); }));
    CHECK(machine.told.size() == 1);  // by create() already
    CHECK(machine.told.back().size() == max_kernel_routes);
    CHECK(machine.more);
    // All go at once: more messages than there is patience for end in what is true.
    REQUIRE(machine.here.run("ip route flush via 10.0.1.9"));
    CHECK(machine.until({}));
    CHECK_FALSE(machine.more);
}

TEST_CASE("routes: one too many is said, though those that are followed stay the same",
          "[control][routes]") {
    if (!may_make_namespaces()) return;
    Machine machine;
    REQUIRE(
        machine.here.run("for i in $(seq 0 15); do for j in $(seq 0 255); do"
                         " echo route add 10.$((i + 20)).$j.0/24 via 10.0.1.9; done; done |"
                         " ip -batch -"));
    machine.watch();
    REQUIRE(machine.told.size() == 1);
    CHECK(machine.told.back().size() == max_kernel_routes);
    CHECK_FALSE(machine.more);
    REQUIRE(machine.here.run("ip route add 10.99.0.0/16 via 10.0.1.9"));
    CHECK(machine.loop.until([&] { return machine.more; }));
    CHECK(machine.told.back().size() == max_kernel_routes);
}

TEST_CASE("routes: errors are said", "[control][routes]") {
    test::Loop loop;
    const auto missing =
        RouteMonitor::create(loop.base(), {"no-such-tap"}, [](std::vector<KernelRoute>, bool) {});
    REQUIRE_FALSE(missing.ok());
    CHECK(missing.error().message ==
          "cannot watch the routes of TAP no-such-tap: no such interface");
}
