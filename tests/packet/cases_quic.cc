// SPDX-License-Identifier: BSD-3-Clause
// QUIC-LB: a packet goes to the backend that its destination connection ID names, by whatever
// address and port its client has now; what names none goes by its flow, and a new flow by the
// service's table. That table has one backend alone, `rest`: the weights of those with a server ID
// are 0. Connection IDs are vectors of draft-ietf-quic-load-balancers-21, appendix B.
#include "tests/packet/case.hh"

namespace weir::test {
namespace {

const std::string vip4 = "203.0.113.180", vip6 = "2001:db8:443::180", vip_tunnel = "203.0.113.181",
                  vip_nat = "203.0.113.182", vip_pool = "203.0.113.183";
const std::string plain_mac = "02:00:00:00:01:11", keyed_mac = "02:00:00:00:01:12",
                  rest_mac = "02:00:00:00:01:13", drained_mac = "02:00:00:00:01:41";

// B.1, configuration 0: server ID c4605e. B.2: server ID ed793a, here by configuration 1, whose
// number the first octet says. Then server IDs of configuration 0: a draining and a disabled
// backend's, and nobody's; the reserved codepoint; a configuration that there is none of.
const Bytes plain{0x07, 0xc4, 0x60, 0x5e, 0x45, 0x04, 0xcc, 0x4f},
    keyed{0x27, 0x20, 0xb1, 0xd0, 0x7b, 0x35, 0x9d, 0x3c},
    drained{0x07, 0x0d, 0x0d, 0x0d, 1, 2, 3, 4}, disabled{0x07, 0x0e, 0x0e, 0x0e, 1, 2, 3, 4},
    nobody{0x07, 0x01, 0x02, 0x03, 1, 2, 3, 4}, reserved{0xe7, 0xc4, 0x60, 0x5e, 1, 2, 3, 4},
    unknown{0x47, 0xc4, 0x60, 0x5e, 1, 2, 3, 4};

// RFC 8999: a short header; a long one of any version, with an empty source connection ID.
Bytes short_header(const Bytes& cid) {
    return Bytes{0x41} + cid + filled(24);
}
Bytes long_header(const Bytes& cid, std::uint8_t first = 0xe3) {
    return Bytes{first, 0x00, 0x00, 0x00, 0x01, static_cast<std::uint8_t>(cid.size())} + cid +
           Bytes{0} + filled(24);
}

Bytes datagram4(const std::string& vip, std::uint16_t from, const Bytes& payload) {
    return Ip4{.destination = vip, .protocol = 17} /
           summed(Ip4{}.source, vip, 17, Udp{.source = from, .destination = 443} / payload);
}
Bytes datagram6(std::uint16_t from, const Bytes& payload) {
    return Ip6{.destination = vip6, .next = 17} /
           summed(Ip6{}.source, vip6, 17, Udp{.source = from, .destination = 443} / payload);
}

// As dsr-l2 has it.
Expect reaches(const std::string& mac, const Bytes& ip, std::uint16_t type = 0x0800) {
    return send(In::lan, Ethernet{.destination = mac, .source = net::lan_mac, .type = type} / ip);
}
Case v4(const std::string& name, std::uint16_t from, const Bytes& payload, const std::string& mac) {
    const Bytes ip = datagram4(vip4, from, payload);
    return {"quic: " + name, In::wan, to_wan() / ip, reaches(mac, ip)};
}
Case v6(const std::string& name, std::uint16_t from, const Bytes& payload, const std::string& mac) {
    const Bytes ip = datagram6(from, payload);
    return {"quic: " + name, In::wan, to_wan(0x86dd) / ip, reaches(mac, ip, 0x86dd)};
}

Cases by_connection_id() {
    return {
        v4("a short header's server ID in the clear", 47100, short_header(plain), plain_mac),
        v4("the same connection from another port", 47101, short_header(plain), plain_mac),
        v4("an encrypted server ID", 47102, short_header(keyed), keyed_mac),
        v4("a long header's server ID", 47103, long_header(plain), plain_mac),
        v4("a long header of any kind", 47104, long_header(keyed, 0x80), keyed_mac),
        v4("bytes of the server's own behind the nonce", 47105, long_header(plain + Bytes{9, 9, 9}),
           plain_mac),
        v4("a draining backend keeps its connections", 47106, short_header(drained), drained_mac),
        v6("over IPv6, in the clear", 47107, short_header(plain), plain_mac),
        v6("over IPv6, encrypted", 47108, long_header(keyed), keyed_mac),
    };
}

Cases by_flow() {
    Bytes too_long = long_header(plain);
    too_long[5] = 0xff;
    return {
        v4("a connection ID that a client made up", 47120, long_header(nobody), rest_mac),
        v4("the reserved codepoint", 47121, short_header(reserved), rest_mac),
        v4("a configuration that is not there", 47122, short_header(unknown), rest_mac),
        v4("a disabled backend's server ID", 47123, short_header(disabled), rest_mac),
        v4("a long header whose connection ID is a byte too short", 47124,
           long_header(cut(plain, 0, 7)), rest_mac),
        v4("a long header without connection ID", 47125, long_header({}), rest_mac),
        v4("a connection ID that runs past the datagram", 47126, too_long, rest_mac),
        v4("a datagram that ends within the nonce", 47127, Bytes{0x41} + cut(plain, 0, 7),
           rest_mac),
        v4("a datagram that ends with the nonce", 47128, Bytes{0x41} + plain, plain_mac),
        v4("an empty datagram", 47129, {}, rest_mac),
        v6("over IPv6, a connection ID of nobody", 47130, short_header(nobody), rest_mac),
    };
}

// A connection ID in the padding of a frame, behind the datagram, is none.
Case padded() {
    const Bytes ip = datagram4(vip4, 47135, {0x41}) + plain + filled(20);
    return {"quic: a connection ID behind the datagram", In::wan, to_wan() / ip,
            reaches(rest_mac, ip)};
}

// One address and port, of two connections.
Cases turns() {
    return {
        v4("a new connection's flow", 47140, long_header(nobody), rest_mac),
        v4("a routable ID wins over the flow", 47140, short_header(plain), plain_mac),
        v4("another one, too", 47140, short_header(keyed), keyed_mac),
        v4("the flow has kept its backend", 47140, long_header(nobody), rest_mac),
        v4("a flow that a routable ID began", 47141, short_header(plain), plain_mac),
        v4("is where unroutable IDs of it go", 47141, short_header(reserved), plain_mac),
    };
}

// All of a datagram in pieces goes by its flow: later ones have no connection ID.
Cases pieces() {
    const Bytes udp = summed(Ip4{}.source, vip4, 17,
                             Udp{.source = 47145, .destination = 443} / short_header(plain));
    const auto piece = [&](const char* name, std::uint16_t field, const Bytes& bytes) {
        const Bytes ip =
            Ip4{.destination = vip4, .protocol = 17, .id = 1180, .fragment = field} / bytes;
        return Case{name, In::wan, to_wan() / ip, reaches(rest_mac, ip)};
    };
    return {piece("quic: a first fragment goes by its flow", 0x2000, cut(udp, 0, 24)),
            piece("quic: and so does the last one", 3, cut(udp, 24, udp.size()))};
}

Case tunnelled(const std::string& name, std::uint16_t from, const Bytes& payload,
               const std::string& to, const std::string& mac) {
    const Bytes inner = datagram4(vip_tunnel, from, payload);
    const Ip4 outer{.source = "198.18.64.0", .destination = to, .protocol = 4, .tos = 0, .id = 0};
    Expect expect = reaches(mac, outer / inner);
    expect.entropy_at = 14 + 12;
    expect.entropy_prefix = 24;
    return {"quic: " + name, In::wan, to_wan() / inner, expect};
}

// Where nat and full-nat send a datagram to `port` of the backend.
Bytes translated(const std::string& source, std::uint16_t from, std::uint16_t port,
                 const Bytes& payload) {
    const std::string backend = "10.0.1.41";
    return Ip4{.source = source, .destination = backend, .protocol = 17, .ttl = 63} /
           summed(source, backend, 17, Udp{.source = from, .destination = port} / payload);
}
Case nat(const std::string& name, std::uint16_t from, const Bytes& payload, std::uint16_t port) {
    return {"quic: " + name, In::wan, to_wan() / datagram4(vip_nat, from, payload),
            reaches(drained_mac, translated(Ip4{}.source, from, port, payload))};
}
Case pool(const std::string& name, std::uint16_t from, const Bytes& payload, std::uint16_t port) {
    Case one{"quic: " + name, In::wan, to_wan() / datagram4(vip_pool, from, payload),
             reaches(drained_mac, translated("10.0.200.1", from, port, payload))};
    one.expect.pool_port_at = 14 + 20;
    return one;
}

Cases modes() {
    return {
        tunnelled("through a tunnel by connection ID", 47150, short_header(plain), "10.0.1.12",
                  keyed_mac),
        tunnelled("through a tunnel by flow", 47151, short_header(nobody), "10.0.1.13", rest_mac),
        nat("translated by connection ID", 47152, short_header(plain), 8443),
        nat("translated by flow", 47153, short_header(nobody), 9443),
        pool("from the pool by connection ID", 47154, short_header(plain), 8444),
        pool("from the pool by flow", 47155, short_header(nobody), 9444),
    };
}

}  // namespace

Cases quic_cases() {
    Cases all = by_connection_id();
    all.push_back(padded());
    for (const Cases& part : {by_flow(), turns(), pieces(), modes()})
        all.insert(all.end(), part.begin(), part.end());
    return all;
}

}  // namespace weir::test
