// SPDX-License-Identifier: BSD-3-Clause
// ICMP and ICMPv6 errors to a VIP: to the backend of the flow that they are about, in the way of
// its service; what is wrong with them.
#include "tests/packet/case.hh"

namespace weir::test {
namespace {

const std::string vip4 = "203.0.113.90", vip44 = "203.0.113.91", vip46 = "203.0.113.92",
                  vip_range = "203.0.113.93", vip_disabled = "203.0.113.94", own4 = "198.51.100.5",
                  vip6 = "2001:db8:443::90", vip64 = "2001:db8:443::91", vip66 = "2001:db8:443::92";
const std::string client4 = "198.18.0.7", client6 = "2001:db8:7::7";
constexpr std::uint8_t unreachable = 3, too_big4 = 4, time_exceeded4 = 11, too_big6 = 2;

// The backend's answers, of which an error tells. Eight bytes are left of each unless `more`.
Bytes tcp_start(std::uint16_t port = 80) {
    Bytes bytes = Tcp{.source = port, .destination = 40000} / Bytes{};
    bytes.resize(8);
    return bytes;
}
Bytes udp_start() {
    return Udp{.source = 53, .destination = 40000, .length = 1200} / Bytes{};
}
Bytes answer4(const std::string& vip, const Bytes& start = tcp_start(), std::uint8_t protocol = 6) {
    return Ip4{.source = vip, .destination = client4, .protocol = protocol, .total_length = 1500} /
           start;
}
Bytes answer6(const std::string& vip, const Bytes& start = tcp_start(), std::uint8_t next = 6) {
    return Ip6{.source = vip, .destination = client6, .next = next, .payload_length = 1460} / start;
}

// From a router that is neither client nor VIP.
Ip4 router4(const std::string& vip) {
    return {.source = "192.0.2.1", .destination = vip, .protocol = 1, .tos = 0xc0};
}
Ip6 router6(const std::string& vip) {
    return {.source = "2001:db8:ff::1", .destination = vip, .next = 58};
}
Bytes error4(const std::string& vip, const Bytes& embedded, std::uint8_t type = unreachable,
             std::uint8_t code = too_big4, std::uint32_t word = 1400) {
    return router4(vip) / sound_icmp(type, code, word, embedded);
}
Bytes error6(const std::string& vip, const Bytes& embedded, std::uint8_t type = too_big6,
             std::uint8_t code = 0, std::uint32_t word = 1400) {
    return router6(vip) / sound_icmp6(router6(vip), type, code, word, embedded);
}

Case v4(const std::string& name, const Bytes& ip, Expect expect, int fault = 18) {
    return {name, In::wan, to_wan() / ip, std::move(expect), fault};
}
Case v6(const std::string& name, const Bytes& ip, Expect expect, int fault = 18) {
    return {name, In::wan, to_wan(0x86dd) / ip, std::move(expect), fault};
}
Expect direct(const std::string& backend, const Bytes& ip) {
    const std::uint16_t type = ip[0] >> 4 == 4 ? 0x0800 : 0x86dd;
    return send(In::lan,
                Ethernet{.destination = backend, .source = net::lan_mac, .type = type} / ip);
}
Expect tunnelled4(const Bytes& inner, std::uint8_t protocol) {
    const Ip4 outer{.source = "198.18.64.0",
                    .destination = "10.0.1.12",
                    .protocol = protocol,
                    .tos = inner[0] == 0x45 ? inner[1] : std::uint8_t{0},
                    .id = 0};
    Expect expect = send(In::lan, Ethernet{.destination = net::tunnel_mac, .source = net::lan_mac} /
                                      (outer / inner));
    expect.entropy_at = 14 + 12;
    expect.entropy_prefix = 24;
    return expect;
}
Expect tunnelled6(const Bytes& inner, std::uint8_t next) {
    const Ip6 outer{.source = "2001:db8:1:ffff::",
                    .destination = "fd00:5::12",
                    .next = next,
                    .traffic_class = inner[0] == 0x45 ? inner[1] : std::uint8_t{0}};
    Expect expect = send(
        In::lan, Ethernet{.destination = net::tunnel_mac, .source = net::lan_mac, .type = 0x86dd} /
                     (outer / inner));
    expect.entropy_at = 14 + 8;
    expect.entropy_prefix = 96;
    return expect;
}

Cases delivered_cases() {
    const Bytes tcp4 = error4(vip4, answer4(vip4)),
                udp4 = error4(vip4, answer4(vip4, udp_start(), 17)),
                in44 = error4(vip44, answer4(vip44)), in46 = error4(vip46, answer4(vip46)),
                range = error4(vip_range, answer4(vip_range, tcp_start(8042))),
                old = error4(vip4, answer4(vip4), unreachable, too_big4, 0),
                least = error4(vip4, answer4(vip4), unreachable, too_big4, 68),
                refused = error4(vip4, answer4(vip4, udp_start(), 17), unreachable, 3, 0),
                expired = error4(vip4, answer4(vip4), time_exceeded4, 0, 0),
                odd = error4(vip4, answer4(vip4, tcp_start() + filled(3)));
    const Bytes from_client = Ip4{.destination = vip4, .protocol = 1} /
                              sound_icmp(unreachable, 3, 0, answer4(vip4, udp_start(), 17));
    const Bytes options =
        Ip4{.source = vip4, .destination = client4, .options = Bytes{1, 1, 1, 1}} / tcp_start();
    const Bytes with_options = error4(vip4, options);
    const Bytes first_fragment =
        Ip4{.source = vip4, .destination = client4, .protocol = 17, .fragment = 0x2000} /
        udp_start();
    const Bytes reassembly = error4(vip4, first_fragment, time_exceeded4, 1, 0);
    return {
        v4("fragmentation needed from a router, TCP", tcp4, direct(net::web4_mac, tcp4)),
        v4("fragmentation needed from a router, UDP", udp4, direct(net::tunnel_mac, udp4)),
        v4("fragmentation needed, 4in4: the message goes into the tunnel", in44,
           tunnelled4(in44, 4)),
        v4("fragmentation needed, 4in6", in46, tunnelled6(in46, 4)),
        v4("fragmentation needed about a service with a range of ports", range,
           direct(net::web4_mac, range)),
        v4("fragmentation needed without an MTU, of an old router", old, direct(net::web4_mac, old),
           19),
        v4("fragmentation needed with an MTU of 68", least, direct(net::web4_mac, least), 19),
        v4("port unreachable from a router", refused, direct(net::tunnel_mac, refused)),
        v4("port unreachable from the client itself", from_client,
           direct(net::tunnel_mac, from_client)),
        v4("time exceeded on the way to the client", expired, direct(net::web4_mac, expired)),
        v4("an error that quotes an odd number of bytes", odd, direct(net::web4_mac, odd)),
        v4("an error about a packet with IPv4 options", with_options,
           direct(net::web4_mac, with_options)),
        v4("an error about a first fragment", reassembly, direct(net::tunnel_mac, reassembly)),
    };
}

Cases delivered6_cases() {
    const Bytes chain = extension(60, 1) + extension(6, 2, 4) + tcp_start();
    const Bytes atomic = fragment_header(6, 0, true) + tcp_start();
    const Bytes tcp6 = error6(vip6, answer6(vip6)),
                udp6 = error6(vip6, answer6(vip6, udp_start(), 17)),
                in64 = error6(vip64, answer6(vip64)), in66 = error6(vip66, answer6(vip66)),
                chained = error6(vip6, answer6(vip6, chain, 0)),
                fragment = error6(vip6, answer6(vip6, atomic, 44)),
                least = error6(vip6, answer6(vip6), too_big6, 0, 1280),
                no_route = error6(vip6, answer6(vip6), 1, 0, 0),
                expired = error6(vip6, answer6(vip6), 3, 0, 0),
                parameter = error6(vip6, answer6(vip6), 4, 1, 6);
    Ip6 behind_options = router6(vip6);
    behind_options.next = 60;
    const Bytes outer_chain =
        behind_options /
        (extension(58, 1) + sound_icmp6(router6(vip6), too_big6, 0, 1400, answer6(vip6)));
    return {
        v6("packet too big from a router, TCP", tcp6, direct(net::web4_mac, tcp6)),
        v6("packet too big from a router, UDP", udp6, direct(net::tunnel_mac, udp6)),
        v6("packet too big, 6in4: the message goes into the tunnel", in64, tunnelled4(in64, 41)),
        v6("packet too big, 6in6", in66, tunnelled6(in66, 41)),
        v6("packet too big about a packet with extension headers", chained,
           direct(net::web4_mac, chained)),
        v6("packet too big about a first fragment", fragment, direct(net::web4_mac, fragment)),
        v6("packet too big with an MTU of 1280", least, direct(net::web4_mac, least), 19),
        v6("an ICMPv6 error behind extension headers", outer_chain,
           direct(net::web4_mac, outer_chain)),
        v6("unreachable, ICMPv6", no_route, direct(net::web4_mac, no_route)),
        v6("time exceeded, ICMPv6", expired, direct(net::web4_mac, expired)),
        v6("parameter problem, ICMPv6", parameter, direct(net::web4_mac, parameter)),
    };
}

Cases refused_cases() {
    const Expect bad = drop(DropReason::icmp_bad);
    const Bytes nested4 = answer4(vip4, sound_icmp(unreachable, 1, 0, {}), 1);
    const Bytes nested6 = answer6(vip6, sound_icmp6(router6(client6), 1, 0, 0, {}), 58);
    const Bytes later4 =
        Ip4{.source = vip4, .destination = client4, .protocol = 17, .fragment = 64} / udp_start();
    const Bytes later6 = answer6(vip6, fragment_header(17, 64, false) + udp_start(), 44);
    Bytes wrong_sum4 = error4(vip4, answer4(vip4)), wrong_sum6 = error6(vip6, answer6(vip6));
    wrong_sum4[22] ^= 1;
    wrong_sum6[42] ^= 1;
    Ip4 last_hop = router4(vip4);
    last_hop.ttl = 1;
    return {
        v4("an error about a packet that the VIP did not send", error4(vip4, answer4(vip44)), bad,
           19),
        v6("an ICMPv6 error about a packet that the VIP did not send", error6(vip6, answer6(vip66)),
           bad, 19),
        v4("an error about an error", error4(vip4, nested4), bad),
        v6("an ICMPv6 error about an error", error6(vip6, nested6), bad),
        v4("an error about a later fragment names no flow", error4(vip4, later4), bad),
        v6("an ICMPv6 error about a later fragment names no flow", error6(vip6, later6), bad),
        v4("an error with a wrong checksum", wrong_sum4, bad, 19),
        v6("an ICMPv6 error with a wrong checksum", wrong_sum6, bad, 19),
        v4("an error whose inside is IPv6", error4(vip4, answer6(vip6)), bad),
        v4("an MTU of 67", error4(vip4, answer4(vip4), unreachable, too_big4, 67), bad, 19),
        v6("an MTU of 1279", error6(vip6, answer6(vip6), too_big6, 0, 1279), bad, 19),
        v4("an error about a port that no service has", error4(vip4, answer4(vip4, tcp_start(81))),
           drop(DropReason::unknown_port), 19),
        v6("an ICMPv6 error about a port that no service has",
           error6(vip6, answer6(vip6, tcp_start(81))), drop(DropReason::unknown_port), 19),
        v4("an error about a protocol that no service has",
           error4(vip4, answer4(vip4, filled(8), 47)), drop(DropReason::unknown_port), 19),
        v4("an error for a service without backends", error4(vip_disabled, answer4(vip_disabled)),
           drop(DropReason::no_backend)),
        v4("an error with TTL 1 is not answered", last_hop / sound_icmp(3, 4, 1400, answer4(vip4)),
           drop(DropReason::ttl_expired), 13),
        {"an error in a broadcast frame", In::wan,
         Ethernet{.destination = net::broadcast, .source = net::client_mac} /
             error4(vip4, answer4(vip4)),
         drop(DropReason::not_our_mac)},
        v4("an error about the kernel's answer to a ping goes to the kernel",
           error4(vip4, answer4(vip4, sound_icmp(0, 0, 1, {}), 1)), punt(PuntClass::vip_icmp)),
        v6("an ICMPv6 error about the kernel's answer to a ping goes to the kernel",
           error6(vip6, answer6(vip6, sound_icmp6(router6(client6), 129, 0, 1, {}), 58)),
           punt(PuntClass::vip_icmp)),
        v4("an error to our own address goes to the kernel",
           error4(own4, answer4(own4, tcp_start(22))), punt(PuntClass::other)),
        v4("a broken error to our own address goes to the kernel", error4(own4, answer4(vip4)),
           punt(PuntClass::other)),
    };
}

// Cut at every length: the message's own checksum is right each time.
Cases cut_cases() {
    Cases cases;
    const Bytes whole4 = answer4(vip4), whole6 = answer6(vip6);
    for (std::size_t size = 0; size < whole4.size(); ++size)
        cases.push_back(v4(
            "an error that quotes " + std::to_string(size) + " bytes",
            error4(vip4, Bytes(whole4.begin(), whole4.begin() + static_cast<std::ptrdiff_t>(size))),
            drop(DropReason::icmp_bad)));
    for (std::size_t size = 0; size < whole6.size(); ++size)
        cases.push_back(v6(
            "an ICMPv6 error that quotes " + std::to_string(size) + " bytes",
            error6(vip6, Bytes(whole6.begin(), whole6.begin() + static_cast<std::ptrdiff_t>(size))),
            drop(DropReason::icmp_bad)));
    return cases;
}

}  // namespace

Cases icmp_cases() {
    Cases all;
    for (const auto& part : {delivered_cases(), delivered6_cases(), refused_cases(), cut_cases()})
        all.insert(all.end(), part.begin(), part.end());
    return all;
}

}  // namespace weir::test
