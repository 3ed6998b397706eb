// SPDX-License-Identifier: BSD-3-Clause
// GRE and GUE in all four combinations of families: every byte of the outer headers, their sizes
// at the edge of the MTU, and what is copied from the packet inside.
#include <fmt/format.h>

#include "tests/packet/case.hh"

namespace weir::test {
namespace {

// One of the three formats. Its services of packet.toml follow each other: to the lan port, IPv4
// and IPv6 outside, and the same two to the wan port, whose tunnels have one source.
struct Format {
    std::string name;
    std::uint8_t protocol;      // of the outer IP header
    std::uint16_t udp_port;     // 0: not in UDP
    bool header;                // of GUE variant 0
    unsigned lan_vip, wan_vip;  // last number of the first VIP
    [[nodiscard]] std::size_t length() const { return udp_port == 0 ? 4 : header ? 12 : 8; }
};
const Format formats[] = {{"GRE", 47, 0, false, 70, 76},
                          {"GUE variant 1", 17, 6080, false, 72, 78},
                          {"GUE variant 0", 17, 6081, true, 74, 80}};

constexpr std::uint16_t any_port = 0xc000;

Bytes shim(const Format& format, bool v4_inside, const Bytes& inner) {
    if (format.udp_port == 0) return gre(v4_inside ? 0x0800 : 0x86dd) + inner;
    const Bytes header =
        format.header ? gue_header(v4_inside ? std::uint8_t{4} : std::uint8_t{41}) : Bytes{};
    return Udp{.source = any_port, .destination = format.udp_port, .checksum = 0} /
           (header + inner);
}

std::string vip(bool v4, unsigned last) {
    return fmt::format("{}{}", v4 ? "203.0.113." : "2001:db8:443::", last);
}

Bytes client(bool v4, const std::string& to, std::size_t data, std::uint8_t traffic_class = 0) {
    const Bytes tcp = Tcp{.source = 47000} / filled(data);
    return v4 ? Ip4{.destination = to, .tos = traffic_class} / tcp
              : Ip6{.destination = to, .traffic_class = traffic_class} / tcp;
}

// What leaves by the lan port.
Expect opened(const Format& format, bool v4_inside, bool v4_outside, const Bytes& inner,
              std::uint8_t traffic_class = 0) {
    const Bytes payload = shim(format, v4_inside, inner);
    const Bytes outer = v4_outside ? Ip4{.source = "198.18.64.0",
                                         .destination = "10.0.1.12",
                                         .protocol = format.protocol,
                                         .tos = traffic_class,
                                         .id = 0} /
                                         payload
                                   : Ip6{.source = "2001:db8:1:ffff::",
                                         .destination = "fd00:5::12",
                                         .next = format.protocol,
                                         .traffic_class = traffic_class} /
                                         payload;
    const std::uint16_t type = v4_outside ? 0x0800 : 0x86dd;
    Expect expect = send(
        In::lan,
        Ethernet{.destination = net::tunnel_mac, .source = net::lan_mac, .type = type} / outer);
    expect.entropy_at = v4_outside ? 14 + 12 : 14 + 8;
    expect.entropy_prefix = v4_outside ? 24 : 96;
    if (format.udp_port != 0) expect.port_entropy_at = v4_outside ? 14 + 20 : 14 + 40;
    return expect;
}

// What leaves by the wan port, to a neighbour (IPv4) or through the gateway (IPv6).
Expect from_wan(const Format& format, bool v4_outside, const Bytes& inner) {
    const Bytes payload = shim(format, true, inner);
    Expect expect =
        v4_outside
            ? send(In::wan, Ethernet{.destination = net::wan_backend_mac, .source = net::wan_mac} /
                                (Ip4{.source = "198.51.100.5",
                                     .destination = "198.51.100.22",
                                     .protocol = format.protocol,
                                     .id = 0} /
                                 payload))
            : send(In::wan,
                   Ethernet{
                       .destination = net::gateway_mac, .source = net::wan_mac, .type = 0x86dd} /
                       (Ip6{.source = "2001:db8:1::5",
                            .destination = "2001:db8:2::77",
                            .next = format.protocol} /
                        payload));
    if (format.udp_port != 0) expect.port_entropy_at = v4_outside ? 14 + 20 : 14 + 40;
    return expect;
}

Bytes arrives(bool v4, const Bytes& packet) {
    return to_wan(v4 ? 0x0800 : 0x86dd) / packet;
}

void add_families(const Format& format, Cases& cases) {
    for (const bool inside : {true, false}) {
        for (const bool outside : {true, false}) {
            const std::string name =
                fmt::format("{}, IPv{} in IPv{}", format.name, inside ? 4 : 6, outside ? 4 : 6);
            const std::string to = vip(inside, format.lan_vip + (outside ? 0 : 1));
            const Bytes plain = client(inside, to, 11), marked = client(inside, to, 11, 0xb9),
                        empty = client(inside, to, 0), full = client(inside, to, 1500 - 60);
            const Bytes dns = Udp{.source = 47000, .destination = 80} / filled(7);
            const Bytes datagram = inside ? Ip4{.destination = to, .protocol = 17} / dns
                                          : Ip6{.destination = to, .next = 17} / dns;
            const auto add = [&](const std::string& what, const Bytes& in, const Bytes& inner,
                                 std::uint8_t traffic_class, int fault) {
                cases.push_back({name + what, In::wan, arrives(inside, in),
                                 opened(format, inside, outside, inner, traffic_class), fault});
            };
            add("", plain, plain, 0, 0);
            add(": a UDP datagram", datagram, datagram, 0, 0);
            add(": DSCP and ECN are copied", marked, marked, 0xb9, 0);
            add(": Ethernet padding is trimmed", empty + filled(6, 0), empty, 0, 2);
            add(": a large packet through a port with room", full, full, 0, 20);
        }
    }
}

void add_sizes(const Format& format, Cases& cases) {
    for (const bool outside : {true, false}) {
        const std::string name = fmt::format("{} in IPv{}, MTU 1500", format.name, outside ? 4 : 6);
        const std::string to = vip(true, format.wan_vip + (outside ? 0 : 1));
        const std::size_t outer = (outside ? 20 : 40) + format.length();
        const Bytes fits = client(true, to, 1500 - outer - 40),
                    over = client(true, to, 1501 - outer - 40);
        cases.push_back({name + ": a packet that fills it", In::wan, arrives(true, fits),
                         from_wan(format, outside, fits), 20});
        const Ethernet back{.destination = net::client_mac, .source = net::wan_mac};
        const auto room = static_cast<std::uint32_t>(1500 - outer);
        cases.push_back(
            {name + ": one byte more is answered", In::wan, arrives(true, over),
             answer(In::wan, DropReason::too_big, back / told_by4(to, 3, 4, room, over)), 20});
    }
}

}  // namespace

Cases tunnel_cases() {
    Cases cases;
    for (const Format& format : formats) {
        add_families(format, cases);
        add_sizes(format, cases);
    }
    return cases;
}

}  // namespace weir::test
