// SPDX-License-Identifier: BSD-3-Clause
// What goes to the kernel: neighbours, ping, our own addresses, and all that is not for a VIP.
#include "tests/packet/case.hh"

namespace weir::test {
namespace {

Bytes arp_request(const std::string& target) {
    return Bytes{0, 1, 8, 0, 6, 4, 0, 1} + mac(net::client_mac) + address("198.51.100.1") +
           filled(6, 0) + address(target);
}

}  // namespace

Cases kernel_cases() {
    const Ethernet to_all{.destination = net::broadcast, .source = net::client_mac};
    const Ethernet solicited{
        .destination = "33:33:ff:00:00:10", .source = net::client_mac, .type = 0x86dd};
    const Bytes solicitation = icmp(135, 0, filled(4, 0) + address(net::vip_web6));
    return {
        {"an ARP request", In::wan,
         Ethernet{.destination = net::broadcast, .source = net::client_mac, .type = 0x0806} /
             arp_request(net::vip_web4),
         punt(PuntClass::neighbor)},
        {"a unicast ARP request", In::wan, to_wan(0x0806) / arp_request("198.51.100.5"),
         punt(PuntClass::neighbor)},
        {"a neighbour solicitation to the solicited-node group", In::wan,
         solicited / (Ip6{.source = "2001:db8:1::1",
                          .destination = "ff02::1:ff00:10",
                          .next = 58,
                          .hop_limit = 255} /
                      solicitation),
         punt(PuntClass::neighbor)},
        {"a unicast neighbour solicitation for a VIP", In::wan,
         to_wan(0x86dd) / (Ip6{.source = "2001:db8:1::1",
                               .destination = net::vip_web6,
                               .next = 58,
                               .hop_limit = 255} /
                           solicitation),
         punt(PuntClass::neighbor)},
        {"a neighbour solicitation for a VIP that crossed a router", In::wan,
         to_wan(0x86dd) / (Ip6{.source = "2001:db8:1::1",
                               .destination = net::vip_web6,
                               .next = 58,
                               .hop_limit = 254} /
                           solicitation),
         punt(PuntClass::vip_icmp)},
        {"a neighbour solicitation for our own address that crossed a router", In::wan,
         to_wan(0x86dd) / (Ip6{.source = "2001:db8:1::1",
                               .destination = "2001:db8:1::5",
                               .next = 58,
                               .hop_limit = 254} /
                           solicitation),
         punt(PuntClass::other)},
        {"protocol 58 over IPv4 is no neighbour discovery", In::wan,
         to_wan() / (Ip4{.destination = "198.51.100.5", .protocol = 58, .ttl = 255} / solicitation),
         punt(PuntClass::other)},
        {"a ping to a VIP", In::wan,
         to_wan() / (Ip4{.destination = net::vip_web4, .protocol = 1} / icmp(8, 0, filled(36))),
         punt(PuntClass::vip_icmp), 15},
        {"a ping to an IPv6 VIP", In::wan,
         to_wan(0x86dd) /
             (Ip6{.destination = net::vip_web6, .next = 58} / icmp(128, 0, filled(36))),
         punt(PuntClass::vip_icmp), 15},
        {"a ping to a VIP from loopback", In::wan,
         to_wan() / (Ip4{.source = "127.0.0.1", .destination = net::vip_web4, .protocol = 1} /
                     icmp(8, 0, filled(36))),
         drop(DropReason::martian), 15},
        {"a ping to our own address", In::wan,
         to_wan() / (Ip4{.destination = "198.51.100.5", .protocol = 1} / icmp(8, 0, filled(36))),
         punt(PuntClass::other)},
        {"TCP to our own address with odd flags goes to the kernel untouched", In::wan,
         to_wan() / (Ip4{.destination = "198.51.100.5"} / (Tcp{.flags = 0x03} / Bytes{})),
         punt(PuntClass::other)},
        {"TTL 1 to our own address (a routing daemon's) goes to the kernel", In::wan,
         to_wan() /
             (Ip4{.destination = "198.51.100.5", .ttl = 1} / (Tcp{.destination = 179} / Bytes{})),
         punt(PuntClass::other)},
        {"a fragment to our own address goes to the kernel", In::wan,
         to_wan() /
             (Ip4{.destination = "198.51.100.5", .protocol = 17, .fragment = 0x2000} / filled(64)),
         punt(PuntClass::other)},
        {"an address that is not ours goes to the kernel", In::wan,
         to_wan() / (Ip4{.destination = "192.0.2.99"} / (Tcp{} / Bytes{})), punt(PuntClass::other)},
        {"a multicast packet goes to the kernel", In::wan,
         to_all / (Ip4{.destination = "224.0.0.5", .protocol = 89, .ttl = 1} / filled(44)),
         punt(PuntClass::other)},
        {"a broken header to our own address is dropped all the same", In::wan,
         to_wan() / (Ip4{.destination = "198.51.100.5", .checksum = 0x1111} / (Tcp{} / Bytes{})),
         drop(DropReason::ip_bad_checksum), 3},
    };
}

}  // namespace weir::test
