// SPDX-License-Identifier: BSD-3-Clause
// Fragments (RFC 791, RFC 8200 4.5): all of a datagram go the way of its first one. Each datagram
// has an identification of its own, but for those that say otherwise; the order of cases matters.
#include "tests/packet/case.hh"

namespace weir::test {
namespace {

constexpr std::uint16_t more = 0x2000;
constexpr std::uint8_t udp = 17, tcp = 6, icmp4 = 1, fragment_next = 44, destination_options = 60;

// A UDP datagram of `size` bytes with its header, of which pieces are taken.
Bytes datagram(std::size_t size) {
    return Udp{.source = 45000, .length = static_cast<std::uint16_t>(size)} / filled(size - 8, 7);
}

Bytes piece4(std::uint16_t id, std::size_t offset, bool last, const Bytes& payload,
             const std::string& vip = net::vip_dns4, std::uint8_t protocol = udp) {
    return Ip4{.destination = vip,
               .protocol = protocol,
               .id = id,
               .fragment = static_cast<std::uint16_t>((last ? 0 : more) | offset / 8)} /
           payload;
}
Bytes piece6(std::uint32_t id, std::size_t offset, bool last, const Bytes& payload,
             const std::string& vip = net::vip_dns6, std::uint8_t next = udp) {
    return Ip6{.destination = vip, .next = fragment_next} /
           (fragment_header(next, static_cast<std::uint16_t>(offset / 8), !last, id) + payload);
}

Case of4(const std::string& name, const Bytes& ip, Expect expect, int fault) {
    return {name, In::wan, to_wan() / ip, std::move(expect), fault};
}
Case of6(const std::string& name, const Bytes& ip, Expect expect, int fault) {
    return {name, In::wan, to_wan(0x86dd) / ip, std::move(expect), fault};
}
Case waiting(Case one) {
    one.waits = true;
    return one;
}
Expect link4(const Bytes& ip) {
    return send(In::lan, Ethernet{.destination = net::web4_mac, .source = net::lan_mac} / ip);
}
Expect link6(const Bytes& ip) {
    return send(
        In::lan,
        Ethernet{.destination = net::web4_mac, .source = net::lan_mac, .type = 0x86dd} / ip);
}
Case passes4(const std::string& name, const Bytes& ip, int fault = 16) {
    return of4(name, ip, link4(ip), fault);
}
Case passes6(const std::string& name, const Bytes& ip, int fault = 16) {
    return of6(name, ip, link6(ip), fault);
}
Case broken4(const std::string& name, const Bytes& ip, DropReason reason = DropReason::frag_bad,
             int fault = 17) {
    return of4(name, ip, drop(reason), fault);
}

Cases in_order() {
    const Bytes whole = datagram(40), odd = datagram(43);
    return {
        passes4("fragments, in order: the first", piece4(1, 0, false, cut(whole, 0, 16))),
        passes4("fragments, in order: the middle one", piece4(1, 16, false, cut(whole, 16, 32))),
        passes4("fragments, in order: the last", piece4(1, 32, true, cut(whole, 32, 40))),
        passes4("fragments: the same identification again, once the datagram was complete",
                piece4(1, 0, false, cut(odd, 0, 40))),
        passes4("fragments: the last one may have any length",
                piece4(1, 40, true, cut(odd, 40, 43))),
        passes6("fragments over IPv6, in order: the first", piece6(1, 0, false, cut(whole, 0, 16))),
        passes6("fragments over IPv6, in order: the last", piece6(1, 16, true, cut(whole, 16, 40))),
        passes6("fragments over IPv6: identifications have 32 bits",
                piece6(0x10001, 0, false, cut(whole, 0, 24))),
        waiting(broken4("fragments: without the first one for a second",
                        piece4(2, 16, true, cut(whole, 16, 40)), DropReason::fragment, 16)),
        waiting(of6("fragments over IPv6: without the first one for a second",
                    piece6(2, 16, true, cut(whole, 16, 40)), drop(DropReason::fragment), 16)),
    };
}

Cases out_of_order() {
    const Bytes whole = datagram(48);
    const Bytes options = extension(udp) + whole;
    return {
        waiting(passes4("fragments, the first one late: the last",
                        piece4(3, 40, true, cut(whole, 40, 48)))),
        waiting(passes4("fragments, the first one late: the middle one",
                        piece4(3, 8, false, cut(whole, 8, 40)))),
        passes4("fragments, the first one late: the first", piece4(3, 0, false, cut(whole, 0, 8))),
        waiting(passes6("fragments over IPv6, the first one late: the last",
                        piece6(3, 8, true, cut(whole, 8, 48)))),
        passes6("fragments over IPv6, the first one late: the first",
                piece6(3, 0, false, cut(whole, 0, 8))),
        waiting(
            passes6("fragments over IPv6, with options in the first one: the last",
                    piece6(4, 16, true, cut(options, 16, 56), net::vip_dns6, destination_options))),
        passes6("fragments over IPv6, with options in the first one: the first",
                piece6(4, 0, false, cut(options, 0, 16), net::vip_dns6, destination_options)),
    };
}

Cases broken() {
    const Bytes whole = datagram(64), segment = Tcp{.source = 45001} / filled(12);
    return {
        passes4("fragments that overlap: the first", piece4(5, 0, false, cut(whole, 0, 32))),
        broken4("fragments that overlap: the second", piece4(5, 24, true, cut(whole, 24, 64))),
        broken4("fragments that overlap: no more of that datagram pass",
                piece4(5, 32, true, cut(whole, 32, 64))),
        passes4("a fragment that comes twice: the first time",
                piece4(6, 0, false, cut(whole, 0, 32))),
        broken4("a fragment that comes twice: the second time",
                piece4(6, 0, false, cut(whole, 0, 32))),
        passes4("a fragment that came twice does not harm the others",
                piece4(6, 32, true, cut(whole, 32, 64))),
        waiting(passes4("a last fragment that comes twice before the first one: the first time",
                        piece4(18, 32, true, cut(whole, 32, 64)))),
        broken4("a last fragment that comes twice before the first one: the second time",
                piece4(18, 32, true, cut(whole, 32, 64))),
        passes4("a last fragment that came twice does not harm the others",
                piece4(18, 0, false, cut(whole, 0, 32))),
        broken4("a first fragment of TCP that ends in the header",
                piece4(7, 0, false, cut(segment, 0, 16), net::vip_web4, tcp)),
        broken4("a fragment behind one whose header is not whole",
                piece4(7, 16, true, cut(segment, 16, 32), net::vip_web4, tcp)),
        broken4("a fragment, not the last one, whose length is no multiple of 8",
                piece4(8, 0, false, cut(whole, 0, 20))),
        broken4("a fragment that reaches behind 64 KiB",
                piece4(9, 65'528, true, cut(whole, 0, 16))),
        broken4("a fragment that makes the datagram, its header counted, longer than 64 KiB",
                piece4(19, 65'512, true, cut(whole, 0, 8))),
        broken4("a first fragment that is empty", piece4(10, 0, false, Bytes{})),
        of4("a first fragment of TCP with SYN and FIN",
            piece4(11, 0, false, Tcp{.flags = 3} / filled(12), net::vip_web4, tcp),
            drop(DropReason::tcp_bad_flags), 21),
        of4("a first fragment of TCP with a data offset of 4 words",
            piece4(12, 0, false, Tcp{.data_offset = 4} / filled(12), net::vip_web4, tcp),
            drop(DropReason::frag_bad), 17),
        of6("a first fragment over IPv6 without its headers",
            piece6(5, 0, false, extension(destination_options), net::vip_dns6, destination_options),
            drop(DropReason::ipv6_ext_chain), 17),
    };
}

Cases others() {
    const Bytes whole = datagram(40),
                segment = Tcp{.source = 45002, .destination = 81} / filled(12);
    const Bytes inner = piece4(14, 0, false, Tcp{.source = 45003} / filled(12), net::vip_44, tcp);
    const Bytes behind = piece4(14, 32, true, filled(9), net::vip_44, tcp);
    const auto tunnelled = [](const Bytes& ip) {
        Expect expect = send(
            In::lan,
            Ethernet{.destination = net::tunnel_mac, .source = net::lan_mac} /
                (Ip4{.source = "198.18.64.0", .destination = "10.0.1.12", .protocol = 4, .id = 0} /
                 ip));
        expect.entropy_at = 14 + 12;
        expect.entropy_prefix = 24;
        return expect;
    };
    return {
        of4("a first fragment in a tunnel", inner, tunnelled(inner), 16),
        of4("a later fragment in the same tunnel", behind, tunnelled(behind), 16),
        of4("a first fragment for a port without a service",
            piece4(15, 0, false, segment, net::vip_web4, tcp), drop(DropReason::unknown_port), 0),
        of4("a later fragment for a port without a service",
            piece4(15, 32, true, filled(4), net::vip_web4, tcp), drop(DropReason::unknown_port), 0),
        of4("a fragment of a protocol without ports",
            piece4(16, 8, true, filled(8), net::vip_web4, 47), drop(DropReason::unknown_port), 0),
        of4("a fragment with source 127.0.0.1",
            Ip4{.source = "127.0.0.1",
                .destination = net::vip_dns4,
                .protocol = udp,
                .fragment = more} /
                whole,
            drop(DropReason::martian), 15),
        of4("a later fragment with TTL 1 is not answered",
            Ip4{.destination = net::vip_dns4, .protocol = udp, .ttl = 1, .fragment = more | 3} /
                whole,
            drop(DropReason::ttl_expired), 13),
        of4("the first fragment of a ping to a VIP goes to the kernel",
            piece4(17, 0, false, icmp(8, 0, filled(28)), net::vip_dns4, icmp4),
            punt(PuntClass::vip_icmp), 15),
        of4("a later fragment of a ping to a VIP goes to the kernel",
            piece4(17, 32, true, filled(28), net::vip_dns4, icmp4), punt(PuntClass::vip_icmp), 15),
        passes4("a whole packet of a flow whose packets came in fragments",
                Ip4{.destination = net::vip_dns4, .protocol = udp} / whole, 16),
    };
}

}  // namespace

Cases fragment_cases() {
    Cases cases;
    for (const auto part : {in_order, out_of_order, broken, others})
        for (Case& one : part())
            cases.push_back(std::move(one));
    return cases;
}

}  // namespace weir::test
