// SPDX-License-Identifier: BSD-3-Clause
// Services of any protocol and port: what has no ports goes by addresses and protocol number.
#include "tests/packet/case.hh"

namespace weir::test {
namespace {

const std::string vip = "203.0.113.150", vip6 = "2001:db8:443::150", vip_ipip = "203.0.113.151",
                  vip_l3dsr = "203.0.113.152", vip_nat = "203.0.113.112";
constexpr std::uint8_t esp = 50, gre_number = 47, ospf = 89, auth = 51, icmp4 = 1,
                       fragment_next = 44, destination_options = 60;

Bytes ip4(std::uint8_t protocol, const Bytes& payload, const std::string& to = vip) {
    return Ip4{.destination = to, .protocol = protocol} / payload;
}
Bytes ip6(std::uint8_t next, const Bytes& payload) {
    return Ip6{.destination = vip6, .next = next} / payload;
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
Case passes(const std::string& name, const Bytes& ip, const std::string& backend = net::web4_mac) {
    return from_client(name, ip, link(ip, backend));
}

Cases packets() {
    const Bytes inner = ip4(esp, filled(40), vip_ipip);
    Expect outer =
        send(In::lan,
             Ethernet{.destination = net::tunnel_mac, .source = net::lan_mac} /
                 (Ip4{.source = "198.18.64.0", .destination = "10.0.1.12", .protocol = 4, .id = 0} /
                  inner));
    outer.entropy_at = 14 + 12;
    outer.entropy_prefix = 24;
    const Bytes tcp = Ip4{.destination = vip_l3dsr} /
                      summed(Ip4{}.source, vip_l3dsr, 6, Tcp{.source = 47000} / filled(8));
    const Bytes tcp_out = Ip4{.destination = "10.0.1.11", .tos = 23 << 2} /
                          summed(Ip4{}.source, "10.0.1.11", 6, Tcp{.source = 47000} / filled(8));
    return {
        passes("all protocols: ESP", ip4(esp, filled(40))),
        passes("all protocols: AH of IPv4", ip4(auth, filled(24))),
        passes("all protocols: GRE", ip4(gre_number, gre(0x0800) + filled(20))),
        passes("all protocols: one that nobody knows", ip4(253, filled(3))),
        passes("all protocols: one without a byte of payload", ip4(ospf, Bytes{})),
        passes("all protocols: ESP over IPv6", ip6(esp, filled(40))),
        passes("all protocols: ESP behind extension headers",
               ip6(destination_options, extension(esp) + filled(40))),
        passes("all protocols: no next header", ip6(59, Bytes{})),
        passes("all protocols: TCP", Ip4{.destination = vip} / (Tcp{.destination = 22} / Bytes{})),
        passes("all protocols: a TCP service of one port wins",
               Ip4{.destination = vip} / (Tcp{.destination = 80} / Bytes{}), net::tunnel_mac),
        from_client("all protocols: in a tunnel", inner, outer),
        from_client("all protocols: a ping goes to the kernel",
                    ip4(icmp4, sound_icmp(8, 0, 1, filled(8))), punt(PuntClass::vip_icmp), 15),
        passes("all protocols: a ping where an echo service stands, too",
               ip4(icmp4, sound_icmp(8, 0, 1, filled(8)), vip_ipip), net::web4_mac),
        from_client("all protocols: l3dsr takes TCP", tcp, link(tcp_out)),
        from_client("all protocols: l3dsr takes none whose checksum it cannot mend",
                    ip4(esp, filled(40), vip_l3dsr), drop(DropReason::unknown_port)),
        from_client("all protocols: nat translates none without ports",
                    ip4(esp, filled(40), vip_nat), drop(DropReason::unknown_port)),
        from_client("all protocols: a source that is no client's",
                    Ip4{.source = "127.0.0.1", .destination = vip, .protocol = ospf} / filled(44),
                    drop(DropReason::martian), 15),
        from_client("any protocol of one port takes none without ports",
                    ip4(esp, filled(40), net::vip_44), drop(DropReason::unknown_port)),
    };
}

Cases fragments() {
    const Bytes whole = filled(64, 9), options = extension(esp) + filled(56, 9);
    const auto piece = [](std::uint16_t id, std::size_t offset, bool last, const Bytes& payload) {
        const auto field = static_cast<std::uint16_t>((last ? 0U : 0x2000U) | offset / 8);
        return Ip4{.destination = vip, .protocol = esp, .id = id, .fragment = field} / payload;
    };
    const auto piece6 = [](std::uint32_t id, std::size_t offset, bool last, std::uint8_t next,
                           const Bytes& payload) {
        return Ip6{.destination = vip6, .next = fragment_next} /
               (fragment_header(next, static_cast<std::uint16_t>(offset / 8), !last, id) + payload);
    };
    Case late = passes("ESP in fragments over IPv6, the first one late: the last",
                       piece6(701, 32, true, destination_options, cut(options, 32, 64)));
    late.waits = true;
    return {
        passes("ESP in fragments: the first", piece(700, 0, false, cut(whole, 0, 32))),
        passes("ESP in fragments: the last", piece(700, 32, true, cut(whole, 32, 64))),
        late,
        passes("ESP in fragments over IPv6, the first one late: the first",
               piece6(701, 0, false, destination_options, cut(options, 0, 32))),
    };
}

Cases errors() {
    const Ip4 router{.source = "192.0.2.1", .destination = vip, .protocol = icmp4};
    const Bytes inside =
        Ip4{.source = vip, .destination = Ip4{}.source, .protocol = esp} / filled(8);
    const Bytes told = router / sound_icmp(3, 4, 1400, inside);
    const Ip6 router6{.source = "2001:db8:ff::1", .destination = vip6, .next = 58};
    const Bytes inside6 = Ip6{.source = vip6, .destination = Ip6{}.source, .next = esp} / filled(8);
    const Bytes told6 = router6 / sound_icmp6(router6, 2, 0, 1400, inside6);
    return {
        passes("fragmentation needed about ESP goes to the flow's backend", told),
        passes("packet too big about ESP goes to the flow's backend", told6),
    };
}

}  // namespace

Cases all_protocol_cases() {
    Cases cases;
    for (const auto part : {packets, fragments, errors})
        for (Case& one : part())
            cases.push_back(std::move(one));
    return cases;
}

}  // namespace weir::test
