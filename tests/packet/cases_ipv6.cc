// SPDX-License-Identifier: BSD-3-Clause
// IPv6 headers and extension headers, right and wrong (RFC 8200).
#include "tests/packet/case.hh"

namespace weir::test {
namespace {

constexpr std::uint8_t hop_by_hop = 0, tcp = 6, routing = 43, fragment = 44, no_next = 59,
                       destination_options = 60;
const Bytes segment = Tcp{.source = 43000} / filled(10);

Ip6 to_vip(std::uint8_t next = tcp) {
    return {.destination = net::vip_web6, .next = next};
}

Case broken(const std::string& name, const Ip6& header, const Bytes& payload, DropReason reason,
            int fault) {
    return {name, In::wan, to_wan(0x86dd) / (header / payload), drop(reason), fault};
}

Case served(const std::string& name, const Ip6& header, const Bytes& payload, int fault) {
    const Bytes ip = header / payload;
    return {
        name, In::wan, to_wan(0x86dd) / ip,
        send(In::lan,
             Ethernet{.destination = net::web4_mac, .source = net::lan_mac, .type = 0x86dd} / ip),
        fault};
}

// `count` destination options headers before `last`.
Bytes chain(unsigned count, std::uint8_t last) {
    Bytes bytes;
    for (unsigned i = 0; i < count; ++i)
        bytes = bytes + extension(i + 1 == count ? last : destination_options);
    return bytes;
}

}  // namespace

Cases ipv6_cases() {
    Cases cases{
        served("plain TCP over IPv6", to_vip(), segment, 0),
        served("hop-by-hop options before TCP", to_vip(hop_by_hop), extension(tcp) + segment, 5),
        served("eight extension headers", to_vip(destination_options), chain(8, tcp) + segment, 5),
        broken("nine extension headers", to_vip(destination_options), chain(9, tcp) + segment,
               DropReason::ipv6_ext_chain, 5),
        broken("fifty extension headers", to_vip(destination_options), chain(50, tcp) + segment,
               DropReason::ipv6_ext_chain, 5),
        served("extension headers of 256 bytes", to_vip(destination_options),
               extension(tcp, 31) + segment, 5),
        broken("extension headers of 264 bytes", to_vip(destination_options),
               extension(destination_options, 31) + extension(tcp) + segment,
               DropReason::ipv6_ext_chain, 5),
        broken("an extension header past the packet", to_vip(destination_options),
               Bytes{tcp, 30, 1, 4, 0, 0, 0, 0} + segment, DropReason::ipv6_ext_chain, 5),
        broken("an extension header cut short", to_vip(destination_options), Bytes{tcp},
               DropReason::ipv6_ext_chain, 5),
        broken("a routing header of type 0", to_vip(routing), extension(tcp, 0, 0) + segment,
               DropReason::ip_source_route, 5),
        served("a routing header of another type without segments left", to_vip(routing),
               Bytes{tcp, 0, 4, 0, 0, 0, 0, 0} + segment, 5),
        served("an atomic fragment is whole", to_vip(fragment),
               fragment_header(tcp, 0, false) + segment, 0),
        broken("no next header", to_vip(no_next), Bytes{}, DropReason::unknown_port, 0),
        broken("a jumbogram", Ip6{.destination = net::vip_web6, .next = 0, .payload_length = 0},
               Bytes{tcp, 0, 0xc2, 4, 0, 1, 0, 0} + segment, DropReason::ip_bad_length, 5),
        broken("payload length beyond the frame",
               Ip6{.destination = net::vip_web6, .payload_length = 1000}, segment,
               DropReason::ip_bad_length, 2),
        broken("version 4 in an IPv6 frame", Ip6{.destination = net::vip_web6, .version = 4},
               segment, DropReason::ip_bad_header, 1),
        served("traffic class and flow label stay as they are",
               Ip6{.destination = net::vip_web6, .traffic_class = 0xbb, .flow_label = 0xabcde},
               segment, 0),
        broken("source equals destination over IPv6",
               Ip6{.source = net::vip_web6, .destination = net::vip_web6}, segment,
               DropReason::martian, 15),
    };
    for (const char* source : {"::1", "::", "ff02::1", "::ffff:192.0.2.1"})
        cases.push_back(broken(std::string("IPv6 source ") + source,
                               Ip6{.source = source, .destination = net::vip_web6}, segment,
                               DropReason::martian, 15));
    const Bytes cut = to_wan(0x86dd) / (to_vip() / Bytes{});
    cases.push_back({"an IPv6 header cut short", In::wan, Bytes(cut.begin(), cut.begin() + 50),
                     drop(DropReason::ip_bad_header), 1});
    return cases;
}

}  // namespace weir::test
