// SPDX-License-Identifier: BSD-3-Clause
// Ethernet and VLAN: whose frame is it, and is its tag the port's?
#include "tests/packet/case.hh"

namespace weir::test {
namespace {

const Bytes request = Ip4{.destination = net::vip_web4} / (Tcp{} / filled(20));
const Bytes tagged_request = Ip4{.destination = net::vip_web4} / (Tcp{.source = 41000} / filled(6));

Expect to_web4(const Bytes& ip) {
    return send(In::lan, Ethernet{.destination = net::web4_mac, .source = net::lan_mac} / ip);
}

Ethernet on_tagged(std::vector<std::uint16_t> tags, std::uint16_t tag_type = 0x8100) {
    return {.destination = net::tagged_mac,
            .source = net::client_mac,
            .tags = std::move(tags),
            .tag_type = tag_type};
}

Ethernet on_wan(std::vector<std::uint16_t> tags, std::uint16_t tag_type = 0x8100) {
    return {.destination = net::wan_mac,
            .source = net::client_mac,
            .tags = std::move(tags),
            .tag_type = tag_type};
}

}  // namespace

Cases ethernet_cases() {
    Cases cases{
        {"a frame for our MAC is served", In::wan, to_wan() / request, to_web4(request)},
        {"a unicast frame for another MAC is dropped", In::wan,
         Ethernet{.destination = net::other_mac, .source = net::client_mac} / request,
         drop(DropReason::not_our_mac)},
        {"a broadcast frame with a VIP inside is dropped", In::wan,
         Ethernet{.destination = net::broadcast, .source = net::client_mac} / request,
         drop(DropReason::not_our_mac)},
        {"a frame from our own MAC came back and is dropped", In::wan,
         Ethernet{.destination = net::wan_mac, .source = net::wan_mac} / request,
         drop(DropReason::tunnel_loop), 14},
        {"an EtherType that is not IP is dropped", In::wan, to_wan(0x88cc) / filled(46),
         drop(DropReason::not_ip)},
        {"an 802.3 length field is not IP", In::wan, to_wan(46) / filled(46),
         drop(DropReason::not_ip)},
        {"a tag on an untagged port is dropped", In::wan, on_wan({100}) / request,
         drop(DropReason::vlan_unexpected), 9},
        {"a priority tag on an untagged port is served, and the tag goes", In::wan,
         on_wan({0xa000}) / request, to_web4(request), 9},
        {"two tags are dropped", In::wan, on_wan({0, 100}) / request,
         drop(DropReason::vlan_unexpected), 9},
        {"three tags are dropped", In::wan, on_wan({0, 100, 200}) / request,
         drop(DropReason::vlan_unexpected), 9},
        {"a QinQ service tag is dropped", In::wan, on_wan({100, 200}, 0x88a8) / request,
         drop(DropReason::vlan_unexpected), 9},
        {"the configured tag is served, and the tag goes", In::tagged,
         on_tagged({100}) / tagged_request, to_web4(tagged_request), 9},
        {"priority bits beside the configured tag do not matter", In::tagged,
         on_tagged({0xe000 | 100}) / tagged_request, to_web4(tagged_request), 9},
        {"a priority tag on a tagged port is served", In::tagged, on_tagged({0}) / tagged_request,
         to_web4(tagged_request), 9},
        {"another tag on a tagged port is dropped", In::tagged, on_tagged({101}) / tagged_request,
         drop(DropReason::vlan_unexpected), 9},
        {"no tag on a tagged port is dropped", In::tagged, on_tagged({}) / tagged_request,
         drop(DropReason::vlan_unexpected), 9},
    };
    const Bytes whole = to_wan() / request;
    const auto first = [](const Bytes& bytes, std::ptrdiff_t count) {
        return Bytes(bytes.begin(), bytes.begin() + count);
    };
    for (const int length : {1, 6, 12, 13})
        cases.push_back({"a frame of " + std::to_string(length) + " bytes is dropped", In::wan,
                         first(whole, length), drop(DropReason::l2_truncated), 10});
    cases.push_back({"14 bytes with nothing behind are no IP header", In::wan, first(whole, 14),
                     drop(DropReason::ip_bad_header), 10});
    cases.push_back({"a tag without room for its type is dropped", In::wan,
                     first(on_wan({0}) / Bytes{}, 16), drop(DropReason::l2_truncated), 10});
    return cases;
}

}  // namespace weir::test
