// SPDX-License-Identifier: BSD-3-Clause
// A service with mss_clamp = 1400: SYNs announce no more, and their checksum is right.
#include <algorithm>

#include "tests/packet/case.hh"

namespace weir::test {
namespace {

const std::string vip4 = "203.0.113.95", vip44 = "203.0.113.96", vip6 = "2001:db8:443::95";
constexpr std::uint8_t syn = 0x02, ack = 0x10;

Bytes mss_option(std::uint16_t mss) {
    return {2, 4, static_cast<std::uint8_t>(mss >> 8), static_cast<std::uint8_t>(mss)};
}

// A whole segment with the checksum that these addresses ask for. `options`: a multiple of 4 bytes.
Bytes segment(const std::string& from, const std::string& to, const Bytes& options,
              std::uint8_t flags = syn) {
    const std::size_t words = 5 + options.size() / 4;
    Bytes bytes = Tcp{.source = 49000,
                      .destination = 80,
                      .flags = flags,
                      .data_offset = static_cast<std::uint8_t>(words),
                      .checksum = 0} /
                  Bytes{};
    std::copy(options.begin(), options.end(), bytes.begin() + 20);
    const Bytes pseudo =
        address(from) + address(to) + Bytes{0, 6, 0, static_cast<std::uint8_t>(bytes.size())};
    const std::uint16_t sum = internet_checksum(pseudo + bytes);
    bytes[16] = static_cast<std::uint8_t>(sum >> 8);
    bytes[17] = static_cast<std::uint8_t>(sum);
    return bytes;
}
Bytes packet4(const std::string& vip, const Bytes& options, std::uint8_t flags = syn) {
    const Ip4 header{.destination = vip};
    return header / segment(header.source, vip, options, flags);
}
Bytes packet6(const std::string& vip, const Bytes& options) {
    Ip6 header{.destination = vip, .next = 60};
    return header / (extension(6) + segment(header.source, vip, options));
}

Case direct(const std::string& name, const Bytes& in, const Bytes& out) {
    const bool v4 = in[0] >> 4 == 4;
    const std::uint16_t type = v4 ? 0x0800 : 0x86dd;
    return {
        name, In::wan, to_wan(type) / in,
        send(In::lan,
             Ethernet{.destination = net::web4_mac, .source = net::lan_mac, .type = type} / out)};
}
Expect tunnelled(const Bytes& inner) {
    const Ip4 outer{.source = "198.18.64.0", .destination = "10.0.1.12", .protocol = 4, .id = 0};
    Expect expect = send(In::lan, Ethernet{.destination = net::tunnel_mac, .source = net::lan_mac} /
                                      (outer / inner));
    expect.entropy_at = 14 + 12;
    expect.entropy_prefix = 24;
    return expect;
}

}  // namespace

Cases mss_cases() {
    const Bytes large = mss_option(1460), clamped = mss_option(1400), nops{1, 1}, pair{1, 1, 1},
                usual{4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7};
    const auto same = [](const std::string& name, const Bytes& packet) {
        return direct(name, packet, packet);
    };
    return {
        direct("the MSS of a SYN is lowered", packet4(vip4, large + usual),
               packet4(vip4, clamped + usual)),
        direct("the MSS behind other options is lowered", packet4(vip4, nops + large + nops),
               packet4(vip4, nops + clamped + nops)),
        direct("the MSS at an odd place is lowered", packet4(vip4, Bytes{1} + large + pair),
               packet4(vip4, Bytes{1} + clamped + pair)),
        direct("the MSS of a SYN-ACK is lowered", packet4(vip4, large, syn | ack),
               packet4(vip4, clamped, syn | ack)),
        direct("the MSS behind IPv6 extension headers is lowered", packet6(vip6, large),
               packet6(vip6, clamped)),
        {"the MSS of a SYN in a tunnel is lowered", In::wan, to_wan() / packet4(vip44, large),
         tunnelled(packet4(vip44, clamped))},
        same("a smaller MSS is not raised", packet4(vip4, mss_option(1200))),
        same("the clamp's own MSS stays", packet4(vip4, clamped)),
        same("a SYN without MSS stays", packet4(vip4, usual)),
        same("a segment without SYN stays", packet4(vip4, large, ack)),
        same("an MSS option that runs past the header stays", packet4(vip4, Bytes{1, 1, 2, 4})),
        same("an option without length ends the walk", packet4(vip4, Bytes{3, 0, 1, 1} + large)),
        direct("a service without the key leaves the MSS alone", packet4(net::vip_web4, large),
               packet4(net::vip_web4, large)),
    };
}

}  // namespace weir::test
