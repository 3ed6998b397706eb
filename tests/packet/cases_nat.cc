// SPDX-License-Identifier: BSD-3-Clause
// Translation of addresses: a request leaves for the backend's address and port, a reply for the
// client from the VIP and its port, each a hop older and with the checksums that a sum over all of
// it gives.
#include "tests/packet/case.hh"

namespace weir::test {
namespace {

const std::string vip4 = "203.0.113.110", vip6 = "2001:db8:443::110", vip_range = "203.0.113.111",
                  vip_tagged = "203.0.113.112";
const std::string backend4 = "10.0.1.41", backend6 = "fd00:5::41", backend_tagged = "10.9.0.11";
const std::string backend_mac = "02:00:00:00:01:41";
const std::string client4 = "198.18.0.7", client6 = "2001:db8:7::7";

// One packet with everything that translation changes as a field.
struct Datagram {
    std::string source, destination;
    std::uint16_t from = 40000, to = 80;
    bool udp = false;
    Bytes data = filled(11);
    std::uint8_t ttl = 64;
    Bytes options;  // IPv4
    bool sum = true;
    std::uint8_t flags = 0x10;

    [[nodiscard]] bool is_v4() const { return source.find(':') == std::string::npos; }
    [[nodiscard]] std::uint8_t protocol() const { return udp ? 17 : 6; }
    [[nodiscard]] Bytes segment() const {
        const Bytes plain =
            udp ? Udp{.source = from, .destination = to, .checksum = 0} / data
                : Tcp{.source = from, .destination = to, .flags = flags, .checksum = 0xbeef} / data;
        return sum ? summed(source, destination, protocol(), plain) : plain;
    }
    [[nodiscard]] Bytes packet() const {
        if (is_v4())
            return Ip4{.source = source,
                       .destination = destination,
                       .protocol = protocol(),
                       .ttl = ttl,
                       .options = options} /
                   segment();
        return Ip6{.source = source,
                   .destination = destination,
                   .next = protocol(),
                   .hop_limit = ttl} /
               segment();
    }
    [[nodiscard]] std::uint16_t type() const { return is_v4() ? 0x0800 : 0x86dd; }
};

Datagram request4() {
    return {.source = client4, .destination = vip4};
}
Datagram request6() {
    return {.source = client6, .destination = vip6};
}
Datagram udp_request(Datagram request) {
    request.udp = true;
    request.to = 53;
    return request;
}
// What its backend gets, and what that answers.
Datagram at_backend(Datagram request) {
    request.destination = request.is_v4() ? backend4 : backend6;
    if (!request.udp) request.to = 8080;
    --request.ttl;
    return request;
}
Datagram reply(const Datagram& request) {
    Datagram answer = at_backend(request);
    std::swap(answer.source, answer.destination);
    std::swap(answer.from, answer.to);
    answer.ttl = 64;
    return answer;
}
Datagram at_client(Datagram answer, const Datagram& request) {
    answer.source = request.destination;
    answer.from = request.to;
    --answer.ttl;
    return answer;
}

Bytes to_weir(const Datagram& one, In in) {
    const std::string& mac = in == In::wan ? net::wan_mac : net::lan_mac;
    const std::string& source = in == In::wan ? net::client_mac : backend_mac;
    return Ethernet{.destination = mac, .source = source, .type = one.type()} / one.packet();
}
Bytes to_backend(const Datagram& one) {
    return Ethernet{.destination = backend_mac, .source = net::lan_mac, .type = one.type()} /
           one.packet();
}
Bytes to_gateway(const Datagram& one) {
    return Ethernet{.destination = net::gateway_mac, .source = net::wan_mac, .type = one.type()} /
           one.packet();
}

Case request(const std::string& name, const Datagram& one, int fault = 0) {
    return {name, In::wan, to_weir(one, In::wan), send(In::lan, to_backend(at_backend(one))),
            fault};
}
Case answered(const std::string& name, const Datagram& asked, Datagram answered, int fault = 0) {
    return {name, In::lan, to_weir(answered, In::lan),
            send(In::wan, to_gateway(at_client(answered, asked))), fault};
}
Case refused(const std::string& name, const Datagram& one, In in, Expect expect, int fault = 0) {
    return {name, in, to_weir(one, in), std::move(expect), fault};
}

// Two bytes of data that make the sum of `one`, sent on by `next`, come out as 0.
template <typename Next>
Datagram with_zero_sum(Datagram one, Next next) {
    one.data = {0, 0};
    Datagram plain = next(one);
    const Bytes segment = plain.segment();
    const std::size_t at = plain.udp ? 6 : 16;
    // The inverted sum, as data, adds up to all ones with the rest.
    one.data = {segment[at], segment[at + 1]};
    return one;
}

Cases requests() {
    Datagram odd = request4(), even = request4(), old = request4(), options = request4(),
             empty = udp_request(request4()), no_sum = udp_request(request4());
    odd.data = filled(1);
    even.data = filled(1000);
    old.ttl = 2;
    options.options = filled(12, 1);
    empty.data = {};
    no_sum.sum = false;
    return {
        request("nat: a TCP segment goes to the backend's address and port, a hop older",
                request4(), 8),
        request("nat: over IPv6 as well", request6()),
        request("nat: a UDP datagram keeps its port where the backend names none",
                udp_request(request4())),
        request("nat: UDP over IPv6 as well", udp_request(request6())),
        request("nat: an odd number of bytes", odd),
        request("nat: an even number of bytes, many of them", even),
        request("nat: a UDP datagram without data", empty),
        request("nat: a TTL of 2 leaves as 1", old),
        request("nat: IPv4 options stay, and the checksum counts them", options, 4),
        request("nat: a UDP datagram without a checksum over IPv4 keeps none", no_sum, 7),
        request("nat: a UDP sum that becomes 0 leaves as all ones",
                with_zero_sum(udp_request(request4()), at_backend), 7),
        request("nat: a UDP sum over IPv6 that becomes 0 leaves as all ones",
                with_zero_sum(udp_request(request6()), at_backend), 7),
        request("nat: a TCP sum that becomes 0 leaves as 0", with_zero_sum(request4(), at_backend)),
        request("nat: a UDP checksum of all ones is translated like any",
                with_zero_sum(udp_request(request4()), [](const Datagram& one) { return one; })),
    };
}

Cases replies() {
    const Datagram asked = request4(), asked6 = request6(), asked_udp = udp_request(request4()),
                   asked_udp6 = udp_request(request6());
    const auto back = [](const Datagram& request) {
        return [request](const Datagram& one) { return at_client(one, request); };
    };
    Datagram no_sum = reply(asked_udp), odd = reply(asked), stranger = reply(asked);
    no_sum.sum = false;
    odd.data = filled(3);
    stranger.to = 41'000;
    Datagram near = reply(asked);
    near.destination = "198.51.100.22";
    Cases cases{
        answered("nat: a TCP reply leaves for the client from the VIP and its port", asked,
                 reply(asked)),
        answered("nat: a reply over IPv6 as well", asked6, reply(asked6)),
        answered("nat: a UDP reply", asked_udp, reply(asked_udp)),
        answered("nat: a UDP reply over IPv6", asked_udp6, reply(asked_udp6)),
        answered("nat: a reply of an odd number of bytes", asked, odd),
        answered("nat: a UDP reply without a checksum keeps none", asked_udp, no_sum, 7),
        answered("nat: a UDP reply whose sum becomes 0 leaves as all ones", asked_udp,
                 with_zero_sum(reply(asked_udp), back(asked_udp)), 7),
        answered("nat: a UDP reply over IPv6 whose sum becomes 0 leaves as all ones", asked_udp6,
                 with_zero_sum(reply(asked_udp6), back(asked_udp6)), 7),
        answered("nat: a TCP reply whose sum becomes 0 leaves as 0", asked,
                 with_zero_sum(reply(asked), back(asked))),
        answered("nat: a reply of a flow that nobody knows is translated all the same", asked,
                 stranger),
    };
    cases.push_back(
        {"nat: a client on the port's own network gets the reply without the gateway", In::lan,
         to_weir(near, In::lan),
         send(In::wan, Ethernet{.destination = net::wan_backend_mac, .source = net::wan_mac} /
                           at_client(near, asked).packet())});
    return cases;
}

Cases refusals() {
    const Datagram asked = request4();
    Datagram old = asked, old_reply = reply(asked), near = reply(asked), own = reply(asked),
             other_port = reply(asked), group = reply(asked), big = reply(asked),
             big6 = reply(request6());
    old.ttl = 1;
    old_reply.ttl = 1;
    near.destination = "198.51.100.77";
    own.destination = "10.0.0.5";
    other_port.from = 8081;
    group.destination = "224.0.0.5";
    big.data = filled(1500 - 40 + 1);
    big6.data = filled(1500 - 60 + 1);
    Datagram zero6 = udp_request(request6());
    zero6.sum = false;
    const Bytes to_all =
        Ethernet{.destination = net::broadcast, .source = backend_mac} / reply(asked).packet();
    return {
        refused("nat: a request with TTL 1 is answered by the VIP", old, In::wan,
                answer(In::wan, DropReason::ttl_expired,
                       Ethernet{.destination = net::client_mac, .source = net::wan_mac} /
                           told_by4(vip4, 11, 0, 0, old.packet())),
                13),
        refused("nat: a reply with TTL 1 is dropped as ttl_expired", old_reply, In::lan,
                drop(DropReason::ttl_expired), 13),
        refused("nat: UDP over IPv6 without a checksum is dropped", zero6, In::wan,
                drop(DropReason::udp_zero_checksum), 7),
        refused("nat: a reply to a client on the port's network whose MAC is not known", near,
                In::lan, drop(DropReason::no_neighbor)),
        refused("nat: a reply to a multicast address is dropped as martian", group, In::lan,
                drop(DropReason::martian), 15),
        refused("nat: a reply above the MTU towards the client is answered by the port's address",
                big, In::lan,
                answer(In::lan, DropReason::too_big,
                       Ethernet{.destination = backend_mac, .source = net::lan_mac} /
                           told_by4("10.0.0.5", 3, 4, 1500, big.packet(), backend4)),
                20),
        refused(
            "nat: a reply over IPv6 above the MTU towards the client is answered, too", big6,
            In::lan,
            answer(In::lan, DropReason::too_big,
                   Ethernet{.destination = backend_mac, .source = net::lan_mac, .type = 0x86dd} /
                       told_by6("fd00:5::5", 2, 1500, big6.packet(), backend6)),
            20),
        refused("nat: what the backend sends to our own address is the kernel's", own, In::lan,
                punt(PuntClass::other)),
        refused("nat: what the backend sends from another port is the kernel's", other_port,
                In::lan, punt(PuntClass::other)),
        {"nat: a reply to everybody's MAC is the kernel's", In::lan, to_all,
         punt(PuntClass::other)},
    };
}

// Services of several ports, tags, extension headers, and backends that are clients themselves.
Cases corners() {
    const Datagram ranged{.source = client4, .destination = vip_range, .to = 8042};
    Datagram ranged_there = ranged;
    ranged_there.destination = backend4;
    --ranged_there.ttl;
    Datagram ranged_back{.source = backend4, .destination = client4, .from = 8042, .to = 40000};
    Datagram ranged_home = ranged_back;
    ranged_home.source = vip_range;
    --ranged_home.ttl;
    const Datagram any{.source = client4, .destination = vip_tagged, .to = 4433, .udp = true};
    Datagram any_there = any;
    any_there.destination = backend_tagged;
    --any_there.ttl;
    Datagram any_back{
        .source = backend_tagged, .destination = client4, .from = 4433, .to = 40000, .udp = true};
    Datagram any_home = any_back;
    any_home.source = vip_tagged;
    --any_home.ttl;
    Datagram as_client{.source = backend4, .destination = net::vip_web4, .from = 8080};
    const auto chained = [](const Datagram& one) {
        return Ip6{.source = one.source,
                   .destination = one.destination,
                   .next = 60,
                   .hop_limit = one.ttl} /
               (extension(6) + one.segment());
    };
    Ethernet link6 = to_wan(0x86dd);
    Ethernet from_tagged{.destination = net::tagged_mac, .source = net::tagged_backend_mac};
    from_tagged.tags = {100};
    Ethernet tagged{.destination = net::tagged_backend_mac, .source = net::tagged_mac};
    tagged.tags = {100};
    Bytes padded = to_weir(request4(), In::wan), padded_there = to_backend(at_backend(request4()));
    return {
        {"nat: a port of a range stays", In::wan, to_weir(ranged, In::wan),
         send(In::lan, to_backend(ranged_there))},
        {"nat: a reply from a port of a range comes from that port of the VIP", In::lan,
         to_weir(ranged_back, In::lan), send(In::wan, to_gateway(ranged_home))},
        {"nat: a request leaves with the tag of its port", In::wan, to_weir(any, In::wan),
         send(In::tagged, tagged / any_there.packet())},
        {"nat: a reply with the tag of its port leaves without one", In::tagged,
         from_tagged / any_back.packet(), send(In::wan, to_gateway(any_home))},
        {"nat: behind an IPv6 extension header as well", In::wan, link6 / chained(request6()),
         send(In::lan,
              Ethernet{.destination = backend_mac, .source = net::lan_mac, .type = 0x86dd} /
                  chained(at_backend(request6()))),
         5},
        {"nat: Ethernet padding is no part of the checksum", In::wan, padded + filled(6, 0xff),
         send(In::lan, padded_there + filled(6, 0xff)), 2},
        {"nat: a backend that asks a VIP is a client", In::lan, to_weir(as_client, In::lan),
         send(In::lan,
              Ethernet{.destination = net::web4_mac, .source = net::lan_mac} / as_client.packet())},
    };
}

// full-nat: the source is of the pool, too. Replies need a flow that has a binding, and are tested
// where flows are (tests/unit/dataplane/test_full_nat.cc).
const std::string vip_full4 = "203.0.113.115", vip_full6 = "2001:db8:443::115",
                  pool4 = "10.0.200.1", pool6 = "fd00:5:200::1";

Case full(const std::string& name, const Datagram& one, int fault = 0) {
    Datagram there = one;
    there.source = one.is_v4() ? pool4 : pool6;
    there.destination = one.is_v4() ? backend4 : backend6;
    there.from = 1024;
    there.to = 8080;
    --there.ttl;
    Expect expect = send(In::lan, to_backend(there));
    expect.pool_port_at = 14 + (one.is_v4() ? 20 + one.options.size() : 40);
    return {name, In::wan, to_weir(one, In::wan), std::move(expect), fault};
}

Cases full_nat() {
    const Datagram tcp4{.source = client4, .destination = vip_full4, .from = 50'001},
        tcp6{.source = client6, .destination = vip_full6, .from = 50'002};
    Datagram udp4 = tcp4, udp6 = tcp6, no_sum = tcp4, options = tcp4, odd = tcp4;
    udp4.udp = udp6.udp = no_sum.udp = true;
    no_sum.from = 50'003;
    no_sum.sum = false;
    options.from = 50'004;
    options.options = filled(8, 1);
    odd.from = 50'005;
    odd.data = filled(7);
    Datagram stray{.source = backend4, .destination = pool4, .from = 8080, .to = 65'535};
    Datagram low = stray, old = stray, other = stray;
    low.to = 80;
    old.ttl = 1;
    other.source = "10.0.1.11";
    const Bytes ping =
        Ethernet{.destination = net::lan_mac, .source = backend_mac} /
        (Ip4{.source = backend4, .destination = pool4, .protocol = 1} / icmp(8, 0, filled(12)));
    return {
        full("full-nat: a TCP segment comes from the pool and goes to the backend's port", tcp4),
        full("full-nat: TCP over IPv6 as well", tcp6),
        full("full-nat: a UDP datagram", udp4),
        full("full-nat: UDP over IPv6 as well", udp6),
        full("full-nat: a UDP datagram without a checksum over IPv4 keeps none", no_sum, 7),
        full("full-nat: IPv4 options stay", options, 4),
        full("full-nat: an odd number of bytes", odd),
        refused("full-nat: a reply to a port that no flow has is dropped", stray, In::lan,
                drop(DropReason::unknown_port)),
        refused("full-nat: a reply to a port below those of the pool is dropped", low, In::lan,
                drop(DropReason::unknown_port)),
        refused("full-nat: a reply with TTL 1 is dropped as ttl_expired", old, In::lan,
                drop(DropReason::ttl_expired), 13),
        refused("full-nat: what a stranger sends to the pool is dropped", other, In::lan,
                drop(DropReason::unknown_port)),
        {"full-nat: a ping to an address of the pool is the kernel's", In::lan, ping,
         punt(PuntClass::other)},
    };
}

}  // namespace

Cases nat_cases() {
    Cases all;
    for (const Cases& part : {requests(), replies(), refusals(), corners(), full_nat()})
        all.insert(all.end(), part.begin(), part.end());
    // A wrong checksum is as wrong afterwards: every change of a word moves it by that change.
    Datagram wrong = request4();
    wrong.data = filled(4);
    Bytes in = to_weir(wrong, In::wan), out = to_backend(at_backend(wrong));
    in.at(in.size() - 1) ^= 0x10;
    out.at(out.size() - 1) ^= 0x10;
    all.push_back({"nat: a broken segment arrives with the checksum as wrong as it was", In::wan,
                   in, send(In::lan, out)});
    return all;
}

}  // namespace weir::test
