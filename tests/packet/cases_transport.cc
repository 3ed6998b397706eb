// SPDX-License-Identifier: BSD-3-Clause
// TCP and UDP headers of packets for a VIP (RFC 9293, RFC 768).
#include "tests/packet/case.hh"

namespace weir::test {
namespace {

Case tcp_case(const std::string& name, const Tcp& tcp, const Bytes& data, Expect expect,
              int fault) {
    const Bytes ip = Ip4{.destination = net::vip_web4} / (tcp / data);
    if (expect.action == Action::send)
        expect.frame = Ethernet{.destination = net::web4_mac, .source = net::lan_mac} / ip;
    return {name, In::wan, to_wan() / ip, expect, fault};
}

Case udp4(const std::string& name, const Udp& udp, const Bytes& data, Expect expect, int fault) {
    const Bytes ip = Ip4{.destination = net::vip_dns4, .protocol = 17} / (udp / data);
    if (expect.action == Action::send)
        expect.frame = Ethernet{.destination = net::web4_mac, .source = net::lan_mac} / ip;
    return {name, In::wan, to_wan() / ip, expect, fault};
}

Case udp6(const std::string& name, const Udp& udp, Expect expect, int fault) {
    const Bytes ip = Ip6{.destination = net::vip_dns6, .next = 17} / (udp / filled(9));
    if (expect.action == Action::send)
        expect.frame =
            Ethernet{.destination = net::web4_mac, .source = net::lan_mac, .type = 0x86dd} / ip;
    return {name, In::wan, to_wan(0x86dd) / ip, expect, fault};
}

const Expect passes = send(In::lan, {});

}  // namespace

Cases transport_cases() {
    Cases cases{
        tcp_case("TCP data offset 4", {.source = 44000, .data_offset = 4}, filled(20),
                 drop(DropReason::l4_bad_length), 6),
        tcp_case("TCP data offset 0", {.source = 44000, .data_offset = 0}, filled(20),
                 drop(DropReason::l4_bad_length), 6),
        tcp_case("TCP options up to the end", {.source = 44001, .data_offset = 15}, Bytes{}, passes,
                 6),
        {"TCP data offset past the end", In::wan,
         to_wan() / (Ip4{.destination = net::vip_web4} /
                     (filled(12, 0x22) + Bytes{0xf0, 0x10} + filled(16, 0x22))),
         drop(DropReason::l4_bad_length), 6},
        {"a TCP header cut short by the IP length", In::wan,
         to_wan() / (Ip4{.destination = net::vip_web4, .total_length = 32} / (Tcp{} / filled(9))),
         drop(DropReason::l4_bad_length), 6},
        tcp_case("an unknown flow's ACK goes by hash", {.source = 44002, .flags = 0x10}, filled(30),
                 passes, 21),
        tcp_case("an unknown flow's RST goes by hash", {.source = 44003, .flags = 0x04}, Bytes{},
                 passes, 21),
        tcp_case("SYN with ECN setup bits", {.source = 44004, .flags = 0xc2}, Bytes{}, passes, 21),
        udp4("UDP to its service", {.source = 45000}, filled(30), passes, 0),
        udp4("UDP checksum 0 over IPv4 is legal and stays 0", {.source = 45001, .checksum = 0},
             filled(30), passes, 7),
        udp4("UDP length 7", {.source = 45002, .length = 7}, filled(30),
             drop(DropReason::l4_bad_length), 6),
        udp4("UDP length past the payload", {.source = 45002, .length = 100}, filled(30),
             drop(DropReason::l4_bad_length), 6),
        udp4("UDP without payload", {.source = 45003}, Bytes{}, passes, 6),
        udp6("UDP over IPv6", {.source = 45000}, passes, 0),
        udp6("UDP checksum 0 over IPv6", {.source = 45001, .checksum = 0},
             drop(DropReason::udp_zero_checksum), 7),
    };
    struct Flags {
        const char* name;
        std::uint8_t value;
    };
    for (const Flags flags :
         {Flags{"SYN and FIN", 0x03}, Flags{"SYN and RST", 0x06}, Flags{"no flag", 0x00},
          Flags{"all flags", 0x3f}, Flags{"FIN, PSH and URG without ACK", 0x29}})
        cases.push_back(tcp_case(std::string("TCP with ") + flags.name,
                                 {.source = 44010, .flags = flags.value}, Bytes{},
                                 drop(DropReason::tcp_bad_flags), 21));
    return cases;
}

}  // namespace weir::test
