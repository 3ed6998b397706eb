// SPDX-License-Identifier: BSD-3-Clause
// Packets that Weir answers with an ICMP error of its own, and those that it must not answer.
#include "tests/packet/case.hh"

namespace weir::test {
namespace {

constexpr DropReason expired = DropReason::ttl_expired, too_big = DropReason::too_big;
const std::string vip_wan64 = "2001:db8:443::93", vip_wan66 = "2001:db8:443::94";

Ethernet to_client(std::uint16_t type = 0x0800) {
    return {.destination = net::client_mac, .source = net::wan_mac, .type = type};
}
Case told4(const std::string& name, const std::string& vip, const Bytes& ip, DropReason reason,
           std::uint8_t type, std::uint8_t code, std::uint32_t word) {
    return {name, In::wan, to_wan() / ip,
            answer(In::wan, reason, to_client() / told_by4(vip, type, code, word, ip)),
            reason == expired ? 13 : 20};
}
Case told6(const std::string& name, const std::string& vip, const Bytes& ip, DropReason reason,
           std::uint8_t type, std::uint32_t word) {
    return {name, In::wan, to_wan(0x86dd) / ip,
            answer(In::wan, reason, to_client(0x86dd) / told_by6(vip, type, word, ip)),
            reason == expired ? 13 : 20};
}
Case silent(const std::string& name, const Bytes& ip, DropReason reason) {
    const std::uint16_t type = ip[0] >> 4 == 4 ? 0x0800 : 0x86dd;
    return {name, In::wan, to_wan(type) / ip, drop(reason), reason == expired ? 13 : 20};
}

Bytes last_hop4(std::uint8_t ttl, std::size_t data = 12, const std::string& vip = net::vip_web4) {
    return Ip4{.destination = vip, .ttl = ttl} / (Tcp{.source = 48000} / filled(data));
}
Bytes last_hop6(std::uint8_t hop_limit, std::size_t data = 10) {
    return Ip6{.destination = net::vip_web6, .hop_limit = hop_limit} /
           (Tcp{.source = 48000} / filled(data));
}

Cases expired_cases() {
    const std::string &v4 = net::vip_web4, &v6 = net::vip_web6;
    const Bytes udp = Ip4{.destination = net::vip_dns4, .protocol = 17, .ttl = 1} /
                      (Udp{.source = 48000} / filled(7));
    const Bytes options = Ip4{.destination = v4, .ttl = 1, .options = Bytes{1, 1, 1, 0}} /
                          (Tcp{.source = 48000} / Bytes{});
    const Bytes first =
        Ip4{.destination = v4, .protocol = 17, .ttl = 1, .fragment = 0x2000} / filled(64);
    const Bytes first6 = Ip6{.destination = v6, .next = 44, .hop_limit = 1} /
                         (fragment_header(17, 0, true) + filled(64));
    const Bytes gre = Ip4{.destination = v4, .protocol = 47, .ttl = 1} / filled(20);
    const Bytes from_tagged =
        Ip4{.destination = net::vip_tagged, .ttl = 1} / (Tcp{.source = 48000} / filled(3));
    const auto tagged = [](const std::string& to, const std::string& from) {
        return Ethernet{.destination = to, .source = from, .tags = {100}};
    };
    return {
        told4("TTL 1", v4, last_hop4(1), expired, 11, 0, 0),
        told4("TTL 0", v4, last_hop4(0), expired, 11, 0, 0),
        told4("TTL 1, UDP of an odd length", net::vip_dns4, udp, expired, 11, 0, 0),
        told4("TTL 1 with IPv4 options", v4, options, expired, 11, 0, 0),
        told4("TTL 1 to a port without service", v4,
              Ip4{.destination = v4, .ttl = 1} / (Tcp{.destination = 81} / Bytes{}), expired, 11, 0,
              0),
        told4("TTL 1 of another protocol", v4, gre, expired, 11, 0, 0),
        told4("TTL 1 of a first fragment", v4, first, expired, 11, 0, 0),
        told4("TTL 1, the answer quotes up to 576 bytes", v4, last_hop4(1, 508), expired, 11, 0, 0),
        told4("TTL 1, the answer quotes no more than 576 bytes", v4, last_hop4(1, 1460), expired,
              11, 0, 0),
        told6("hop limit 1", v6, last_hop6(1), expired, 3, 0),
        told6("hop limit 0", v6, last_hop6(0), expired, 3, 0),
        told6("hop limit 1 of a first fragment", v6, first6, expired, 3, 0),
        told6("hop limit 1, the answer quotes no more than 1280 bytes", v6, last_hop6(1, 1440),
              expired, 3, 0),
        {"TTL 1 on a tagged port is answered with the tag", In::tagged,
         tagged(net::tagged_mac, net::client_mac) / from_tagged,
         answer(In::tagged, expired,
                tagged(net::client_mac, net::tagged_mac) /
                    told_by4(net::vip_tagged, 11, 0, 0, from_tagged)),
         13},
        {"TTL 1, Ethernet padding is not quoted", In::wan,
         to_wan() / (last_hop4(1, 0) + filled(6, 0)),
         answer(In::wan, expired, to_client() / told_by4(v4, 11, 0, 0, last_hop4(1, 0))), 13},
        silent("TTL 1 of a later fragment is not answered",
               Ip4{.destination = v4, .protocol = 17, .ttl = 1, .fragment = 0x0010} / filled(64),
               expired),
        silent("hop limit 1 of a later fragment is not answered",
               Ip6{.destination = v6, .next = 44, .hop_limit = 1} /
                   (fragment_header(17, 8, false) + filled(64)),
               expired),
        silent("TTL 1 with less than eight bytes behind the header is not answered",
               Ip4{.destination = v4, .ttl = 1} / filled(7), expired),
        {"TTL 1 from a group MAC address is not answered", In::wan,
         Ethernet{.destination = net::wan_mac, .source = "03:00:00:00:00:01"} / last_hop4(1),
         drop(expired), 13},
        silent("TTL 1 from a martian source is not answered",
               Ip4{.source = "224.0.0.1", .destination = v4, .ttl = 1} / (Tcp{} / Bytes{}),
               DropReason::martian),
    };
}

Bytes long4(const std::string& vip, std::size_t size, std::uint16_t fragment = 0x4000) {
    return Ip4{.destination = vip, .fragment = fragment} /
           (Tcp{.source = 48000} / filled(size - 40));
}
Bytes long6(const std::string& vip, std::size_t size) {
    return Ip6{.destination = vip} / (Tcp{.source = 48000} / filled(size - 60));
}
Expect to_wan_backend(const Bytes& inner, const Ip4& outer) {
    const std::string mac =
        outer.destination == "198.51.100.22" ? net::wan_backend_mac : net::gateway_mac;
    return send(In::wan, Ethernet{.destination = mac, .source = net::wan_mac} / (outer / inner));
}

Cases too_big_cases() {
    const Ip4 outer{.source = "198.51.100.5", .destination = "198.51.100.22", .id = 0};
    Ip4 outer4 = outer, outer6 = outer;
    outer4.protocol = 4;
    outer6.protocol = 41;
    const Bytes fits4 = long4(net::vip_wan44, 1480), fits64 = long6(vip_wan64, 1480);
    const Bytes jumbo = long4(net::vip_tagged, 1501);
    const Bytes answer_about =
        Ip4{.source = net::vip_wan44, .destination = "198.18.0.7"} / (Tcp{.source = 80} / Bytes{});
    return {
        {"a packet that fills the MTU with its tunnel header", In::wan, to_wan() / fits4,
         to_wan_backend(fits4, outer4), 20},
        {"a packet that fills the MTU with its tunnel header, 6in4", In::wan,
         to_wan(0x86dd) / fits64, to_wan_backend(fits64, outer6), 20},
        told4("one byte more than the MTU with the tunnel header", net::vip_wan44,
              long4(net::vip_wan44, 1481), too_big, 3, 4, 1480),
        told4("a full packet that does not fit its tunnel", net::vip_wan44,
              long4(net::vip_wan44, 1500), too_big, 3, 4, 1480),
        told6("one byte more than the MTU with the tunnel header, 6in4", vip_wan64,
              long6(vip_wan64, 1481), too_big, 2, 1480),
        told6("one byte more than the MTU with the tunnel header, 6in6", vip_wan66,
              long6(vip_wan66, 1461), too_big, 2, 1460),
        {"one byte more than the MTU in dsr-l2", In::lan,
         Ethernet{.destination = net::lan_mac, .source = net::client_mac} / jumbo,
         answer(In::lan, too_big,
                Ethernet{.destination = net::client_mac, .source = net::lan_mac} /
                    told_by4(net::vip_tagged, 3, 4, 1500, jumbo)),
         20},
        silent("an ICMP error that does not fit its tunnel, with DF, is not answered",
               Ip4{.source = "192.0.2.1", .destination = net::vip_wan44, .protocol = 1} /
                   sound_icmp(3, 4, 1400, answer_about + filled(1481 - 68)),
               too_big),
    };
}

}  // namespace

Cases answer_cases() {
    Cases all = expired_cases();
    for (Case& one : too_big_cases())
        all.push_back(std::move(one));
    return all;
}

}  // namespace weir::test
