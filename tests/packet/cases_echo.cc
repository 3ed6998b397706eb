// SPDX-License-Identifier: BSD-3-Clause
// Services of echo requests (RFC 792, RFC 4443 section 4): pings go to a backend by addresses and
// identifier; all other ICMP to the VIP stays the kernel's.
#include "tests/packet/case.hh"

namespace weir::test {
namespace {

const std::string vip = "203.0.113.145", vip6 = "2001:db8:443::145", vip_ipip = "203.0.113.146",
                  vip_l3dsr = "203.0.113.147", vip6_l3dsr = "2001:db8:443::147",
                  client6 = Ip6{}.source;
constexpr std::uint8_t icmp4 = 1, icmp6 = 58, request4 = 8, request6 = 128, fragment_next = 44;
constexpr std::uint32_t word = 0x4d2'0001;  // identifier and sequence number

Ip4 to4(const std::string& to = vip) {
    return {.destination = to, .protocol = icmp4};
}
Ip6 to6(const std::string& to = vip6) {
    return {.destination = to, .next = icmp6};
}
Bytes ping4(const std::string& to = vip) {
    return to4(to) / sound_icmp(request4, 0, word, filled(20, 7));
}
Bytes ping6(const std::string& to = vip6) {
    return to6(to) / sound_icmp6(to6(to), request6, 0, word, filled(20, 7));
}

std::uint16_t type_of(const Bytes& ip) {
    return ip[0] >> 4 == 4 ? 0x0800 : 0x86dd;
}
Expect link(const Bytes& ip, const std::string& backend = net::web4_mac) {
    return send(In::lan,
                Ethernet{.destination = backend, .source = net::lan_mac, .type = type_of(ip)} / ip);
}
Case from_client(const std::string& name, const Bytes& ip, Expect expect, int fault = 0) {
    return {name, In::wan, to_wan(type_of(ip)) / ip, std::move(expect), fault};
}
Case passes(const std::string& name, const Bytes& ip) {
    return from_client(name, ip, link(ip));
}

Cases requests() {
    Expect outer =
        send(In::lan,
             Ethernet{.destination = net::tunnel_mac, .source = net::lan_mac} /
                 (Ip4{.source = "198.18.64.0", .destination = "10.0.1.12", .protocol = 4, .id = 0} /
                  ping4(vip_ipip)));
    outer.entropy_at = 14 + 12;
    outer.entropy_prefix = 24;
    const Ip4 marked{.destination = "10.0.1.11", .protocol = icmp4, .tos = 21 << 2};
    Ip6 marked6 = to6("fd00:5::11");
    marked6.traffic_class = 22 << 2;
    Ip6 behind_options = to6();
    behind_options.next = 60;
    return {
        passes("a ping to an echo service goes to a backend", ping4()),
        passes("a ping over IPv6 to an echo service goes to a backend", ping6()),
        passes("a ping behind extension headers",
               behind_options / (extension(icmp6) + sound_icmp6(to6(), request6, 0, word, {}))),
        passes("a ping with nothing behind its header",
               to4() / sound_icmp(request4, 0, word, Bytes{})),
        passes("a ping with a wrong checksum is the backend's to judge",
               to4() / icmp(request4, 0, filled(30))),
        from_client("a ping in a tunnel", ping4(vip_ipip), outer),
        from_client("a ping by l3dsr: ICMP's checksum covers no address", ping4(vip_l3dsr),
                    link(marked / sound_icmp(request4, 0, word, filled(20, 7)))),
        from_client("a ping by l3dsr over IPv6: the checksum follows the address",
                    ping6(vip6_l3dsr),
                    link(marked6 / sound_icmp6(marked6, request6, 0, word, filled(20, 7)))),
        from_client("a ping to a VIP of TCP alone goes to the kernel", ping4(net::vip_web4),
                    punt(PuntClass::vip_icmp), 15),
        from_client("a ping to a VIP of any protocol and port goes to the kernel",
                    ping4(net::vip_any), punt(PuntClass::vip_icmp), 15),
        from_client("TCP to a VIP of echo requests alone",
                    Ip4{.destination = vip_ipip} / (Tcp{} / Bytes{}),
                    drop(DropReason::unknown_port)),
    };
}

Cases others() {
    Ip4 last_hop = to4();
    last_hop.ttl = 1;
    const Bytes expired = last_hop / sound_icmp(request4, 0, word, filled(20, 7));
    return {
        from_client("an echo reply to an echo service's VIP goes to the kernel",
                    to4() / sound_icmp(0, 0, word, filled(20)), punt(PuntClass::vip_icmp)),
        from_client("a timestamp request to an echo service's VIP goes to the kernel",
                    to4() / sound_icmp(13, 0, word, filled(12)), punt(PuntClass::vip_icmp)),
        from_client("an echo request of the other family's ICMP goes to the kernel",
                    Ip6{.destination = vip6, .next = icmp4} / sound_icmp(request4, 0, word, {}),
                    punt(PuntClass::vip_icmp)),
        from_client("an echo request without its identifier goes to the kernel",
                    to4() / Bytes{request4, 0, 0, 0, 4}, punt(PuntClass::vip_icmp)),
        from_client("a ping to an echo service from loopback",
                    Ip4{.source = "127.0.0.1", .destination = vip, .protocol = icmp4} /
                        icmp(8, 0, filled(36)),
                    drop(DropReason::martian), 15),
        {"a ping to an echo service in a broadcast frame", In::wan,
         Ethernet{.destination = net::broadcast, .source = net::client_mac} / ping4(),
         drop(DropReason::not_our_mac)},
        from_client("a ping to an echo service with TTL 1", expired,
                    answer(In::wan, DropReason::ttl_expired,
                           Ethernet{.destination = net::client_mac, .source = net::wan_mac} /
                               told_by4(vip, 11, 0, 0, expired)),
                    13),
    };
}

Cases fragments() {
    const Bytes whole = sound_icmp(request4, 0, word, filled(56, 7)),
                whole6 = sound_icmp6(to6(), request6, 0, word, filled(56, 7)),
                stamp = sound_icmp(13, 0, word, filled(56, 7));
    const auto piece = [](std::uint16_t id, std::size_t offset, bool last, const Bytes& payload) {
        Ip4 ip = to4();
        ip.id = id;
        ip.fragment = static_cast<std::uint16_t>((last ? 0U : 0x2000U) | offset / 8);
        return ip / payload;
    };
    const auto piece6 = [](std::uint32_t id, std::size_t offset, bool last, const Bytes& payload) {
        return Ip6{.destination = vip6, .next = fragment_next} /
               (fragment_header(icmp6, static_cast<std::uint16_t>(offset / 8), !last, id) +
                payload);
    };
    Case late = passes("a ping in fragments over IPv6, the first one late: the last",
                       piece6(601, 32, true, cut(whole6, 32, 64)));
    late.waits = true;
    return {
        passes("a ping in fragments: the first", piece(600, 0, false, cut(whole, 0, 32))),
        passes("a ping in fragments: the last", piece(600, 32, true, cut(whole, 32, 64))),
        late,
        passes("a ping in fragments over IPv6, the first one late: the first",
               piece6(601, 0, false, cut(whole6, 0, 32))),
        from_client("another ICMP message in fragments to an echo service's VIP",
                    piece(602, 0, false, cut(stamp, 0, 32)), drop(DropReason::frag_bad)),
    };
}

Cases errors() {
    const auto about = [](std::uint8_t type, const std::string& from) {
        return Ip4{.source = from, .destination = Ip4{}.source, .protocol = icmp4} /
               sound_icmp(type, 0, word, Bytes{});
    };
    Ip4 router = to4();
    router.source = "192.0.2.1";
    Ip6 router6 = to6();
    router6.source = "2001:db8:ff::1";
    const Bytes told = router / sound_icmp(3, 1, 0, about(0, vip));
    const Bytes inside = Ip6{.source = vip6, .destination = client6, .next = icmp6} /
                         sound_icmp6(router6, 129, 0, word, {});
    const Bytes told6 = router6 / sound_icmp6(router6, 2, 0, 1400, inside);
    Ip4 to_web = router;
    to_web.destination = net::vip_web4;
    return {
        passes("an error about a backend's echo reply goes to that backend", told),
        passes("packet too big about a backend's echo reply goes to that backend", told6),
        from_client("an error about an echo request of the VIP goes to the kernel",
                    router / sound_icmp(3, 1, 0, about(request4, vip)), punt(PuntClass::vip_icmp)),
        from_client("an error about the kernel's echo reply goes to the kernel",
                    to_web / sound_icmp(3, 1, 0, about(0, net::vip_web4)),
                    punt(PuntClass::vip_icmp)),
    };
}

}  // namespace

Cases echo_cases() {
    Cases cases;
    for (const auto part : {requests, others, fragments, errors})
        for (Case& one : part())
            cases.push_back(std::move(one));
    return cases;
}

}  // namespace weir::test
