// SPDX-License-Identifier: BSD-3-Clause
// full-nat that tells the backend the client's address. What needs the backend's answers is tested
// where connections are (tests/unit/dataplane/test_telling.cc).
#include "tests/packet/case.hh"

namespace weir::test {
namespace {

const std::string backend_mac = "02:00:00:00:01:41";
constexpr std::uint8_t syn = 0x02, ack = 0x10;
// As Linux sends them: MSS, SACK permitted, time stamps, window scale.
const Bytes usual{2, 4, 0x05, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7};

struct Segment {
    bool v4 = true;
    std::uint8_t flags = syn;
    std::uint16_t from = 51'000;
    Bytes options, data;
    Bytes ip_options;        // IPv4
    bool extension = false;  // IPv6
    std::uint32_t sequence = 0x11111111;
};

Bytes packet(const Segment& one, const std::string& source, const std::string& destination,
             std::uint16_t from, std::uint16_t to, std::uint8_t ttl) {
    const Bytes segment = summed(source, destination, 6,
                                 Tcp{.source = from,
                                     .destination = to,
                                     .flags = one.flags,
                                     .sequence = one.sequence,
                                     .options = one.options} /
                                     one.data);
    if (one.v4)
        return Ip4{.source = source,
                   .destination = destination,
                   .ttl = ttl,
                   .options = one.ip_options} /
               segment;
    const Ip6 ip{.source = source,
                 .destination = destination,
                 .next = static_cast<std::uint8_t>(one.extension ? 60 : 6),
                 .hop_limit = ttl};
    return ip / (one.extension ? extension(6) + segment : segment);
}

std::string client(const Segment& one) {
    return one.v4 ? "198.18.0.7" : "2001:db8:7::7";
}

// `vip`, `pool`: IPv4's; those of IPv6 are alike.
struct Way {
    std::string vip4, pool4, vip6, pool6;
    std::uint16_t port = 8080;
};
const Way by_toa{"203.0.113.160", "10.0.200.60", "2001:db8:443::160", "fd00:5:200::60"},
    by_proxy{"203.0.113.161", "10.0.200.60", "2001:db8:443::161", "fd00:5:200::60", 8081};

Bytes in_from(const Way& way, const Segment& one) {
    const std::uint16_t type = one.v4 ? 0x0800 : 0x86dd;
    return to_wan(type) / packet(one, client(one), one.v4 ? way.vip4 : way.vip6, one.from, 80, 64);
}

Case passes(const Way& way, const std::string& name, const Segment& one, const Segment& there) {
    const Bytes frame = Ethernet{.destination = backend_mac,
                                 .source = net::lan_mac,
                                 .type = static_cast<std::uint16_t>(one.v4 ? 0x0800 : 0x86dd)} /
                        packet(there, one.v4 ? way.pool4 : way.pool6,
                               one.v4 ? "10.0.1.41" : "fd00:5::41", 1024, way.port, 63);
    Expect expect = send(In::lan, frame);
    expect.pool_port_at =
        one.v4 ? 34 + one.ip_options.size() : 54 + (one.extension ? std::size_t{8} : 0);
    return {name, In::wan, in_from(way, one), expect};
}

// TOA: the option that the backend gets.
Bytes option(const Segment& one) {
    return Bytes{254, static_cast<std::uint8_t>(one.v4 ? 8 : 20),
                 static_cast<std::uint8_t>(one.from >> 8), static_cast<std::uint8_t>(one.from)} +
           address(client(one));
}

Case told(const std::string& name, const Segment& one) {
    Segment there = one;
    there.options = option(one) + one.options;
    return passes(by_toa, name, one, there);
}

Cases toa() {
    const Bytes forged{254, 8, 0, 80, 9, 9, 9, 9};
    Segment late{.flags = ack, .from = 51'010, .data = filled(5)};
    Segment lying{.from = 51'011, .options = usual + forged}, blanked = lying;
    blanked.options = option(lying) + usual + filled(8, 1);
    Segment full{.from = 51'012, .options = filled(36, 1)};
    Segment full6{.v4 = false, .from = 51'013, .options = usual + filled(4, 1)};
    Segment late_lie = late, late_blank = late;
    late_lie.options = forged;
    late_blank.options = filled(8, 1);
    return {
        told("toa: a SYN gets the client's address and port", {.options = usual}),
        told("toa: a SYN over IPv6 as well, in the last room that its header has",
             {.v4 = false, .from = 51'001, .options = usual}),
        told("toa: a SYN without options", {.from = 51'002}),
        told("toa: a SYN with data, of an odd number of bytes",
             {.from = 51'003, .options = usual, .data = filled(7)}),
        told("toa: IPv4 options stay in front", {.from = 51'004, .ip_options = filled(8, 1)}),
        told("toa: an IPv6 extension header stays in front",
             {.v4 = false, .from = 51'005, .extension = true}),
        passes(by_toa, "toa: a client's own claim is overwritten", lying, blanked),
        passes(by_toa, "toa: a full header goes without", full, full),
        passes(by_toa, "toa: a header too full for IPv6's option goes without", full6, full6),
        passes(by_toa, "toa: a connection whose begin nobody saw goes on without", late, late),
        passes(by_toa, "toa: and claims nothing either", late_lie, late_blank),
    };
}

// PROXY protocol: a stream that begins 28 or 52 bytes earlier to the backend.
Case earlier(const std::string& name, const Segment& one) {
    Segment there = one;
    there.sequence -= one.v4 ? 28 : 52;
    there.data = {};
    return passes(by_proxy, name, one, there);
}

Cases proxy_v2() {
    const Segment late{.flags = ack, .from = 52'010, .data = filled(5)};
    return {
        earlier("proxy v2: a SYN makes room for the header in the sequence numbers",
                {.from = 52'000, .options = usual}),
        earlier("proxy v2: over IPv6 as well", {.v4 = false, .from = 52'001, .options = usual}),
        earlier("proxy v2: across the end of the numbers",
                {.from = 52'002, .options = usual, .sequence = 5}),
        earlier("proxy v2: the data of a SYN waits for the handshake",
                {.from = 52'003, .options = usual, .data = filled(101)}),
        earlier("proxy v2: the data of a SYN over IPv6 as well, behind an extension header",
                {.v4 = false, .from = 52'004, .data = filled(1000), .extension = true}),
        earlier("proxy v2: IPv4 options stay",
                {.from = 52'005, .data = filled(2), .ip_options = filled(12, 1)}),
        passes(by_proxy, "proxy v2: a connection whose begin nobody saw goes on without", late,
               late),
    };
}

}  // namespace

Cases client_address_cases() {
    Cases all = toa();
    for (const Case& one : proxy_v2())
        all.push_back(one);
    return all;
}

}  // namespace weir::test
