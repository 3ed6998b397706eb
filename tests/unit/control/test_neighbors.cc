// SPDX-License-Identifier: BSD-3-Clause
// Against the real kernel: two namespaces joined by a veth pair, whose far end answers ARP and ND.
#include <algorithm>
#include <thread>
#include <utility>

#include <catch2/catch.hpp>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/control/neighbors.hh"
#include "tests/unit/control/loop.hh"
#include "tests/unit/control/namespaces.hh"

using namespace weir;
using namespace std::chrono_literals;
using Key = Registry::NextHopKey;

namespace {

constexpr PortId wan{0}, lan{1}, bare{2};

struct Network {
    test::Namespace here, peer;
    test::Loop loop;
    std::vector<std::pair<Key, MacAddress>> told;
    std::unique_ptr<NeighborMonitor> monitor;

    // Ports: wan0x and lan0x with a TAP's name (here: veth ends), and one without.
    void build() {
        REQUIRE(
            here.run(fmt::format("set -e; sysctl -qw net.ipv6.conf.default.accept_dad=0;"
                                 "ip link add lan0x type veth peer name far netns {0};"
                                 "ip link add wan0x type veth peer name wfar netns {0};"
                                 "ip link set lan0x up; ip link set wan0x up;"
                                 "ip addr add 10.77.0.1/24 dev lan0x;"
                                 "ip addr add 10.78.0.1/24 dev wan0x;"
                                 "ip addr add fd77::1/64 dev lan0x nodad;"
                                 // The kernel takes its time by default; this is the same in fast.
                                 "for n in net.ipv4.neigh.lan0x net.ipv6.neigh.lan0x; do"
                                 " sysctl -qw $n.base_reachable_time_ms=100"
                                 " $n.retrans_time_ms=100 $n.delay_first_probe_time=0; done",
                                 peer.path())));
        REQUIRE(
            peer.run("set -e; sysctl -qw net.ipv4.conf.all.arp_ignore=1;"
                     "ip link set far address 02:00:00:00:77:02; ip link set far up;"
                     "ip link set wfar address 02:00:00:00:78:02; ip link set wfar up;"
                     "ip addr add 10.77.0.2/24 dev far; ip addr add 10.77.0.3/24 dev far;"
                     "ip addr add 10.78.0.2/24 dev wfar;"
                     "ip addr add fd77::2/64 dev far nodad"));
        watch({"wan0x", "lan0x", ""});
    }
    void watch(std::vector<std::string> taps) {
        here.inside([&] {
            auto created = NeighborMonitor::create(
                loop.base(), std::move(taps),
                [this](const Key& key, const MacAddress& mac) { told.emplace_back(key, mac); },
                {50ms, 100ms});
            if (created) monitor = std::move(created.value());
        });
        REQUIRE(monitor != nullptr);
    }
    [[nodiscard]] std::string mac_of(const Key& key) const {
        const auto last = std::find_if(told.rbegin(), told.rend(),
                                       [&](const auto& item) { return item.first == key; });
        return last == told.rend() ? "" : to_string(last->second);
    }
    bool until_mac(const Key& key, const std::string& mac) {
        return loop.until([&] { return mac_of(key) == mac; }, 20s);
    }
};

Key key(PortId port, const char* address) {
    return {port, *parse_ip(address)};
}

bool may_make_namespaces() {
    if (test::Namespace().ok()) return true;
    WARN("skipped: neighbours need the right to make network namespaces; run as root");
    return false;
}

}  // namespace

TEST_CASE("neighbors: wanted next hops are resolved by the kernel, IPv4 and IPv6",
          "[control][neighbors]") {
    if (!may_make_namespaces()) return;
    Network network;
    network.build();
    const Key four = key(lan, "10.77.0.2"), six = key(lan, "fd77::2"), out = key(wan, "10.78.0.2");
    network.monitor->want({four, six, out});
    CHECK(network.until_mac(four, "02:00:00:00:77:02"));
    CHECK(network.until_mac(six, "02:00:00:00:77:02"));
    CHECK(network.until_mac(out, "02:00:00:00:78:02"));
    CHECK(network.told.size() == 3);
    CHECK_FALSE(network.monitor->state(four).empty());
    CHECK(network.monitor->state(four) != "NONE");
}

TEST_CASE("neighbors: a changed MAC is noticed, whatever the peer says of it",
          "[control][neighbors]") {
    if (!may_make_namespaces()) return;
    Network network;
    network.build();
    const Key four = key(lan, "10.77.0.2"), six = key(lan, "fd77::2");
    network.monitor->want({four, six});
    REQUIRE(network.until_mac(four, "02:00:00:00:77:02"));
    REQUIRE(network.until_mac(six, "02:00:00:00:77:02"));
    // Silently: the peer announces nothing, so only re-confirmation can tell.
    REQUIRE(network.peer.run("ip link set far address 02:00:00:00:77:99"));
    CHECK(network.until_mac(four, "02:00:00:00:77:99"));
    CHECK(network.until_mac(six, "02:00:00:00:77:99"));
}

TEST_CASE("neighbors: the last good answer is kept while the peer is silent",
          "[control][neighbors]") {
    if (!may_make_namespaces()) return;
    Network network;
    network.build();
    const Key four = key(lan, "10.77.0.2");
    network.monitor->want({four});
    REQUIRE(network.until_mac(four, "02:00:00:00:77:02"));
    REQUIRE(network.peer.run("ip addr flush dev far"));
    CHECK(network.loop.until([&] { return network.monitor->state(four) == "FAILED"; }, 20s));
    CHECK(network.told.size() == 1);
    // It returns with another MAC: asked again and again, so heard.
    REQUIRE(
        network.peer.run("ip link set far address 02:00:00:00:77:55;"
                         "ip addr add 10.77.0.2/24 dev far"));
    CHECK(network.until_mac(four, "02:00:00:00:77:55"));
}

TEST_CASE("neighbors: one that comes late is asked for until it answers", "[control][neighbors]") {
    if (!may_make_namespaces()) return;
    Network network;
    network.build();
    const Key late = key(lan, "10.77.0.9");
    network.monitor->want({late});
    CHECK(network.loop.until([&] { return network.monitor->state(late) == "FAILED"; }, 20s));
    REQUIRE(network.peer.run("ip addr add 10.77.0.9/24 dev far"));
    CHECK(network.until_mac(late, "02:00:00:00:77:02"));
}

TEST_CASE("neighbors: only wanted keys on their own TAP are learnt", "[control][neighbors]") {
    if (!may_make_namespaces()) return;
    Network network;
    network.build();
    // 10.77.0.3 is not wanted; 10.78.0.2 is wanted, but on the other port.
    network.monitor->want({key(lan, "10.77.0.2"), key(lan, "10.78.0.2")});
    REQUIRE(
        network.here.run("set -e; ip neigh add 10.77.0.3 dev lan0x lladdr 02:bb:00:00:00:01;"
                         "ip neigh add 10.78.0.2 dev wan0x lladdr 02:bb:00:00:00:02;"
                         "for i in $(seq 10 60); do"
                         " ip neigh add 10.77.0.$i dev lan0x lladdr 02:bb:00:00:00:$i; done"));
    REQUIRE(network.until_mac(key(lan, "10.77.0.2"), "02:00:00:00:77:02"));
    for (const auto& [learnt, mac] : network.told)
        UNSCOPED_INFO(to_string(learnt.address) << " " << to_string(mac));
    CHECK(network.told.size() == 1);
    CHECK(network.monitor->size() == 2);
    CHECK(network.monitor->state(key(lan, "10.77.0.3")).empty());
    CHECK(network.monitor->state(key(wan, "10.78.0.2")).empty());
}

TEST_CASE("neighbors: what the kernel knew before is told, group addresses are not",
          "[control][neighbors]") {
    if (!may_make_namespaces()) return;
    Network network;
    network.build();
    REQUIRE(
        network.here.run("set -e; ip neigh add 10.77.0.20 dev lan0x lladdr 02:bb:00:00:00:20;"
                         "ip neigh add 10.77.0.21 dev lan0x lladdr 03:bb:00:00:00:21"));
    const Key known = key(lan, "10.77.0.20"), group = key(lan, "10.77.0.21");
    network.monitor->want({known, group});
    CHECK(network.until_mac(known, "02:bb:00:00:00:20"));
    CHECK(network.loop.until([&] { return network.monitor->state(known) == "PERMANENT"; }));
    CHECK(network.loop.until([&] { return network.monitor->state(group) == "PERMANENT"; }));
    CHECK(network.told.size() == 1);
    CHECK(network.here.run("test $(ip neigh show nud permanent | grep -c 10.77.0.2) = 2"));

    // Given up and wanted again: told again.
    network.monitor->want({});
    CHECK(network.monitor->size() == 0);
    CHECK(network.monitor->state(known).empty());
    network.told.clear();
    network.monitor->want({known});
    CHECK(network.until_mac(known, "02:bb:00:00:00:20"));
}

TEST_CASE("neighbors: one more is resolved beside the others, and given up alone",
          "[control][neighbors]") {
    if (!may_make_namespaces()) return;
    Network network;
    network.build();
    const Key four = key(lan, "10.77.0.2"), six = key(lan, "fd77::2"),
              other = key(lan, "10.77.0.3");
    network.monitor->want({other});
    network.monitor->want_one(four);
    network.monitor->want_one(six);
    network.monitor->want_one(six);
    network.monitor->want_one(key(bare, "10.77.0.2"));
    CHECK(network.monitor->size() == 3);
    CHECK_FALSE(network.monitor->is_usable(four));
    CHECK(network.until_mac(four, "02:00:00:00:77:02"));
    CHECK(network.until_mac(six, "02:00:00:00:77:02"));
    CHECK(network.until_mac(other, "02:00:00:00:77:02"));
    CHECK(network.monitor->is_usable(four));
    // What the kernel knows already is told, and one that an operator set is left as it is.
    REQUIRE(network.here.run("ip neigh add 10.77.0.20 dev lan0x lladdr 02:bb:00:00:00:20"));
    const Key fixed = key(lan, "10.77.0.20");
    network.monitor->want_one(fixed);
    CHECK(network.until_mac(fixed, "02:bb:00:00:00:20"));
    CHECK(network.monitor->state(fixed) == "PERMANENT");
    CHECK(network.here.run("ip neigh show 10.77.0.20 dev lan0x | grep -q PERMANENT"));

    network.monitor->forget(four);
    network.monitor->forget(four);
    CHECK(network.monitor->size() == 3);
    CHECK(network.monitor->state(four).empty());
    CHECK_FALSE(network.monitor->is_usable(four));
    // It goes on for the others: a silent change is noticed.
    REQUIRE(network.peer.run("ip link set far address 02:00:00:00:77:99"));
    CHECK(network.until_mac(six, "02:00:00:00:77:99"));
    CHECK(network.mac_of(four) == "02:00:00:00:77:02");
}

TEST_CASE("neighbors: lost events only cost a new dump", "[control][neighbors]") {
    if (!may_make_namespaces()) return;
    Network network;
    network.build();
    const Key wanted = key(lan, "10.77.0.30");
    network.monitor->want({wanted});
    CHECK(network.loop.until([&] { return network.monitor->state(wanted) == "FAILED"; }, 20s));
    // More events than the socket holds, nobody reads; then the one that matters.
    REQUIRE(network.here.run(
        "for n in 1 2 3 4 5; do for i in $(seq 1 250); do for s in 1 2 3 4; do"
        " echo neigh replace 10.77.$s.$i dev lan0x lladdr 02:bb:00:00:00:0$n; done; done; done"
        " | ip -force -batch - >/dev/null 2>&1;"
        "ip neigh replace 10.77.0.30 dev lan0x lladdr 02:bb:00:00:00:30"));
    CHECK(network.until_mac(wanted, "02:bb:00:00:00:30"));
    CHECK(network.monitor->size() == 1);
}

TEST_CASE("neighbors: errors are said", "[control][neighbors]") {
    test::Loop loop;
    const auto missing =
        NeighborMonitor::create(loop.base(), {"no-such-tap"}, [](const Key&, const MacAddress&) {});
    REQUIRE_FALSE(missing.ok());
    CHECK(missing.error().message ==
          "cannot watch the neighbours of TAP no-such-tap: no such interface");

    if (!may_make_namespaces()) return;
    Network network;
    network.build();
    network.monitor->want({key(bare, "10.77.0.2"), key(PortId{9}, "10.77.0.2")});
    CHECK(network.monitor->size() == 0);
}

TEST_CASE("neighbors: a refusal of the kernel is told as the state", "[control][neighbors]") {
    if (!may_make_namespaces()) return;
    Network network;
    network.build();
    const Key wanted = key(lan, "10.77.0.2");
    std::string state;
    std::thread([&] {  // a thread's capabilities are its own
        __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
        __user_cap_data_struct none[2]{};
        syscall(SYS_capset, &header, none);
        network.monitor->want({wanted});
        network.loop.until([&] { return network.monitor->state(wanted).starts_with("refused"); },
                           5s);
        state = network.monitor->state(wanted);
    })
        .join();
    CHECK(state == "refused: Operation not permitted");
    // With the right back, the next request goes through.
    CHECK(network.until_mac(wanted, "02:00:00:00:77:02"));
}
