// SPDX-License-Identifier: BSD-3-Clause
// What leaves: link header, tag, outer IP header in all four combinations of families.
#include "tests/packet/case.hh"

namespace weir::test {
namespace {

// The outer header towards the tunnel backends of the lan port, whose tunnel_source varies.
Ip4 outer4(std::uint8_t inner_protocol, std::uint8_t tos = 0) {
    return {.source = "198.18.64.0",
            .destination = "10.0.1.12",
            .protocol = inner_protocol,
            .tos = tos,
            .id = 0};
}
Ip6 outer6(std::uint8_t inner_protocol, std::uint8_t traffic_class = 0) {
    return {.source = "2001:db8:1:ffff::",
            .destination = "fd00:5::12",
            .next = inner_protocol,
            .traffic_class = traffic_class};
}

Expect tunnelled4(const Ip4& outer, const Bytes& inner) {
    Expect expect = send(In::lan, Ethernet{.destination = net::tunnel_mac, .source = net::lan_mac} /
                                      (outer / inner));
    expect.entropy_at = 14 + 12;
    expect.entropy_prefix = 24;
    return expect;
}
Expect tunnelled6(const Ip6& outer, const Bytes& inner) {
    Expect expect = send(
        In::lan, Ethernet{.destination = net::tunnel_mac, .source = net::lan_mac, .type = 0x86dd} /
                     (outer / inner));
    expect.entropy_at = 14 + 8;
    expect.entropy_prefix = 96;
    return expect;
}

Bytes inner4(const std::string& vip, std::size_t data, std::uint8_t tos = 0) {
    return Ip4{.destination = vip, .tos = tos} / (Tcp{.source = 47000} / filled(data));
}
Bytes inner6(const std::string& vip, std::size_t data, std::uint8_t traffic_class = 0) {
    return Ip6{.destination = vip, .traffic_class = traffic_class} /
           (Tcp{.source = 47000} / filled(data));
}

Case v4(const std::string& name, const Bytes& inner, Expect expect, int fault = 0) {
    return {name, In::wan, to_wan() / inner, std::move(expect), fault};
}
Case v6(const std::string& name, const Bytes& inner, Expect expect, int fault = 0) {
    return {name, In::wan, to_wan(0x86dd) / inner, std::move(expect), fault};
}

Cases size_cases() {
    const Bytes full = inner4(net::vip_44, 1500 - 40), tagged = inner4(net::vip_tagged, 1500 - 40);
    const Bytes web = inner4(net::vip_web4, 3), small = inner4(net::vip_tagged, 3);
    return {
        v4("a full packet through a port with room for the header", full,
           tunnelled4(outer4(4), full), 20),
        v4("a full packet and a tag fit: the tag is not part of the MTU", tagged,
           send(In::tagged, Ethernet{.destination = net::tagged_backend_mac,
                                     .source = net::tagged_mac,
                                     .tags = {100}} /
                                tagged)),
        v4("padding up to the MTU stays in dsr-l2", web + filled(1560 - web.size(), 0),
           send(In::lan, Ethernet{.destination = net::web4_mac, .source = net::lan_mac} /
                             (web + filled(1560 - web.size(), 0))),
           2),
        v4("padding beyond the MTU is cut off in dsr-l2", web + filled(1561 - web.size(), 0),
           send(In::lan, Ethernet{.destination = net::web4_mac, .source = net::lan_mac} / web), 2),
        v4("padding beyond the MTU is cut off before a tag", small + filled(1600, 0),
           send(In::tagged, Ethernet{.destination = net::tagged_backend_mac,
                                     .source = net::tagged_mac,
                                     .tags = {100}} /
                                small),
           2),
    };
}

}  // namespace

Cases forward_cases() {
    const Bytes in44 = inner4(net::vip_44, 11), in46 = inner4(net::vip_46, 11),
                in64 = inner6(net::vip_64, 11), in66 = inner6(net::vip_66, 11),
                short44 = inner4(net::vip_44, 0), tagged = inner4(net::vip_tagged, 11),
                web4 = inner4(net::vip_web4, 0), routed = inner4(net::vip_routed, 11),
                marked4 = inner4(net::vip_44, 11, 0xb9), marked46 = inner4(net::vip_46, 11, 0xb9),
                marked64 = inner6(net::vip_64, 11, 0x2b), marked66 = inner6(net::vip_66, 11, 0x2b);
    Cases cases{
        v4("IPv4 in IPv4", in44, tunnelled4(outer4(4), in44)),
        v4("IPv4 in IPv6", in46, tunnelled6(outer6(4), in46)),
        v6("IPv6 in IPv4", in64, tunnelled4(outer4(41), in64)),
        v6("IPv6 in IPv6", in66, tunnelled6(outer6(41), in66)),
        v4("DSCP and ECN are copied, 4in4", marked4, tunnelled4(outer4(4, 0xb9), marked4)),
        v4("DSCP and ECN are copied, 4in6", marked46, tunnelled6(outer6(4, 0xb9), marked46)),
        v6("DSCP and ECN are copied, 6in4", marked64, tunnelled4(outer4(41, 0x2b), marked64)),
        v6("DSCP and ECN are copied, 6in6", marked66, tunnelled6(outer6(41, 0x2b), marked66)),
        v4("Ethernet padding is trimmed before tunnelling", short44 + filled(6, 0),
           tunnelled4(outer4(4), short44), 2),
        v4("Ethernet padding stays in dsr-l2", web4 + filled(6, 0),
           send(In::lan, Ethernet{.destination = net::web4_mac, .source = net::lan_mac} /
                             (web4 + filled(6, 0))),
           2),
        v4("to a tagged port the tag is added", tagged,
           send(In::tagged, Ethernet{.destination = net::tagged_backend_mac,
                                     .source = net::tagged_mac,
                                     .tags = {100}} /
                                tagged),
           9),
        v4("a backend behind the gateway goes to the gateway's MAC", routed,
           send(In::wan, Ethernet{.destination = net::gateway_mac, .source = net::wan_mac} /
                             (Ip4{.source = "198.51.100.5",
                                  .destination = "192.0.2.77",
                                  .protocol = 4,
                                  .id = 0} /
                              routed))),
    };
    for (Case& other : size_cases())
        cases.push_back(std::move(other));
    return cases;
}

}  // namespace weir::test
