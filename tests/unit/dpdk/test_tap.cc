// SPDX-License-Identifier: BSD-3-Clause
// Each case runs in a network namespace of its own, in a child process.
#include <algorithm>
#include <array>
#include <fstream>
#include <optional>

#include <arpa/inet.h>
#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/dpdk/tap.hh"
#include "tests/unit/dpdk/support.hh"

using namespace weir;
using weir::test::in_private_network;
using weir::test::run;

namespace {

TapOptions options_of(bool persist = false) {
    return {.name = "wan0x",
            .mac = *parse_mac("02:00:00:00:00:05"),
            .mtu = 1520,
            .addresses = {*parse_prefix("198.51.100.5/24"), *parse_prefix("2001:db8:1::5/64")},
            .gateways = {*parse_ip("198.51.100.1"), *parse_ip("2001:db8:1::1")},
            .metric = 4097,
            .persist = persist};
}

std::string said(const std::string& command) {
    std::string output;
    run(command, &output);
    return output;
}

bool shows(const std::string& command, const std::string& text) {
    return said(command).find(text) != std::string::npos;
}

std::string sysctl(const std::string& key) {
    std::string value;
    std::ifstream("/proc/sys/net/" + key) >> value;
    return value;
}

// Reads frames until one fits, at most 2 s.
template <typename Fits>
std::optional<std::vector<std::byte>> wait_for_frame(Tap& tap, Fits fits) {
    std::vector<std::byte> frame(1600);
    for (int round = 0; round < 20; ++round) {
        pollfd waiting{tap.fd(), POLLIN, 0};
        poll(&waiting, 1, 100);
        while (const std::size_t length = tap.read_frame(frame)) {
            std::vector<std::byte> whole(frame.begin(),
                                         frame.begin() + static_cast<std::ptrdiff_t>(length));
            if (fits(whole)) return whole;
        }
    }
    return std::nullopt;
}

std::uint32_t ones_sum(std::span<const std::byte> bytes, std::uint32_t sum = 0) {
    for (std::size_t i = 0; i < bytes.size(); ++i)
        sum += std::to_integer<std::uint32_t>(bytes[i]) << (i % 2 == 0 ? 8 : 0);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

#define MUST(condition) \
    if (!(condition)) return std::string("does not hold: " #condition)

std::string stands_and_goes() {
    {
        run("ip route add default via 127.0.0.1 dev lo metric 10");
        auto made = Tap::create(options_of());
        if (!made) return made.error().message;
        MUST(made.value().interface_index() == if_nametoindex("wan0x"));
        MUST(shows("ip link show wan0x", "02:00:00:00:00:05"));
        MUST(shows("ip link show wan0x", "mtu 1520"));
        MUST(shows("ip link show wan0x", "LOWER_UP"));
        MUST(shows("ip addr show wan0x", "198.51.100.5/24"));
        MUST(shows("ip addr show wan0x", "2001:db8:1::5/64"));
        MUST(!shows("ip addr show wan0x", "2001:db8:1::5/64 scope global tentative"));
        MUST(sysctl("ipv4/conf/wan0x/arp_ignore") == "1");
        MUST(sysctl("ipv4/conf/wan0x/arp_announce") == "2");
        MUST(sysctl("ipv4/conf/wan0x/rp_filter") == "0");
        MUST(sysctl("ipv6/conf/wan0x/accept_ra") == "0");
        MUST(shows("ip route show default",
                   "default via 198.51.100.1 dev wan0x proto 87 src 198.51.100.5 metric 4097"));
        MUST(shows("ip -6 route show default", "via 2001:db8:1::1 dev wan0x proto 87"));
        MUST(shows("ip route get 203.0.113.77 oif wan0x", "src 198.51.100.5"));
        // The default route that was there is not displaced.
        MUST(shows("ip route get 203.0.113.77", "dev lo"));
    }
    MUST(if_nametoindex("wan0x") == 0);
    return {};
}

std::string vips_follow() {
    auto made = Tap::create(options_of());
    if (!made) return made.error().message;
    Tap tap = std::move(made).value();
    const auto a = *parse_ip("203.0.113.10"), b = *parse_ip("203.0.113.11");
    const auto c = *parse_ip("2001:db8:443::10");
    const auto own = *parse_ip("198.51.100.5");
    MUST(tap.set_vips(std::array{b, c, a, own, b}).ok());
    MUST(shows("ip addr show wan0x", "inet 203.0.113.10/32"));
    MUST(shows("ip addr show wan0x", "inet 203.0.113.11/32"));
    MUST(shows("ip addr show wan0x", "inet6 2001:db8:443::10/128 scope global nodad deprecated"));
    MUST(tap.set_vips(std::array{b}).ok());
    MUST(!shows("ip addr show wan0x", "203.0.113.10/32"));
    MUST(shows("ip addr show wan0x", "203.0.113.11/32"));
    MUST(!shows("ip addr show wan0x", "2001:db8:443::10"));
    MUST(tap.set_vips({}).ok());
    MUST(shows("ip addr show wan0x", "198.51.100.5/24"));
    // What somebody else removed or added is no error.
    MUST(tap.set_vips(std::array{a}).ok());
    run("ip addr del 203.0.113.10/32 dev wan0x; ip addr add 203.0.113.11/32 dev wan0x");
    MUST(tap.set_vips(std::array{b}).ok());
    MUST(shows("ip addr show wan0x", "203.0.113.11/32"));
    return {};
}

std::string persists() {
    const auto a = *parse_ip("203.0.113.10"), b = *parse_ip("203.0.113.11");
    {
        auto made = Tap::create(options_of(true));
        if (!made) return made.error().message;
        MUST(made.value().set_vips(std::array{a, b}).ok());
    }
    MUST(shows("ip addr show wan0x", "203.0.113.10/32"));
    run("ip addr add 192.0.2.9/32 dev wan0x");  // the operator's own
    TapOptions next = options_of();
    next.addresses[0] = *parse_prefix("198.51.100.6/24");
    {
        auto made = Tap::create(next);
        if (!made) return made.error().message;
        MUST(!shows("ip addr show wan0x", "198.51.100.5/24"));
        MUST(shows("ip addr show wan0x", "198.51.100.6/24"));
        MUST(made.value().set_vips(std::array{b}).ok());
        MUST(!shows("ip addr show wan0x", "203.0.113.10/32"));
        MUST(shows("ip addr show wan0x", "203.0.113.11/32"));
        MUST(shows("ip addr show wan0x", "192.0.2.9/32"));
    }
    MUST(if_nametoindex("wan0x") == 0);
    return {};
}

std::string frames_cross() {
    auto made = Tap::create(options_of());
    if (!made) return made.error().message;
    Tap tap = std::move(made).value();
    run("ip neigh add 198.51.100.1 lladdr 02:00:00:00:00:99 dev wan0x");
    const int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(80);
    inet_pton(AF_INET, "203.0.113.200", &to.sin_addr);
    connect(client, reinterpret_cast<sockaddr*>(&to), sizeof to);
    const auto syn = wait_for_frame(tap, [](const auto& frame) {
        return frame.size() > 53 && frame[12] == std::byte{8} && frame[23] == std::byte{6};
    });
    close(client);
    MUST(syn.has_value());
    MUST((*syn)[5] == std::byte{0x99});
    const std::span<const std::byte> ip = std::span(*syn).subspan(14);
    const std::size_t length =
        std::to_integer<std::size_t>(ip[2]) << 8 | std::to_integer<std::size_t>(ip[3]);
    MUST(ones_sum(ip.first(20)) == 0xffff);
    // RFC 9293 3.1: pseudo header of both addresses, protocol and length.
    const auto pseudo = ones_sum(ip.subspan(12, 8), static_cast<std::uint32_t>(6 + length - 20));
    MUST(ones_sum(ip.subspan(20, length - 20), pseudo) == 0xffff);

    // An ARP question for a VIP on this interface is answered, for another address not.
    MUST(tap.set_vips(std::array{*parse_ip("203.0.113.10")}).ok());
    run("ip addr add 203.0.113.12/32 dev lo");
    std::array<std::uint8_t, 42> arp{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,   0,   0,   0, 0,
                                     0x99, 8,    6,    0,    1,    8,    0,   6,   4,   0, 1,
                                     2,    0,    0,    0,    0,    0x99, 198, 51,  100, 1, 0,
                                     0,    0,    0,    0,    0,    203,  0,   113, 12};
    MUST(tap.write_frame(std::as_bytes(std::span(arp))));
    arp[41] = 10;
    MUST(tap.write_frame(std::as_bytes(std::span(arp))));
    const auto answer = wait_for_frame(tap, [](const auto& frame) {
        return frame.size() >= 42 && frame[12] == std::byte{8} && frame[13] == std::byte{6} &&
               frame[21] == std::byte{2};
    });
    MUST(answer.has_value());
    MUST((*answer)[31] == std::byte{10});
    MUST((*answer)[11] == std::byte{5});
    return {};
}

std::string names_refused() {
    auto made = Tap::create(options_of());
    if (!made) return made.error().message;
    const auto busy = Tap::create(options_of());
    MUST(!busy.ok());
    MUST(busy.error().message.find("another process has it open") != std::string::npos);
    run("ip link add veth9 type veth peer name veth8");
    TapOptions other = options_of();
    other.name = "veth9";
    const auto taken = Tap::create(other);
    MUST(!taken.ok());
    MUST(taken.error().message.find("is no TAP") != std::string::npos);
    other.name = "sixteen-chars-xx";
    MUST(!Tap::create(other).ok());
    return {};
}

std::string filter_warned() {
    run("sysctl -qw net.ipv4.conf.all.rp_filter=0");
    {
        auto made = Tap::create(options_of());
        MUST(made.ok());
        MUST(made.value().warnings().empty());
    }
    run("sysctl -qw net.ipv4.conf.all.rp_filter=1");
    auto made = Tap::create(options_of());
    MUST(made.ok());
    MUST(made.value().warnings().size() == 1);
    return {};
}

}  // namespace

TEST_CASE("tap: MAC, MTU, addresses, sysctls and routes stand; it goes with its descriptor",
          "[dpdk][netns]") {
    CHECK(in_private_network(stands_and_goes) == "");
}

TEST_CASE("tap: VIPs become exactly what is asked, own addresses stay", "[dpdk][netns]") {
    CHECK(in_private_network(vips_follow) == "");
}

TEST_CASE("tap: a persistent one stays, and the next start takes it over", "[dpdk][netns]") {
    CHECK(in_private_network(persists) == "");
}

TEST_CASE("tap: frames cross both ways, with finished checksums", "[dpdk][netns]") {
    CHECK(in_private_network(frames_cross) == "");
}

TEST_CASE("tap: names that cannot be had are told with what mends it", "[dpdk][netns]") {
    CHECK(in_private_network(names_refused) == "");
}

TEST_CASE("tap: a reverse path filter of the machine is a warning", "[dpdk][netns]") {
    CHECK(in_private_network(filter_warned) == "");
}
