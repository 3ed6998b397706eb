// SPDX-License-Identifier: BSD-3-Clause
// Which service owns a packet: VIP, protocol, port, range, any.
#include "tests/packet/case.hh"

namespace weir::test {
namespace {

Case tcp_to(const std::string& name, const std::string& vip, std::uint16_t port,
            const std::string& backend) {
    const Bytes ip =
        Ip4{.destination = vip} / (Tcp{.source = 46000, .destination = port} / filled(6));
    const Expect expect =
        backend.empty()
            ? drop(DropReason::unknown_port)
            : send(In::lan, Ethernet{.destination = backend, .source = net::lan_mac} / ip);
    return {name, In::wan, to_wan() / ip, expect};
}

Case udp_to(const std::string& name, const std::string& vip, std::uint16_t port,
            const std::string& backend) {
    const Bytes ip = Ip4{.destination = vip, .protocol = 17} /
                     (Udp{.source = 46001, .destination = port} / filled(18));
    const Expect expect =
        backend.empty()
            ? drop(DropReason::unknown_port)
            : send(In::lan, Ethernet{.destination = backend, .source = net::lan_mac} / ip);
    return {name, In::wan, to_wan() / ip, expect};
}

}  // namespace

Cases service_cases() {
    const std::string first = net::web4_mac, second = net::tunnel_mac, nobody;
    return {
        tcp_to("a port of a VIP without service", net::vip_web4, 81, nobody),
        tcp_to("port 0 of a VIP", net::vip_web4, 0, nobody),
        udp_to("UDP to a TCP service's port", net::vip_web4, 80, nobody),
        tcp_to("TCP to a UDP service's port", net::vip_dns4, 53, nobody),
        tcp_to("below a range", net::vip_range, 7999, nobody),
        tcp_to("the first port of a range", net::vip_range, 8000, first),
        tcp_to("the last port of a range", net::vip_range, 8099, first),
        tcp_to("above a range", net::vip_range, 8100, nobody),
        tcp_to("a single port within a range wins", net::vip_range, 8050, second),
        tcp_to("beside the single port the range serves", net::vip_range, 8051, first),
        udp_to("UDP to a TCP range", net::vip_range, 8000, nobody),
        tcp_to("any port, TCP", net::vip_any, 1, first),
        tcp_to("any port, the highest", net::vip_any, 65535, first),
        udp_to("any protocol, UDP", net::vip_any, 5353, first),
        udp_to("a named protocol and port win over any", net::vip_any, 53, second),
        tcp_to("the other protocol on that port stays with any", net::vip_any, 53, first),
        {"a service whose only backend is disabled", In::wan,
         to_wan() / (Ip4{.destination = net::vip_disabled} / (Tcp{.flags = 0x02} / Bytes{})),
         drop(DropReason::no_backend)},
        {"a protocol without ports to a VIP", In::wan,
         to_wan() / (Ip4{.destination = net::vip_web4, .protocol = 47} / filled(30)),
         drop(DropReason::unknown_port)},
    };
}

}  // namespace weir::test
