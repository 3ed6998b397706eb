// SPDX-License-Identifier: BSD-3-Clause
// full-nat between families (RFC 7915): IPv6 clients of IPv4 backends, and IPv4 clients of IPv6
// backends. Replies, fragments and ICMP errors need a flow that has a binding, and are tested where
// flows are (tests/unit/dataplane/test_families.cc).
#include <string>

#include "tests/packet/case.hh"

namespace weir::test {
namespace {

constexpr std::uint16_t dont_fragment = 0x4000, more_fragments = 0x2000;
const std::string backend_mac = "02:00:00:00:01:41";
const std::string client4 = "198.18.0.7", client6 = "2001:db8:7::7";
// VIPs of IPv4 have backends of IPv6.
const std::string vip4 = "203.0.113.170", vip6 = "2001:db8:443::170", vip4_wan = "203.0.113.171",
                  vip4_toa = "203.0.113.172", vip6_toa = "2001:db8:443::172";
const std::string pool4 = "10.0.200.70", pool6 = "fd00:5:200::70", backend4 = "10.0.1.41",
                  backend6 = "fd00:5::41";
constexpr std::uint16_t backend_port = 8080;

// What both families say of a packet.
struct Segment {
    std::uint16_t from = 40000;
    bool udp = false, sum = true;
    Bytes data = filled(10), options = {};
    std::uint8_t traffic_class = 0, ttl = 64, flags = 0x10;

    [[nodiscard]] std::uint8_t protocol() const { return udp ? 17 : 6; }
    [[nodiscard]] Bytes between(const std::string& source, const std::string& destination,
                                std::uint16_t source_port, std::uint16_t to) const {
        const Bytes bare = udp ? Udp{.source = source_port, .destination = to, .checksum = 0} / data
                               : Tcp{.source = source_port,
                                     .destination = to,
                                     .flags = flags,
                                     .options = options} /
                                     data;
        return sum ? summed(source, destination, protocol(), bare) : bare;
    }
};

// As the client sends it; `more`: headers between IPv6's and the segment, `next` the first.
Bytes from6(const Segment& one, const std::string& vip = vip6, std::uint8_t next = 0,
            const Bytes& more = {}) {
    const Ip6 ip{.source = client6,
                 .destination = vip,
                 .next = more.empty() ? one.protocol() : next,
                 .hop_limit = one.ttl,
                 .traffic_class = one.traffic_class,
                 .flow_label = 0xabcde};
    return ip / (more + one.between(client6, vip, one.from, 80));
}
Bytes from4(const Segment& one, const std::string& vip = vip4,
            std::uint16_t fragment = dont_fragment, const Bytes& options = {}) {
    const Ip4 ip{.source = client4,
                 .destination = vip,
                 .protocol = one.protocol(),
                 .ttl = one.ttl,
                 .tos = one.traffic_class,
                 .fragment = fragment,
                 .options = options};
    return ip / one.between(client4, vip, one.from, 80);
}

// As the backend gets it. `id`: 0 for one that is Weir's, in a packet that may be fragmented.
Expect to_backend4(const Segment& one, bool may_fragment) {
    const Ip4 ip{.source = pool4,
                 .destination = backend4,
                 .protocol = one.protocol(),
                 .ttl = static_cast<std::uint8_t>(one.ttl - 1),
                 .tos = one.traffic_class,
                 .id = may_fragment ? std::uint16_t{1} : std::uint16_t{0},
                 .fragment = may_fragment ? std::uint16_t{0} : dont_fragment};
    Expect expect = send(In::lan, Ethernet{.destination = backend_mac, .source = net::lan_mac} /
                                      (ip / one.between(pool4, backend4, 1024, backend_port)));
    expect.pool_port_at = 14 + 20;
    expect.fragment_id_at = may_fragment ? 14 + 4 : 0;
    return expect;
}
Expect to_backend6(const Segment& one) {
    const Ip6 ip{.source = pool6,
                 .destination = backend6,
                 .next = one.protocol(),
                 .hop_limit = static_cast<std::uint8_t>(one.ttl - 1),
                 .traffic_class = one.traffic_class};
    Expect expect =
        send(In::lan, Ethernet{.destination = backend_mac, .source = net::lan_mac, .type = 0x86dd} /
                          (ip / one.between(pool6, backend6, 1024, backend_port)));
    expect.pool_port_at = 14 + 40;
    return expect;
}

Bytes wan6(const Bytes& ip) {
    return to_wan(0x86dd) / ip;
}
Bytes wan4(const Bytes& ip) {
    return to_wan() / ip;
}

Cases from_ipv6() {
    const Segment tcp{.from = 52'000}, udp{.from = 52'001, .udp = true},
        marked{.from = 52'002, .traffic_class = 0xb9, .ttl = 2};
    const Segment longest{.from = 52'003, .data = filled(1260 - 40)},
        longer{.from = 52'004, .data = filled(1261 - 40)}, odd{.from = 52'005, .data = filled(7)};
    const Segment syn{.from = 52'006, .data = {}, .options = {2, 4, 0x05, 0xa0}, .flags = 2};
    // `atomic`: no other packet looks like it but for the identification.
    const Segment extended{.from = 52'007}, atomic{.from = 52'008, .data = filled(11)};
    Bytes arrived = extension(6, 1, 4);
    arrived[3] = 0;
    Expect kept = to_backend4(atomic, true);
    kept.fragment_id_at = 0;
    const Ip4 numbered{
        .source = pool4, .destination = backend4, .ttl = 63, .id = 0x5678, .fragment = 0};
    kept.frame = Ethernet{.destination = backend_mac, .source = net::lan_mac} /
                 (numbered / atomic.between(pool4, backend4, 1024, backend_port));
    return {
        {"families: IPv6 TCP goes to an IPv4 backend, DF clear as it is short", In::wan,
         wan6(from6(tcp)), to_backend4(tcp, true)},
        {"families: IPv6 UDP as well", In::wan, wan6(from6(udp)), to_backend4(udp, true)},
        {"families: DSCP and ECN stay, the flow label goes, the hop limit becomes the TTL", In::wan,
         wan6(from6(marked)), to_backend4(marked, true)},
        {"families: 1260 bytes of IPv4 may still be fragmented", In::wan, wan6(from6(longest)),
         to_backend4(longest, true)},
        {"families: 1261 bytes may not, and have identification 0", In::wan, wan6(from6(longer)),
         to_backend4(longer, false)},
        {"families: an odd number of bytes", In::wan, wan6(from6(odd)), to_backend4(odd, true)},
        {"families: a SYN with its options", In::wan, wan6(from6(syn)), to_backend4(syn, true)},
        {"families: IPv6 extension headers stay behind", In::wan,
         wan6(from6(extended, vip6, 0, extension(60) + extension(6, 1))),
         to_backend4(extended, true)},
        {"families: a routing header without segments left stays behind, too", In::wan,
         wan6(from6(extended, vip6, 43, arrived)), to_backend4(extended, true)},
        {"families: an atomic fragment keeps its identification", In::wan,
         wan6(from6(atomic, vip6, 44, fragment_header(6, 0, false, 0x12345678))), kept},
        {"families: a packet whose hop limit ends here is answered in its own family", In::wan,
         wan6(from6({.from = 52'009, .ttl = 1})),
         answer(In::wan, DropReason::ttl_expired,
                Ethernet{.destination = net::client_mac, .source = net::wan_mac, .type = 0x86dd} /
                    told_by6(vip6, 3, 0, from6({.from = 52'009, .ttl = 1})))},
    };
}

Cases from_ipv4() {
    const Segment tcp{.from = 52'100}, udp{.from = 52'101, .udp = true},
        marked{.from = 52'102, .traffic_class = 0x2e, .ttl = 2}, optional{.from = 52'103};
    Segment bare{.from = 52'104, .udp = true, .sum = false}, summed_udp = bare;
    summed_udp.sum = true;
    Segment bare_odd = bare, odd = summed_udp;
    bare_odd.from = odd.from = 52'105;
    bare_odd.data = odd.data = filled(9, 0x5a);
    const Segment full{.from = 52'106, .data = filled(1500 - 40)}, free{.from = 52'107};
    const Segment syn{.from = 52'108, .data = {}, .options = {2, 4, 0x05, 0xb4}, .flags = 2};
    const Segment short_one{.from = 52'109, .data = filled(1)};
    return {
        {"families: IPv4 TCP goes to an IPv6 backend", In::wan, wan4(from4(tcp)), to_backend6(tcp)},
        {"families: IPv4 UDP as well", In::wan, wan4(from4(udp)), to_backend6(udp)},
        {"families: TOS becomes the traffic class, the TTL the hop limit", In::wan,
         wan4(from4(marked)), to_backend6(marked)},
        {"families: IPv4 options stay behind", In::wan,
         wan4(from4(optional, vip4, dont_fragment, filled(8, 1))), to_backend6(optional)},
        {"families: UDP without a checksum gets one", In::wan, wan4(from4(bare)),
         to_backend6(summed_udp)},
        {"families: over an odd number of bytes as well", In::wan, wan4(from4(bare_odd)),
         to_backend6(odd)},
        {"families: a full packet where there is room for the longer header", In::wan,
         wan4(from4(full)), to_backend6(full)},
        {"families: without DF a packet that fits has no fragment header", In::wan,
         wan4(from4(free, vip4, 0)), to_backend6(free)},
        {"families: a SYN over IPv4 with its options", In::wan, wan4(from4(syn)), to_backend6(syn)},
        {"families: Ethernet padding stays behind", In::wan, wan4(from4(short_one)) + filled(6, 0),
         to_backend6(short_one)},
    };
}

Cases refused() {
    const Segment full{.from = 52'200, .data = filled(1500 - 40)},
        late{.from = 52'201, .data = filled(1480 - 40)},
        bare{.from = 52'202, .udp = true, .sum = false, .data = filled(16)};
    Bytes first = from4(bare, vip4, more_fragments);
    const Segment piece{.from = 52'203, .udp = true, .data = filled(24)};
    const Bytes inner = from6(piece, vip6, 44, fragment_header(60, 0, true) + extension(17));
    const Bytes on_its_way = from6(piece, vip6, 0, extension(43) + extension(17, 0, 4));
    return {
        {"families: a packet that does not fit with the longer header is told what does", In::wan,
         wan4(from4(full, vip4_wan)),
         answer(In::wan, DropReason::too_big,
                Ethernet{.destination = net::client_mac, .source = net::wan_mac} /
                    told_by4(vip4_wan, 3, 4, 1480, from4(full, vip4_wan)))},
        {"families: the first fragment of UDP without a checksum", In::wan, wan4(first),
         drop(DropReason::udp_zero_checksum)},
        {"families: extension headers behind a fragment header", In::wan, wan6(inner),
         drop(DropReason::ipv6_ext_chain)},
        {"families: a packet that its routing header sends to others yet", In::wan,
         wan6(on_its_way), drop(DropReason::ipv6_ext_chain)},
    };
}

// The option has the client's address, whatever the packet's family.
Cases toa() {
    const Segment one6{.from = 52'300, .data = {}, .options = {2, 4, 0x05, 0xa0}, .flags = 2},
        one4{.from = 52'301, .data = {}, .options = {2, 4, 0x05, 0xb4}, .flags = 2};
    Segment there6 = one6, there4 = one4;
    const auto option = [](std::uint16_t port, const std::string& client) {
        const Bytes at = address(client);
        return Bytes{254, static_cast<std::uint8_t>(4 + at.size()),
                     static_cast<std::uint8_t>(port >> 8), static_cast<std::uint8_t>(port)} +
               at;
    };
    there6.options = option(one6.from, client6) + one6.options;
    there4.options = option(one4.from, client4) + one4.options;
    return {{"families: toa tells an IPv4 backend the client's IPv6 address", In::wan,
             wan6(from6(one6, vip6_toa)), to_backend4(there6, true)},
            {"families: toa tells an IPv6 backend the client's IPv4 address", In::wan,
             wan4(from4(one4, vip4_toa)), to_backend6(there4)}};
}

}  // namespace

Cases family_cases() {
    Cases all;
    for (const Cases& part : {from_ipv6(), from_ipv4(), refused(), toa()})
        all.insert(all.end(), part.begin(), part.end());
    return all;
}

}  // namespace weir::test
