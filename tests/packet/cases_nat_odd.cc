// SPDX-License-Identifier: BSD-3-Clause
// Translation of what is no whole TCP or UDP packet: fragments, and ICMP errors about translated
// packets, of which each side knows its own half.
#include "tests/packet/case.hh"

namespace weir::test {
namespace {

const std::string vip4 = "203.0.113.110", vip6 = "2001:db8:443::110", pool4 = "10.0.200.1",
                  backend4 = "10.0.1.41", backend6 = "fd00:5::41",
                  backend_mac = "02:00:00:00:01:41", client4 = "198.18.0.7",
                  client6 = "2001:db8:7::7", router4 = "192.0.2.1", router6 = "2001:db8:ff::1",
                  inner_router4 = "10.0.0.77", inner_router6 = "fd00:5::77";
constexpr std::uint16_t more = 0x2000;
constexpr std::uint8_t tcp = 6, udp = 17;

bool is_v4(const std::string& text) {
    return text.find(':') == std::string::npos;
}
std::uint16_t type_of(const Bytes& ip) {
    return ip[0] >> 4 == 4 ? 0x0800 : 0x86dd;
}
Bytes from_client(const Bytes& ip) {
    return to_wan(type_of(ip)) / ip;
}
Bytes from_backend(const Bytes& ip) {
    return Ethernet{.destination = net::lan_mac, .source = backend_mac, .type = type_of(ip)} / ip;
}
Expect at_backend(const Bytes& ip) {
    return send(
        In::lan,
        Ethernet{.destination = backend_mac, .source = net::lan_mac, .type = type_of(ip)} / ip);
}
Expect at_client(const Bytes& ip) {
    return send(
        In::wan,
        Ethernet{.destination = net::gateway_mac, .source = net::wan_mac, .type = type_of(ip)} /
            ip);
}

// A piece of a segment that `source` sent `destination`.
struct Piece {
    std::string source, destination;
    std::uint16_t id = 0;
    std::size_t begin = 0, end = 0;
    std::uint8_t ttl = 64;
    Bytes operator()(const Bytes& segment, std::uint8_t protocol = udp) const {
        const Bytes bytes = cut(summed(source, destination, protocol, segment), begin, end);
        const bool last = end == segment.size();
        const auto offset = static_cast<std::uint16_t>(begin / 8);
        if (is_v4(source))
            return Ip4{.source = source,
                       .destination = destination,
                       .protocol = protocol,
                       .ttl = ttl,
                       .id = id,
                       .fragment = static_cast<std::uint16_t>((last ? 0 : more) | offset)} /
                   bytes;
        return Ip6{.source = source, .destination = destination, .next = 44, .hop_limit = ttl} /
               (fragment_header(protocol, offset, !last, id) + bytes);
    }
};

Bytes datagram(std::uint16_t from, std::uint16_t to) {
    return Udp{.source = from, .destination = to} / filled(40);
}

Case asked(const std::string& name, bool v4, std::uint16_t id, std::size_t begin, std::size_t end) {
    const Piece in{v4 ? client4 : client6, v4 ? vip4 : vip6, id, begin, end, 64},
        out{in.source, v4 ? backend4 : backend6, id, begin, end, 63};
    const Bytes segment = datagram(45001, 53);
    return {name, In::wan, from_client(in(segment)), at_backend(out(segment)), 16};
}
Case answered(const std::string& name, bool v4, std::uint16_t id, std::size_t begin,
              std::size_t end) {
    const Piece in{v4 ? backend4 : backend6, v4 ? client4 : client6, id, begin, end, 64},
        out{v4 ? vip4 : vip6, in.destination, id, begin, end, 63};
    const Bytes segment = datagram(53, 45001);
    return {name, In::lan, from_backend(in(segment)), at_client(out(segment)), 16};
}
Case waiting(Case one) {
    one.waits = true;
    return one;
}

Cases fragments() {
    const Bytes tcp_segment = Tcp{.source = 45001, .destination = 80} / filled(28),
                tcp_there = Tcp{.source = 45001, .destination = 8080} / filled(28);
    const Piece tcp_in{client4, vip4, 702, 0, 24, 64}, tcp_out{client4, backend4, 702, 0, 24, 63};
    const Piece stray{backend4, pool4, 703, 0, 24, 64}, other{backend4, client4, 704, 0, 24, 64};
    return {
        asked("nat: a first fragment has the checksum of the whole", true, 700, 0, 24),
        asked("nat: a last fragment has addresses alone", true, 700, 24, 48),
        asked("nat: a first fragment over IPv6", false, 700, 0, 24),
        asked("nat: a last fragment over IPv6", false, 700, 24, 48),
        {"nat: the first fragment of a TCP segment gets the backend's port", In::wan,
         from_client(tcp_in(tcp_segment, tcp)), at_backend(tcp_out(tcp_there, tcp)), 16},
        answered("nat: a reply in fragments, the first", true, 701, 0, 24),
        answered("nat: a reply in fragments, the last", true, 701, 24, 48),
        waiting(
            answered("nat: a reply in fragments, the last before the first", false, 705, 24, 48)),
        answered("nat: a reply in fragments, the first after the last", false, 705, 0, 24),
        {"full-nat: a fragment for a port of the pool that no flow has", In::lan,
         from_backend(stray(datagram(8080, 65'535))), drop(DropReason::unknown_port), 16},
        {"nat: a fragment that a backend sends from another port is the kernel's", In::lan,
         from_backend(other(datagram(8081, 45001))), punt(PuntClass::other), 16},
    };
}

// A SYN that announces segments of `mss` bytes.
Bytes syn(const std::string& source, std::uint16_t from, const std::string& destination,
          std::uint16_t to, std::uint8_t flags, std::uint16_t mss, std::uint8_t ttl) {
    const Bytes option{2, 4, static_cast<std::uint8_t>(mss >> 8), static_cast<std::uint8_t>(mss)};
    const Tcp header{.source = from, .destination = to, .flags = flags, .data_offset = 6};
    const Bytes segment = cut(header / Bytes{}, 0, 20) + option;
    return Ip4{.source = source, .destination = destination, .ttl = ttl} /
           summed(source, destination, tcp, segment);
}

Cases handshakes() {
    const std::string vip = "203.0.113.113";
    return {
        {"nat: mss_clamp lowers what the client announces", In::wan,
         from_client(syn(client4, 47000, vip, 80, 0x02, 1460, 64)),
         at_backend(syn(client4, 47000, backend4, 8090, 0x02, 1400, 63))},
        {"nat: mss_clamp lowers what the backend announces", In::lan,
         from_backend(syn(backend4, 8090, client4, 47000, 0x12, 1460, 64)),
         at_client(syn(vip, 80, client4, 47000, 0x12, 1400, 63))},
        {"nat: mss_clamp raises nothing", In::lan,
         from_backend(syn(backend4, 8090, client4, 47000, 0x12, 1399, 64)),
         at_client(syn(vip, 80, client4, 47000, 0x12, 1399, 63))},
    };
}

// An ICMP error and what it quotes: the first `quoted` bytes behind the IP header.
struct Error {
    std::string source, destination;   // of the message
    std::string about_from, about_to;  // of the packet inside
    std::uint16_t from_port, to_port;
    std::uint8_t protocol = tcp;
    std::size_t quoted = 8;
    std::uint8_t ttl = 64;
    bool sum = true;  // UDP
    [[nodiscard]] Bytes inside() const {
        const Bytes plain =
            protocol == tcp
                ? Tcp{.source = from_port, .destination = to_port} / filled(20)
                : Udp{.source = from_port, .destination = to_port, .checksum = 0} / filled(20);
        const bool summable = protocol == tcp || sum;
        return cut(summable ? summed(about_from, about_to, protocol, plain) : plain, 0, quoted);
    }
    [[nodiscard]] Bytes packet() const {
        if (is_v4(source))
            return Ip4{.source = source, .destination = destination, .protocol = 1, .ttl = ttl} /
                   sound_icmp(3, 4, 1400,
                              Ip4{.source = about_from,
                                  .destination = about_to,
                                  .protocol = protocol,
                                  .total_length = 1500} /
                                  inside());
        const Ip6 header{
            .source = source, .destination = destination, .next = 58, .hop_limit = ttl};
        return header / sound_icmp6(header, 2, 0, 1400,
                                    Ip6{.source = about_from,
                                        .destination = about_to,
                                        .next = protocol,
                                        .payload_length = 1460} /
                                        inside());
    }
};

Error to_vip4() {
    return {router4, vip4, vip4, client4, 80, 47000};
}
Error to_vip6() {
    return {router6, vip6, vip6, client6, 80, 47000};
}
Case inwards(const std::string& name, const Error& in) {
    Error out = in;
    out.destination = out.about_from = is_v4(in.source) ? backend4 : backend6;
    if (in.protocol == tcp) out.from_port = 8080;
    out.ttl = 63;
    return {name, In::wan, from_client(in.packet()), at_backend(out.packet()), 18};
}
Error to_client4() {
    return {inner_router4, client4, client4, backend4, 47000, 8080};
}
Error to_client6() {
    return {inner_router6, client6, client6, backend6, 47000, 8080};
}
Case outwards(const std::string& name, const Error& in) {
    Error out = in;
    const bool v4 = is_v4(in.source);
    out.about_to = v4 ? vip4 : vip6;
    if (in.source == (v4 ? backend4 : backend6)) out.source = out.about_to;
    if (in.protocol == tcp) out.to_port = 80;
    out.ttl = 63;
    return {name, In::lan, from_backend(in.packet()), at_client(out.packet()), 18};
}

Error with(Error error, std::uint8_t protocol, std::size_t quoted, bool sum = true) {
    error.protocol = protocol;
    error.quoted = quoted;
    error.sum = sum;
    const bool to_vip = error.about_from == vip4 || error.about_from == vip6;
    if (protocol == udp) (to_vip ? error.from_port : error.to_port) = 53;
    return error;
}

Cases errors() {
    Error own4 = to_client4(), own6 = to_client6(), old = to_client4(), stray = to_client4(),
          other = to_client4(), from_nobody = to_client4(), to_group = to_client6();
    from_nobody.source = "127.0.0.1";
    to_group.destination = to_group.about_from = "ff02::5";
    own4.source = backend4;
    own6.source = backend6;
    old.ttl = 1;
    stray.destination = stray.about_from = pool4;
    stray.from_port = 65'535;
    other.to_port = 8081;
    Bytes broken = to_client4().packet();
    broken.back() ^= 1;
    return {
        inwards("nat: fragmentation needed, eight bytes of TCP", to_vip4()),
        inwards("nat: fragmentation needed, a whole TCP header", with(to_vip4(), tcp, 40)),
        inwards("nat: fragmentation needed, UDP", with(to_vip4(), udp, 8)),
        inwards("nat: fragmentation needed, UDP without checksum", with(to_vip4(), udp, 12, false)),
        inwards("nat: packet too big, TCP", with(to_vip6(), tcp, 40)),
        inwards("nat: packet too big, UDP", with(to_vip6(), udp, 11)),
        outwards("nat: a router behind tells the client about its packet", to_client4()),
        outwards("nat: the same with a whole TCP header", with(to_client4(), tcp, 40)),
        outwards("nat: the same for UDP", with(to_client4(), udp, 8)),
        outwards("nat: the same for UDP without checksum", with(to_client4(), udp, 9, false)),
        outwards("nat: the same over IPv6", with(to_client6(), tcp, 40)),
        outwards("nat: the same over IPv6, UDP", with(to_client6(), udp, 8)),
        outwards("nat: what the backend itself tells comes from the VIP", own4),
        outwards("nat: what the backend itself tells comes from the VIP, IPv6", own6),
        {"nat: an ICMP error from behind with TTL 1", In::lan, from_backend(old.packet()),
         drop(DropReason::ttl_expired), 13},
        {"nat: an ICMP error from behind with source 127.0.0.1", In::lan,
         from_backend(from_nobody.packet()), drop(DropReason::martian), 15},
        {"nat: an ICMP error from behind to a multicast address", In::lan,
         from_backend(to_group.packet()), drop(DropReason::martian), 15},
        {"nat: an ICMP error from behind with a broken checksum", In::lan, from_backend(broken),
         drop(DropReason::icmp_bad), 19},
        {"full-nat: an ICMP error about a port of the pool that no flow has", In::lan,
         from_backend(stray.packet()), drop(DropReason::unknown_port), 18},
        {"nat: an ICMP error about another port of the backend is the kernel's", In::lan,
         from_backend(other.packet()), punt(PuntClass::other), 18},
    };
}

}  // namespace

Cases nat_odd_cases() {
    Cases all = fragments();
    for (const Cases& part : {handshakes(), errors()})
        all.insert(all.end(), part.begin(), part.end());
    return all;
}

}  // namespace weir::test
