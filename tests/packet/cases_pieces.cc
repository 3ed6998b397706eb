// SPDX-License-Identifier: BSD-3-Clause
// Packets that are longer than the MTU of the port by which they leave, and may be fragmented: the
// outer packet of a tunnel, and IPv4 packets that go on as they came (RFC 791, RFC 8200 4.5).
#include <fmt/format.h>

#include "tests/packet/case.hh"

namespace weir::test {
namespace {

constexpr std::uint16_t more_fragments = 0x2000;
constexpr std::size_t mtu = 1500;

// `payload` behind as many headers as it takes; of those `later` is what the second and further
// fragments have.
std::vector<Bytes> cut4(const Ethernet& link, const Ip4& first, const Ip4& later,
                        const Bytes& payload) {
    const std::size_t step = (mtu - 20 - first.options.size()) / 8 * 8;
    std::vector<Bytes> frames;
    for (std::size_t at = 0; at < payload.size(); at += step) {
        Ip4 ip = at == 0 ? first : later;
        ip.fragment = static_cast<std::uint16_t>(ip.fragment + at / 8);
        if (at + step < payload.size()) ip.fragment |= more_fragments;
        frames.push_back(link / (ip / cut(payload, at, std::min(at + step, payload.size()))));
    }
    return frames;
}
std::vector<Bytes> cut6(const Ethernet& link, Ip6 ip, const Bytes& payload) {
    constexpr std::size_t step = (mtu - 48) / 8 * 8;
    const std::uint8_t next = ip.next;
    ip.next = 44;
    std::vector<Bytes> frames;
    for (std::size_t at = 0; at < payload.size(); at += step) {
        const bool more = at + step < payload.size();
        const Bytes piece = cut(payload, at, std::min(at + step, payload.size()));
        frames.push_back(
            link /
            (ip / (fragment_header(next, static_cast<std::uint16_t>(at / 8), more, 5) + piece)));
    }
    return frames;
}

// A client's packet of `size` bytes.
Bytes packet(const std::string& to, std::size_t size, std::uint16_t fragment = 0) {
    return Ip4{.destination = to, .fragment = fragment} /
           (Tcp{.source = 49000} / filled(size - 40));
}

// A tunnel out of the wan port: its services follow each other, IPv4 and IPv6 outside.
struct Tunnel {
    std::string name;
    std::uint8_t protocol;
    std::uint16_t udp_port;  // 0: not in UDP
    Bytes shim;              // behind the UDP header
    std::string vip4, vip6;
};

Bytes in_tunnel(const Tunnel& tunnel, const Bytes& inner) {
    if (tunnel.udp_port == 0) return tunnel.shim + inner;
    return Udp{.source = 0xc000, .destination = tunnel.udp_port, .checksum = 0} /
           (tunnel.shim + inner);
}

Expect outer4(const Tunnel& tunnel, const Bytes& inner) {
    const Ip4 outer{.source = "198.51.100.5",
                    .destination = "198.51.100.22",
                    .protocol = tunnel.protocol,
                    .id = 5,
                    .fragment = 0};
    const Ethernet link{.destination = net::wan_backend_mac, .source = net::wan_mac};
    Expect expect =
        send_fragments(In::wan, cut4(link, outer, outer, in_tunnel(tunnel, inner)), 14 + 4);
    if (tunnel.udp_port != 0) expect.port_entropy_at = 14 + 20;
    return expect;
}
Expect outer6(const Tunnel& tunnel, const Bytes& inner) {
    const Ip6 outer{
        .source = "2001:db8:1::5", .destination = "2001:db8:2::77", .next = tunnel.protocol};
    const Ethernet link{.destination = net::gateway_mac, .source = net::wan_mac, .type = 0x86dd};
    Expect expect =
        send_fragments(In::wan, cut6(link, outer, in_tunnel(tunnel, inner)), 14 + 40 + 4);
    if (tunnel.udp_port != 0) expect.port_entropy_at = 14 + 48;
    return expect;
}

Cases tunnel_pieces() {
    const Tunnel tunnels[] = {
        {"gre", 47, 0, gre(0x0800), "203.0.113.76", "203.0.113.77"},
        {"gue variant 1", 17, 6080, {}, "203.0.113.78", "203.0.113.79"},
        {"gue variant 0", 17, 6081, gue_header(4), "203.0.113.80", "203.0.113.81"}};
    Cases cases;
    for (const Tunnel& tunnel : tunnels) {
        const std::size_t header = tunnel.shim.size() + (tunnel.udp_port != 0 ? 8 : 0);
        const Bytes over4 = packet(tunnel.vip4, mtu - 20 - header + 1),
                    over6 = packet(tunnel.vip6, mtu - 40 - header + 1);
        cases.push_back({tunnel.name + " in IPv4: one byte more, without DF, leaves in fragments",
                         In::wan, to_wan() / over4, outer4(tunnel, over4), 20});
        cases.push_back({tunnel.name + " in IPv6: one byte more, without DF, leaves in fragments",
                         In::wan, to_wan() / over6, outer6(tunnel, over6), 20});
    }
    return cases;
}

Cases ipip_pieces() {
    const Tunnel ipip{"ipip", 4, 0, {}, net::vip_wan44, {}};
    const auto in = [](const Bytes& inner) { return to_wan() / inner; };
    const Bytes over = packet(net::vip_wan44, 1481), full = packet(net::vip_wan44, 1500),
                one = packet(net::vip_wan44, 1500, more_fragments);
    const Bytes jumbo = packet(net::vip_wan44, 1560);
    const Bytes about = Ip4{.source = net::vip_wan44, .destination = "198.18.0.7"} /
                        (Tcp{.source = 80} / filled(1481 - 68));
    const Bytes error =
        Ip4{.source = "192.0.2.1", .destination = net::vip_wan44, .protocol = 1, .fragment = 0} /
        sound_icmp(3, 4, 1400, about);
    return {
        {"ipip: one byte more than the MTU, without DF, leaves in two fragments", In::wan, in(over),
         outer4(ipip, over), 20},
        {"ipip: a full packet without DF", In::wan, in(full), outer4(ipip, full), 20},
        {"ipip: Ethernet padding is no part of any fragment", In::wan, in(over) + filled(7, 0),
         outer4(ipip, over), 20},
        {"ipip: a fragment stays whole inside of an outer packet in fragments", In::wan, in(one),
         outer4(ipip, one), 20},
        {"ipip: from a port of a larger MTU", In::lan,
         Ethernet{.destination = net::lan_mac, .source = net::client_mac} / jumbo,
         outer4(ipip, jumbo), 20},
        {"ipip: an ICMP error without DF that does not fit leaves in fragments", In::wan, in(error),
         outer4(ipip, error), 20},
    };
}

const Ethernet from_jumbo{.destination = net::lan_mac, .source = net::client_mac};
const Ethernet tagged_link{
    .destination = net::tagged_backend_mac, .source = net::tagged_mac, .tags = {100}};

Cases dsr_pieces() {
    const Bytes options = {7, 7, 4, 0, 0, 0, 0, 1, 148, 4, 0, 0},  // record route; router alert
        copied = {148, 4, 0, 0};
    const Bytes tcp = Tcp{.source = 49000} / filled(1481), rest = filled(1504);
    const Ip4 plain{.destination = net::vip_tagged, .fragment = 0};
    Ip4 first = plain, later = plain, middle = plain, last = plain, with = plain;
    first.fragment = middle.fragment = more_fragments;
    first.id = middle.id = last.id = 0x4711;
    middle.fragment |= 188;  // behind 1504 bytes
    last.fragment = 376;
    with.options = options;
    later.options = copied;
    const auto all = [](const Ip4& ip, const Ip4& others, const Bytes& payload) {
        return send_fragments(In::tagged, cut4(tagged_link, ip, others, payload));
    };
    const Bytes head = Tcp{.source = 49000} / filled(1484);
    return {
        {"dsr-l2: above the MTU, without DF: fragments with the client's id", In::lan,
         from_jumbo / (plain / tcp), all(plain, plain, tcp), 20},
        {"dsr-l2: of IPv4 options the later fragments have those that ask for it", In::lan,
         from_jumbo / (with / tcp), all(with, later, tcp), 20},
        {"dsr-l2: a first fragment in fragments: more of them come", In::lan,
         from_jumbo / (first / head), all(first, first, head), 20},
        {"dsr-l2: a fragment in the middle, in fragments", In::lan, from_jumbo / (middle / rest),
         all(middle, middle, rest), 20},
        {"dsr-l2: the last fragment in fragments, of which the last one is the last", In::lan,
         from_jumbo / (last / rest), all(last, last, rest), 20},
    };
}

Cases rewritten_pieces() {
    const std::string client = "198.18.0.7", l3dsr = "203.0.113.83", nat = "203.0.113.110",
                      backend = "10.0.1.41";
    const Bytes in = Udp{.source = 49000, .destination = 80} / filled(1500),
                from = Udp{.source = 53, .destination = 49000, .checksum = 0} / filled(1500);
    const auto ip = [](const std::string& source, const std::string& to, std::uint8_t ttl) {
        return Ip4{.source = source, .destination = to, .protocol = 17, .ttl = ttl, .fragment = 0};
    };
    Ip4 marked = ip(client, "10.9.0.11", 64);
    marked.tos = 63 << 2;
    marked.protocol = 6;
    const Bytes tcp = Tcp{.source = 49000} / filled(1490);
    const auto sound = [&](const std::string& to) { return summed(client, to, 6, tcp); };
    const Ip4 reply = ip(nat, client, 63);
    const Ethernet to_gateway{.destination = net::gateway_mac, .source = net::wan_mac};
    return {
        {"l3dsr: above the MTU, without DF, leaves in fragments to the backend's address", In::lan,
         from_jumbo / (Ip4{.destination = l3dsr, .fragment = 0} / sound(l3dsr)),
         send_fragments(In::tagged, cut4(tagged_link, marked, marked, sound("10.9.0.11"))), 20},
        {"nat: a reply above the MTU towards the client, without DF, leaves in fragments", In::lan,
         Ethernet{.destination = net::lan_mac, .source = "02:00:00:00:01:41"} /
             (ip(backend, client, 64) / summed(backend, client, 17, from)),
         send_fragments(In::wan, cut4(to_gateway, reply, reply, summed(nat, client, 17, from))),
         20},
        {"a VIP that nobody serves: too long makes no difference", In::lan,
         from_jumbo / (ip(client, "203.0.113.10", 64) / in), drop(DropReason::unknown_port), 20},
    };
}

}  // namespace

Cases pieces_cases() {
    Cases all;
    for (const Cases& part : {tunnel_pieces(), ipip_pieces(), dsr_pieces(), rewritten_pieces()})
        all.insert(all.end(), part.begin(), part.end());
    return all;
}

}  // namespace weir::test
