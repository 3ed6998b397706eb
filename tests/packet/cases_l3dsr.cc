// SPDX-License-Identifier: BSD-3-Clause
// L3DSR: the backend's address and the service's DSCP in the client's own headers, and checksums
// that are then what a full computation gives.
#include "tests/packet/case.hh"

namespace weir::test {
namespace {

const std::string vip4 = "203.0.113.82", vip6 = "2001:db8:443::82", backend4 = "10.0.1.11",
                  backend6 = "fd00:5::11", client4 = Ip4{}.source, client6 = Ip6{}.source;
constexpr std::uint8_t dscp4 = 10 << 2, dscp6 = 46 << 2;

const Ethernet to_backend4{.destination = net::web4_mac, .source = net::lan_mac};
const Ethernet to_backend6{.destination = net::web4_mac, .source = net::lan_mac, .type = 0x86dd};

Bytes tcp(std::size_t data) {
    return Tcp{.source = 47000} / filled(data);
}
Bytes udp(const Bytes& data) {
    return Udp{.source = 47000, .destination = 80} / data;
}

// The same packet, once to the VIP and once as it must leave; options and extension headers stand
// between the IP header and the transport.
Case v4(const std::string& name, std::uint8_t protocol, const Bytes& transport,
        std::uint8_t tos = 0, const Bytes& options = {}, const Bytes& padding = {}) {
    const Bytes in =
        Ip4{.destination = vip4, .protocol = protocol, .tos = tos, .options = options} /
        summed(client4, vip4, protocol, transport);
    const auto marked = static_cast<std::uint8_t>(dscp4 | (tos & 3));
    const Bytes out =
        Ip4{.destination = backend4, .protocol = protocol, .tos = marked, .options = options} /
        summed(client4, backend4, protocol, transport);
    return {name, In::wan, to_wan() / (in + padding), send(In::lan, to_backend4 / (out + padding))};
}
Case v6(const std::string& name, std::uint8_t protocol, const Bytes& transport,
        std::uint8_t traffic_class = 0, std::uint32_t label = 0, const Bytes& extensions = {}) {
    const std::uint8_t next = extensions.empty() ? protocol : std::uint8_t{60};
    const auto packet = [&](const std::string& to, std::uint8_t mark) {
        return Ip6{.destination = to, .next = next, .traffic_class = mark, .flow_label = label} /
               (extensions + summed(client6, to, protocol, transport));
    };
    const auto marked = static_cast<std::uint8_t>(dscp6 | (traffic_class & 3));
    return {name, In::wan, to_wan(0x86dd) / packet(vip6, traffic_class),
            send(In::lan, to_backend6 / packet(backend6, marked))};
}

// Data with which UDP's checksum towards the backend is computed as 0.
Bytes sums_to_zero(const std::string& source, const std::string& destination) {
    const Bytes probe = summed(source, destination, 17, udp({0, 0}));
    return {probe[6], probe[7]};
}

// RFC 1071: the difference of two checksums, added to a third.
std::uint16_t shifted(std::uint16_t checksum, const Bytes& from, const Bytes& to, std::size_t at) {
    const auto value = [at](const Bytes& bytes) { return bytes[at] << 8 | bytes[at + 1]; };
    return static_cast<std::uint16_t>((checksum + 0xffff + value(to) - value(from)) % 0xffff);
}

Case wrong_checksum() {
    const Bytes before = summed(client4, vip4, 6, tcp(9)),
                after = summed(client4, backend4, 6, tcp(9));
    Tcp layer{.source = 47000, .checksum = 0x1234};
    const Bytes in = Ip4{.destination = vip4} / (layer / filled(9));
    layer.checksum = shifted(0x1234, before, after, 16);
    const Bytes out = Ip4{.destination = backend4, .tos = dscp4} / (layer / filled(9));
    return {"l3dsr: a TCP checksum that was wrong stays wrong by as much", In::wan, to_wan() / in,
            send(In::lan, to_backend4 / out), 8};
}

Case no_udp_checksum() {
    const Bytes bare = Udp{.source = 47000, .destination = 80, .checksum = 0} / filled(5);
    return {"l3dsr: a UDP checksum of 0 stays 0 over IPv4", In::wan,
            to_wan() / (Ip4{.destination = vip4, .protocol = 17} / bare),
            send(In::lan,
                 to_backend4 / (Ip4{.destination = backend4, .protocol = 17, .tos = dscp4} / bare)),
            7};
}

Cases edges() {
    const std::string tagged = "203.0.113.83", routed = "203.0.113.84";
    const auto to = [](const std::string& address, std::uint8_t tos, std::size_t data) {
        return Ip4{.destination = address, .tos = tos} / summed(client4, address, 6, tcp(data));
    };
    const Bytes over = to(tagged, 0, 1461);
    const Ethernet tagged_link{
        .destination = net::tagged_backend_mac, .source = net::tagged_mac, .tags = {100}};
    const Ethernet wan_link{.destination = net::gateway_mac, .source = net::wan_mac};
    return {
        {"l3dsr: DSCP 63 to a tagged port, a packet that fills its MTU", In::wan,
         to_wan() / to(tagged, 0, 1460),
         send(In::tagged, tagged_link / to("10.9.0.11", 63 << 2, 1460)), 20},
        {"l3dsr: one byte more than the MTU is answered", In::wan, to_wan() / over,
         answer(In::wan, DropReason::too_big,
                Ethernet{.destination = net::client_mac, .source = net::wan_mac} /
                    told_by4(tagged, 3, 4, 1500, over)),
         20},
        {"l3dsr: DSCP 1 through the gateway", In::wan, to_wan() / to(routed, 0, 3),
         send(In::wan, wan_link / to("192.0.2.77", 1 << 2, 3))},
    };
}

// A datagram in two pieces: both get the address, and the first one the checksum of the whole.
Cases fragments() {
    const Bytes data = udp(filled(40)), in4 = summed(client4, vip4, 17, data),
                out4 = summed(client4, backend4, 17, data), in6 = summed(client6, vip6, 17, data),
                out6 = summed(client6, backend6, 17, data);
    const auto ip4 = [](const std::string& to, std::uint8_t tos, std::uint16_t fragment,
                        const Bytes& piece) {
        return Ip4{.destination = to, .protocol = 17, .tos = tos, .id = 77, .fragment = fragment} /
               piece;
    };
    const auto ip6 = [](const std::string& to, std::uint8_t mark, std::uint16_t offset, bool more,
                        const Bytes& piece) {
        return Ip6{.destination = to, .next = 44, .traffic_class = mark} /
               (fragment_header(17, offset, more, 77) + piece);
    };
    return {
        {"l3dsr: a first fragment", In::wan, to_wan() / ip4(vip4, 0, 0x2000, cut(in4, 0, 24)),
         send(In::lan, to_backend4 / ip4(backend4, dscp4, 0x2000, cut(out4, 0, 24))), 16},
        {"l3dsr: a last fragment has no checksum", In::wan,
         to_wan() / ip4(vip4, 0, 3, cut(in4, 24, 48)),
         send(In::lan, to_backend4 / ip4(backend4, dscp4, 3, cut(out4, 24, 48))), 16},
        {"l3dsr: a first fragment over IPv6", In::wan,
         to_wan(0x86dd) / ip6(vip6, 0, 0, true, cut(in6, 0, 24)),
         send(In::lan, to_backend6 / ip6(backend6, dscp6, 0, true, cut(out6, 0, 24))), 16},
        {"l3dsr: a last fragment over IPv6 has no checksum", In::wan,
         to_wan(0x86dd) / ip6(vip6, 0, 3, false, cut(in6, 24, 48)),
         send(In::lan, to_backend6 / ip6(backend6, dscp6, 3, false, cut(out6, 24, 48))), 16},
    };
}

// Path MTU discovery: the backend knows by the DSCP that the message is for the VIP.
Cases errors() {
    Bytes start = Tcp{.source = 80, .destination = 47000} / Bytes{};
    start.resize(8);
    const Bytes about4 = Ip4{.source = vip4, .destination = client4, .total_length = 1500} / start,
                about6 =
                    Ip6{.source = vip6, .destination = client6, .payload_length = 1460} / start;
    const auto ip4 = [&](const std::string& to, std::uint8_t tos) {
        return Ip4{.source = "192.0.2.1", .destination = to, .protocol = 1, .tos = tos} /
               sound_icmp(3, 4, 1400, about4);
    };
    const auto ip6 = [&](const std::string& to, std::uint8_t mark) {
        const Ip6 header{
            .source = "2001:db8:ff::1", .destination = to, .next = 58, .traffic_class = mark};
        return header / sound_icmp6(header, 2, 0, 1400, about6);
    };
    return {
        {"l3dsr: fragmentation needed", In::wan, to_wan() / ip4(vip4, 0xc0),
         send(In::lan, to_backend4 / ip4(backend4, dscp4)), 18},
        {"l3dsr: packet too big, whose checksum covers the address", In::wan,
         to_wan(0x86dd) / ip6(vip6, 0), send(In::lan, to_backend6 / ip6(backend6, dscp6)), 18},
    };
}

}  // namespace

Cases l3dsr_cases() {
    const Bytes zero4 = sums_to_zero(client4, backend4), zero6 = sums_to_zero(client6, backend6);
    const Bytes options{1, 1, 1, 1, 7, 7, 4, 0, 0, 0, 0, 0};  // NOPs, record route
    Cases cases{
        v4("l3dsr: TCP over IPv4", 6, tcp(11)),
        v4("l3dsr: TCP over IPv4, an even number of bytes", 6, tcp(12)),
        v4("l3dsr: UDP over IPv4", 17, udp(filled(11))),
        v4("l3dsr: UDP over IPv4 whose checksum becomes 0 is sent 0xffff", 17, udp(zero4)),
        v4("l3dsr: the client's DSCP is replaced, ECN 1 stays", 6, tcp(5), 0xb9),
        v4("l3dsr: ECN 3 stays", 6, tcp(5), 0x03),
        v4("l3dsr: 12 bytes of IPv4 options", 6, tcp(5), 0, options),
        v4("l3dsr: 12 bytes of IPv4 options, UDP", 17, udp(filled(5)), 0, options),
        v4("l3dsr: Ethernet padding stays", 6, tcp(0), 0, {}, filled(6, 0)),
        v6("l3dsr: TCP over IPv6", 6, tcp(11)),
        v6("l3dsr: UDP over IPv6", 17, udp(filled(12))),
        v6("l3dsr: UDP over IPv6 whose checksum becomes 0 is sent 0xffff", 17, udp(zero6)),
        v6("l3dsr: IPv6 keeps ECN and flow label", 6, tcp(5), 0x2b, 0xfedcb),
        v6("l3dsr: TCP behind two IPv6 extension headers", 6, tcp(5), 0, 0,
           extension(60) + extension(6, 1)),
        v6("l3dsr: UDP behind an IPv6 extension header", 17, udp(filled(5)), 0, 0, extension(17)),
        wrong_checksum(),
        no_udp_checksum(),
    };
    for (Cases part : {edges(), fragments(), errors()})
        cases.insert(cases.end(), part.begin(), part.end());
    return cases;
}

}  // namespace weir::test
