// SPDX-License-Identifier: BSD-3-Clause
// One behaviour of the balancer: a frame in, and what must become of it. The list of cases is the
// manual of behaviour; the same cases run through process() and through the real binary.
#pragma once

#include <string>
#include <vector>

#include "lib/dataplane/verdict.hh"
#include "tests/packet/build.hh"

namespace weir::test {

// The ports of tests/packet/packet.toml, in file order.
enum class In : std::uint8_t { wan = 0, lan = 1, tagged = 2 };

struct Expect {
    Action action = Action::drop;
    DropReason reason = DropReason::l2_truncated;  // drop, answer
    PuntClass punt = PuntClass::other;
    In port = In::wan;  // send, answer: where the frame leaves
    Bytes frame;        // send, answer: every byte of it
    // Outer source bytes that vary with the flow: compared only above this bit (0: all compared).
    std::size_t entropy_at = 0;   // offset of the outer source address in the frame
    unsigned entropy_prefix = 0;  // bits of it that are fixed
    // GUE's UDP source port, which varies with the flow in 49152 .. 65535: its offset in the frame.
    std::size_t port_entropy_at = 0;
    // Where a source port of the pool stands in an untagged frame: any from 1024 on, if the
    // transport checksum fits it. 0: none.
    std::size_t pool_port_at = 0;
    // Fragments that leave behind `frame`, the first one: cut by us.
    std::vector<Bytes> later;
    // Where the fragments' id stands when it is one of ours, which is the same in all of them: 2
    // bytes of IPv4, whose checksum is then recomputed, or 4 of IPv6. 0: all bytes are compared.
    std::size_t fragment_id_at = 0;
};

inline Expect drop(DropReason reason) {
    return {.action = Action::drop, .reason = reason};
}
inline Expect punt(PuntClass to) {
    return {.action = Action::punt, .punt = to};
}
inline Expect send(In port, Bytes frame) {
    return {.action = Action::send, .port = port, .frame = std::move(frame)};
}
// A datagram of which these are all fragments, in order.
inline Expect send_fragments(In port, std::vector<Bytes> frames, std::size_t fragment_id_at = 0) {
    Expect expect{.action = Action::send_in_pieces, .port = port};
    expect.frame = frames.front();
    expect.later.assign(frames.begin() + 1, frames.end());
    expect.fragment_id_at = fragment_id_at;
    return expect;
}
inline Expect answer(In port, DropReason reason, Bytes frame) {
    return {.action = Action::answer, .reason = reason, .port = port, .frame = std::move(frame)};
}
// It counts as dropped; without a TAP, what is for the kernel does, too.
inline bool counts_as_dropped(const Expect& expect) {
    return expect.action != Action::send && expect.action != Action::send_in_pieces;
}
// It leaves, or something does in answer.
inline bool leaves(const Expect& expect) {
    return expect.action == Action::answer || !counts_as_dropped(expect);
}

struct Case {
    std::string name;  // input and outcome in one sentence
    In in = In::wan;
    Bytes frame;
    Expect expect;
    int fault = 0;  // row of the table of faults that it covers, 0: none
    // Its outcome comes with a later case, or when its time is over.
    bool waits = false;
};

using Cases = std::vector<Case>;
Cases ethernet_cases();
Cases ipv4_cases();
Cases ipv6_cases();
Cases transport_cases();
Cases service_cases();
Cases forward_cases();
Cases kernel_cases();
Cases icmp_cases();
Cases answer_cases();
Cases mss_cases();
// In their order: what becomes of a fragment depends on those before it.
Cases fragment_cases();
Cases tunnel_cases();
Cases l3dsr_cases();
Cases nat_cases();
Cases nat_odd_cases();
Cases pieces_cases();
Cases protocol_cases();
Cases echo_cases();
Cases all_protocol_cases();
Cases quic_cases();
Cases client_address_cases();
Cases family_cases();
// All of the above; each case's name occurs once.
Cases all_cases();

// What fragment `i` of send_fragments() must be, by itself.
Expect of_fragment(const Expect& expect, std::size_t i);
// The id of a fragment that left, if it is one of ours; else empty.
Bytes fragment_id(const Expect& expect, const Bytes& frame);

// Compares a frame that was sent with what a case expects; empty when it is the same, else what
// differs first. Entropy bits are skipped, and the outer IPv4 checksum is then recomputed.
std::string difference(const Expect& expect, const Bytes& sent);
std::string hex(const Bytes& bytes);

// The station addresses and hosts of packet.toml.
namespace net {
inline const std::string wan_mac = "02:70:63:61:70:00", lan_mac = "02:70:63:61:70:01",
                         tagged_mac = "02:70:63:61:70:02", client_mac = "02:00:00:00:00:c1",
                         other_mac = "02:00:00:00:00:99", broadcast = "ff:ff:ff:ff:ff:ff";
inline const std::string web4_mac = "02:00:00:00:01:11", tunnel_mac = "02:00:00:00:01:12",
                         wan_backend_mac = "02:00:00:00:02:22",
                         tagged_backend_mac = "02:00:00:00:09:11",
                         gateway_mac = "02:00:00:00:00:01";
inline const std::string vip_web4 = "203.0.113.10", vip_web6 = "2001:db8:443::10",
                         vip_44 = "203.0.113.20", vip_46 = "203.0.113.21",
                         vip_64 = "2001:db8:443::20", vip_66 = "2001:db8:443::21",
                         vip_wan44 = "203.0.113.22", vip_range = "203.0.113.30",
                         vip_any = "203.0.113.31", vip_tagged = "203.0.113.40",
                         vip_disabled = "203.0.113.50", vip_dns4 = "203.0.113.53",
                         vip_dns6 = "2001:db8:443::53", vip_routed = "203.0.113.60";
}  // namespace net

// A client's frame as it arrives on the untagged wan port.
inline Ethernet to_wan(std::uint16_t type = 0x0800) {
    return {.destination = net::wan_mac, .source = net::client_mac, .type = type};
}

}  // namespace weir::test
