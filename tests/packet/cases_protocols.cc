// SPDX-License-Identifier: BSD-3-Clause
// SCTP (RFC 9260): a service's packets are known by the ports of the common header, and leave as
// they came; the services that they meet, their fragments and the ICMP errors about them.
#include "tests/packet/case.hh"

namespace weir::test {
namespace {

const std::string vip = "203.0.113.140", vip6 = "2001:db8:443::140", vip_ipip = "203.0.113.141",
                  vip_l3dsr = "203.0.113.142", vip_any = "203.0.113.143", vip_nat = "203.0.113.112";
constexpr std::uint8_t sctp = 132;

// The common header, with a checksum that is nobody's before the receiver, and an INIT.
Bytes packet(std::uint16_t port, std::size_t chunk = 20) {
    const Bytes tag = filled(4, 0x11), checksum = filled(4, 0x22);
    const auto high = [](std::uint16_t value) { return static_cast<std::uint8_t>(value >> 8); };
    const auto low = [](std::uint16_t value) { return static_cast<std::uint8_t>(value); };
    constexpr std::uint16_t source = 36412;
    return Bytes{high(source), low(source), high(port), low(port)} + tag + checksum +
           filled(chunk, 1);
}
Bytes ip4(const Bytes& payload, const std::string& to = vip) {
    return Ip4{.destination = to, .protocol = sctp} / payload;
}
Bytes ip6(const Bytes& payload) {
    return Ip6{.destination = vip6, .next = sctp} / payload;
}

Expect link(const Bytes& ip, const std::string& backend = net::web4_mac) {
    const std::uint16_t type = ip[0] >> 4 == 4 ? 0x0800 : 0x86dd;
    return send(In::lan,
                Ethernet{.destination = backend, .source = net::lan_mac, .type = type} / ip);
}
Case from_client(const std::string& name, const Bytes& ip, Expect expect, int fault = 0) {
    const std::uint16_t type = ip[0] >> 4 == 4 ? 0x0800 : 0x86dd;
    return {name, In::wan, to_wan(type) / ip, std::move(expect), fault};
}
Case passes(const std::string& name, const Bytes& ip, const std::string& backend = net::web4_mac) {
    return from_client(name, ip, link(ip, backend));
}

Cases services() {
    const Bytes inner = ip4(packet(5000), vip_ipip);
    Expect outer =
        send(In::lan,
             Ethernet{.destination = net::tunnel_mac, .source = net::lan_mac} /
                 (Ip4{.source = "198.18.64.0", .destination = "10.0.1.12", .protocol = 4, .id = 0} /
                  inner));
    outer.entropy_at = 14 + 12;
    outer.entropy_prefix = 24;
    return {
        passes("SCTP to its service", ip4(packet(5000))),
        passes("SCTP over IPv6", ip6(packet(5000))),
        passes("SCTP to a range", ip4(packet(6009)), net::tunnel_mac),
        passes("SCTP without a chunk", ip4(packet(5000, 0))),
        from_client("SCTP in a tunnel", inner, outer),
        from_client(
            "SCTP by l3dsr: address and DSCP change, the checksum covers neither",
            ip4(packet(5000), vip_l3dsr),
            link(Ip4{.destination = "10.0.1.11", .protocol = sctp, .tos = 20 << 2} / packet(5000))),
        from_client("SCTP to a port without a service", ip4(packet(5001)),
                    drop(DropReason::unknown_port)),
        from_client("TCP to an SCTP service's port",
                    Ip4{.destination = vip} / (Tcp{.destination = 5000} / Bytes{}),
                    drop(DropReason::unknown_port)),
        from_client("SCTP to a TCP service's port", ip4(packet(80), net::vip_web4),
                    drop(DropReason::unknown_port)),
        passes("any protocol, SCTP", ip4(packet(7000), vip_any)),
        passes("SCTP by name wins over any", ip4(packet(7001), vip_any), net::tunnel_mac),
        passes("any protocol and port, SCTP", ip4(packet(1), net::vip_any)),
        from_client("nat translates no SCTP", ip4(packet(80), vip_nat),
                    drop(DropReason::unknown_port)),
        from_client("SCTP to our own address goes to the kernel", ip4(packet(5000), "198.51.100.5"),
                    punt(PuntClass::other)),
    };
}

Cases broken() {
    return {
        from_client("an SCTP common header cut short", ip4(cut(packet(5000), 0, 11)),
                    drop(DropReason::l4_bad_length), 6),
        from_client("an SCTP common header cut short by the IP length",
                    Ip4{.destination = vip, .protocol = sctp, .total_length = 31} / packet(5000),
                    drop(DropReason::l4_bad_length), 6),
        from_client("SCTP over IPv6 cut short", ip6(cut(packet(5000), 0, 4)),
                    drop(DropReason::l4_bad_length), 6),
        from_client("SCTP from loopback",
                    Ip4{.source = "127.0.0.1", .destination = vip, .protocol = sctp} / packet(5000),
                    drop(DropReason::martian), 15),
    };
}

Cases fragments() {
    const Bytes whole = packet(6001, 52);
    const auto piece = [](std::uint16_t id, std::size_t offset, bool last, const Bytes& payload) {
        const auto field = static_cast<std::uint16_t>((last ? 0U : 0x2000U) | offset / 8);
        return Ip4{.destination = vip, .protocol = sctp, .id = id, .fragment = field} / payload;
    };
    Case late = passes("SCTP in fragments, the first one late: the last",
                       piece(501, 32, true, cut(whole, 32, 64)), net::tunnel_mac);
    late.waits = true;
    return {
        passes("SCTP in fragments: the first", piece(500, 0, false, cut(whole, 0, 32)),
               net::tunnel_mac),
        passes("SCTP in fragments: the last", piece(500, 32, true, cut(whole, 32, 64)),
               net::tunnel_mac),
        late,
        passes("SCTP in fragments, the first one late: the first",
               piece(501, 0, false, cut(whole, 0, 32)), net::tunnel_mac),
        from_client("a first fragment of SCTP that ends in the common header",
                    piece(502, 0, false, cut(whole, 0, 8)), drop(DropReason::frag_bad), 17),
    };
}

Cases errors() {
    // What a backend sent: ports the other way round.
    const Bytes answer{0x13, 0x88, 0x8e, 0x3c, 0, 0, 0, 1};
    const auto about = [&](const Bytes& start) {
        return Ip4{.source = vip, .destination = Ip4{}.source, .protocol = sctp} / start;
    };
    const Ip4 router{.source = "192.0.2.1", .destination = vip, .protocol = 1};
    const Bytes told = router / sound_icmp(3, 4, 1400, about(answer));
    const Bytes nobody =
        router / sound_icmp(3, 4, 1400, about({0x13, 0x89, 0x8e, 0x3c, 0, 0, 0, 1}));
    const Bytes inside = Ip6{.source = vip6, .destination = Ip6{}.source, .next = sctp} / answer;
    const Ip6 router6{.source = "2001:db8:ff::1", .destination = vip6, .next = 58};
    const Bytes told6 = router6 / sound_icmp6(router6, 2, 0, 1400, inside);
    return {
        passes("fragmentation needed about SCTP goes to the flow's backend", told),
        passes("packet too big about SCTP goes to the flow's backend", told6),
        from_client("fragmentation needed about an SCTP port without a service", nobody,
                    drop(DropReason::unknown_port), 18),
    };
}

}  // namespace

Cases protocol_cases() {
    Cases cases;
    for (const auto part : {services, broken, fragments, errors})
        for (Case& one : part())
            cases.push_back(std::move(one));
    return cases;
}

}  // namespace weir::test
