// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dataplane/classify.hh"

#include <algorithm>

#include "lib/dataplane/embedded_flow.hh"
#include "lib/dataplane/fragments.hh"
#include "lib/dataplane/nat.hh"
#include "lib/flow/key.hh"
#include "lib/wire/headers.hh"
#include "lib/wire/icmp.hh"

namespace weir {
namespace {

constexpr std::uint8_t nd_first = 133, nd_last = 137;  // RFC 4861: router solicitation .. redirect
constexpr std::uint8_t nd_hop_limit = 255;

[[nodiscard]] bool group_bit(const std::array<std::uint8_t, 6>& mac) noexcept {
    return (mac[0] & 1) != 0;  // multicast or broadcast
}

[[nodiscard]] DropReason reason_of(L3Status status) noexcept {
    switch (status) {
        case L3Status::vlan_unexpected:
            return DropReason::vlan_unexpected;
        case L3Status::ip_bad_header:
        case L3Status::ip_bad_option:
            return DropReason::ip_bad_header;
        case L3Status::ip_bad_length:
            return DropReason::ip_bad_length;
        case L3Status::ip_bad_checksum:
            return DropReason::ip_bad_checksum;
        case L3Status::ip_source_route:
            return DropReason::ip_source_route;
        case L3Status::ipv6_ext_chain:
            return DropReason::ipv6_ext_chain;
        case L3Status::not_ip:
            return DropReason::not_ip;
        case L3Status::l2_truncated:
        case L3Status::arp:
        case L3Status::ip:
            break;
    }
    return DropReason::l2_truncated;
}

[[nodiscard]] Verdict to_kernel(const Tables& tables, PuntClass to, PortId from) noexcept {
    if (!tables.ports[index(from)].has_tap) return Verdict::dropped(DropReason::no_exception_path);
    return Verdict::punted(to, from);
}

// RFC 4861 6.1 and 7.1: with a hop limit of 255, so that it comes from this link. Anybody else's
// must not fill the ring and meter of neighbours.
[[nodiscard]] bool is_neighbor_discovery(const Packet& packet, const Parsed& parsed) noexcept {
    if (parsed.protocol != proto_icmp6 || parsed.l4 != L4Status::other) return false;
    if (parsed.family != Family::v6 || parsed.ttl != nd_hop_limit) return false;
    if (packet.contiguous <= parsed.l4_offset) return false;
    const std::uint8_t type = packet.data[parsed.l4_offset];
    return type >= nd_first && type <= nd_last;
}

[[nodiscard]] PuntClass punt_class(const Tables& tables, const Packet& packet, const Parsed& parsed,
                                   const FlowKey& key, AddressRole role) noexcept {
    if (is_neighbor_discovery(packet, parsed)) return PuntClass::neighbor;
    if (role == AddressRole::vip) return PuntClass::vip_icmp;
    if (role == AddressRole::own && parsed.protocol == proto_tcp && parsed.l4 == L4Status::ok &&
        tables.index.is_probe_reply(key.source_address(), key.source_port))
        return PuntClass::probe_reply;
    return PuntClass::other;
}

// No client has such a source (RFC 1812 5.3.7, RFC 6890, RFC 4291 2.5.5).
[[nodiscard]] bool is_martian(const FlowKey& key) noexcept {
    if (key.source == key.destination) return true;
    if (key.family == Family::v4) {
        const std::uint8_t first = key.source[0];
        return first == 0 || first == 127 ||
               first >= 224;  // this network, loopback, multicast, 240/4
    }
    if (key.source[0] == 0xff) return true;
    if (key.source[0] != 0) return false;
    // ::, ::1 and IPv4-mapped ::ffff:0:0/96, which never belong on a wire.
    const bool zero80 = std::all_of(key.source.begin(), key.source.begin() + 10,
                                    [](std::uint8_t byte) { return byte == 0; });
    if (!zero80) return false;
    if (key.source[10] == 0xff && key.source[11] == 0xff) return true;
    return std::all_of(key.source.begin() + 10, key.source.end() - 1,
                       [](std::uint8_t byte) { return byte == 0; }) &&
           key.source[15] <= 1;
}

[[nodiscard]] bool is_icmp(const Parsed& parsed) noexcept {
    return (parsed.protocol == proto_icmp || parsed.protocol == proto_icmp6) &&
           (parsed.l4 == L4Status::other || parsed.l4 == L4Status::fragment);
}

// The first thing that is wrong with a packet for a VIP; nothing wrong: no reason.
struct Objection {
    bool any = false;
    DropReason reason = DropReason::unknown_port;
};
[[nodiscard]] Objection object_to(const Parsed& parsed, const FlowKey& key) noexcept {
    if (is_martian(key)) return {true, DropReason::martian};
    if (parsed.ttl <= 1) return {true, DropReason::ttl_expired};
    switch (parsed.l4) {
        case L4Status::ok:
        case L4Status::other:     // what service there is decides
        case L4Status::fragment:  // not known yet
            return {};
        case L4Status::bad_length:
            return {true, DropReason::l4_bad_length};
        case L4Status::bad_flags:
            return {true, DropReason::tcp_bad_flags};
        case L4Status::udp_zero_checksum:
            return {true, DropReason::udp_zero_checksum};
    }
    return {true, DropReason::unknown_port};
}

// The service whose backend sent what the ICMP error is about; false: none.
[[nodiscard]] bool find_service(const Tables& tables, const Packet& packet,
                                const IcmpMessage& message, Classified& result) noexcept {
    if (!names_flow(message.embedded)) return false;
    result.about = words_about(packet.data, result.parsed, message);
    const FlowKey about = key_of(result.about);
    const ServiceMatch match =
        tables.index.find(about.destination_address(), about.protocol, about.destination_port);
    if (match.place == ServiceHit::none) return false;
    result.service = tables.services[match.place].get();
    result.place = match.place;
    result.is_icmp_error = true;
    return true;
}

// The first thing that is wrong with an ICMP error to a VIP, but for the service that it is about.
[[nodiscard]] Objection object_to(const Packet& packet, const Parsed& parsed,
                                  const IcmpMessage& message, bool group_frame) noexcept {
    using Status = EmbeddedPacket::Status;
    if (group_frame) return {true, DropReason::not_our_mac};
    if (parsed.ttl <= 1) return {true, DropReason::ttl_expired};
    const Status embedded = message.embedded.status;
    const bool sound = message.kind == IcmpMessage::Kind::error && message.about_destination &&
                       embedded != Status::bad && embedded != Status::fragment &&
                       embedded != Status::icmp_error &&
                       icmp_sum_is_good({packet.data, packet.contiguous}, parsed);
    return {!sound, DropReason::icmp_bad};
}

// True: `result` is decided. False: the message is for the kernel.
[[nodiscard]] bool classify_icmp(const Tables& tables, const Packet& packet, bool group_frame,
                                 Classified& result) noexcept {
    const IcmpMessage message = read_icmp({packet.data, packet.contiguous}, result.parsed);
    if (message.kind == IcmpMessage::Kind::not_error) return false;
    const Objection objection = object_to(packet, result.parsed, message, group_frame);
    if (objection.any) {
        result.verdict = Verdict::dropped(objection.reason);
    } else if (!find_service(tables, packet, message, result)) {
        using Status = EmbeddedPacket::Status;
        const Status embedded = message.embedded.status;
        if (embedded == Status::icmp || embedded == Status::echo_reply)
            return false;  // the kernel answered a ping
        result.verdict = Verdict::dropped(DropReason::unknown_port);
    }
    return true;
}

// An echo request for a service, or a fragment that may be of one: the identifier stands for the
// client's port. False: another message, which the kernel may answer.
[[nodiscard]] bool take_echo(const Packet& packet, Parsed& parsed) noexcept {
    const bool fragment = parsed.l4 == L4Status::fragment;
    if (fragment && parsed.fragment.offset != 0) return true;
    const auto identifier = echo_identifier({packet.data, packet.contiguous}, parsed);
    if (!identifier) return fragment;
    parsed.source_port = *identifier;
    if (fragment) parsed.fragment.first = L4Status::ok;
    return true;
}

void classify_vip(const Tables& tables, const Packet& packet, const FlowKey& key,
                  const ServiceMatch& match, bool group_frame, Classified& result) noexcept {
    const Parsed& parsed = result.parsed;
    if (is_icmp(parsed) && !is_martian(key)) {
        // The kernel puts fragments together: no error is as long as to come in them.
        if (parsed.l4 == L4Status::other && classify_icmp(tables, packet, group_frame, result))
            return;
        if (match.place == ServiceHit::none || !take_echo(packet, result.parsed)) {
            result.verdict =
                to_kernel(tables, punt_class(tables, packet, parsed, key, match.role), packet.port);
            return;
        }
    }
    if (group_frame) {  // RFC 1122 3.3.6: unicast IP in a group frame is not to be served
        result.verdict = Verdict::dropped(DropReason::not_our_mac);
        return;
    }
    const Objection objection = object_to(parsed, key);
    if (objection.any) {
        result.verdict = Verdict::dropped(objection.reason);
    } else if (parsed.l4 == L4Status::fragment &&
               (may_have_ports(parsed) || match.place != ServiceHit::none)) {
        result.is_fragment = true;
    } else if (match.place == ServiceHit::none) {
        result.verdict = Verdict::dropped(DropReason::unknown_port);
    } else {
        result.service = tables.services[match.place].get();
        result.place = match.place;
    }
}

// A fragment whose first one is known is judged as that one would be; what only a whole packet has,
// a later one cannot have wrong.
void take_ports(Parsed& parsed, const FragmentPorts& ports) noexcept {
    const bool first = parsed.fragment.offset == 0;
    parsed.l4 = first ? parsed.fragment.first : L4Status::ok;
    if (first) return;
    parsed.protocol = ports.protocol;
    parsed.source_port = ports.source;
    parsed.destination_port = ports.destination;
    parsed.tcp_flags = ports.protocol == proto_tcp ? tcp_ack : std::uint8_t{0};
}

void set_reply(const Tables& tables, const NatReply& reply, Classified& result) noexcept {
    result.service = tables.services[reply.service].get();
    result.place = reply.service;
    result.is_reply = true;
    result.about = reply.client;
}

// A fragment has no ports, so only its addresses tell.
[[nodiscard]] bool may_be_reply(const Tables& tables, const Packet& packet,
                                const Parsed& parsed) noexcept {
    const FlowKey key = flow_key(packet.data, parsed);
    return tables.nat->pool_place(key.destination_address()).has_value() ||
           tables.nat->is_backend(key.source_address());
}

// An ICMP error from the backends' side: about a client's packet, as it was translated. False: it
// is about no such packet, or none that can be told.
[[nodiscard]] bool classify_reply_error(const Tables& tables, const Packet& packet,
                                        Classified& result) noexcept {
    if (result.parsed.l4 != L4Status::other) return false;
    const IcmpMessage message = read_icmp({packet.data, packet.contiguous}, result.parsed);
    if (message.kind != IcmpMessage::Kind::error || !message.about_destination ||
        message.embedded.status != EmbeddedPacket::Status::flow ||
        !is_translated(message.embedded.protocol))
        return false;
    // As a reply to that packet would have it.
    const FlowWords words = words_about(packet.data, result.parsed, message);
    result.pool_end = find_pool_end(tables, words);
    const NatReply reply = result.pool_end ? NatReply{} : find_reply(tables, words);
    if (!result.pool_end && !reply) return false;
    const bool martian = is_martian(flow_key(packet.data, result.parsed)) ||
                         (reply && is_martian(key_of(reply.client)));
    const Objection objection = martian ? Objection{true, DropReason::martian}
                                        : object_to(packet, result.parsed, message, false);
    if (objection.any) {
        result.pool_end.reset();
        result.verdict = Verdict::dropped(objection.reason);
        return true;
    }
    result.is_icmp_error = true;
    if (reply) set_reply(tables, reply, result);
    return true;
}

// TCP or UDP to an address of the pool: only the worker knows whether a flow is behind it.
void classify_pool(const Packet& packet, const PoolEnd& end, Classified& result) noexcept {
    const Objection objection = object_to(result.parsed, flow_key(packet.data, result.parsed));
    if (objection.any)
        result.verdict = Verdict::dropped(objection.reason);
    else
        result.pool_end = end;
}

// What is for somebody else may be a backend's reply to a client. False: it is none.
[[nodiscard]] bool classify_reply(const Tables& tables, const Packet& packet, bool group_frame,
                                  Classified& result) noexcept {
    const Parsed& parsed = result.parsed;
    if (tables.nat == nullptr || group_frame) return false;
    if (parsed.protocol == proto_icmp || parsed.protocol == proto_icmp6)
        return classify_reply_error(tables, packet, result);
    if (parsed.l4 == L4Status::fragment) {
        result.is_fragment = parsed.protocol != proto_sctp && may_have_ports(parsed) &&
                             may_be_reply(tables, packet, parsed);
        return result.is_fragment;
    }
    if (!is_translated(parsed.protocol)) return false;
    const FlowWords words = flow_words(packet.data, parsed);
    if (const auto end = find_pool_end(tables, words)) {
        classify_pool(packet, *end, result);
        return true;
    }
    if (parsed.l4 != L4Status::ok) return false;
    const NatReply reply = find_reply(tables, words);
    if (!reply) return false;
    const Objection objection = object_to(parsed, key_of(reply.client));
    if (objection.any) {
        result.verdict = Verdict::dropped(objection.reason);
        return true;
    }
    set_reply(tables, reply, result);
    return true;
}

// What `result.parsed`, of a packet that is IP, is for.
void classify_ip(const Tables& tables, const Packet& packet, bool group_frame,
                 Classified& result) noexcept {
    const Parsed& parsed = result.parsed;
    const FlowKey key = flow_key(packet.data, parsed);
    const ServiceMatch match =
        tables.index.find(key.destination_address(), parsed.protocol, key.destination_port);
    if (match.role == AddressRole::vip) {
        result.is_for_vip = true;
        classify_vip(tables, packet, key, match, group_frame, result);
    } else if (match.role == AddressRole::own ||
               !classify_reply(tables, packet, group_frame, result)) {
        result.verdict =
            to_kernel(tables, punt_class(tables, packet, parsed, key, match.role), packet.port);
    }
}

bool is_group_frame(const Packet& packet) noexcept {
    return group_bit(reinterpret_cast<const EthernetHeader*>(packet.data)->destination);
}

}  // namespace

Classified classify(const Tables& tables, const Packet& packet,
                    const FragmentPorts* ports) noexcept {
    Classified result;
    const PortTable& port = tables.ports[index(packet.port)];
    if (packet.contiguous < ethernet_length) {
        result.verdict = Verdict::dropped(DropReason::l2_truncated);
        return result;
    }
    const auto& ethernet = *reinterpret_cast<const EthernetHeader*>(packet.data);
    const bool group_frame = is_group_frame(packet);
    if (!group_frame && ethernet.destination != port.mac.bytes) {
        result.verdict = Verdict::dropped(DropReason::not_our_mac);
        return result;
    }
    if (ethernet.source == port.mac.bytes) {
        result.verdict = Verdict::dropped(DropReason::tunnel_loop);
        return result;
    }
    result.parsed = parse({packet.data, packet.contiguous}, packet.length,
                          {.vlan = port.vlan, .ip_checksum = packet.ip_checksum});
    const Parsed& parsed = result.parsed;
    if (parsed.l3 == L3Status::arp) {
        result.verdict = to_kernel(tables, PuntClass::neighbor, packet.port);
        return result;
    }
    if (parsed.l3 != L3Status::ip) {
        result.verdict = Verdict::dropped(reason_of(parsed.l3));
        return result;
    }
    if (parsed.l4 == L4Status::fragment && ports != nullptr) take_ports(result.parsed, *ports);
    classify_ip(tables, packet, group_frame, result);
    return result;
}

Classified classify_fragment(const Tables& tables, const Packet& packet, const Parsed& parsed,
                             const FragmentPorts& ports) noexcept {
    Classified result;
    result.parsed = parsed;
    take_ports(result.parsed, ports);
    classify_ip(tables, packet, is_group_frame(packet), result);
    return result;
}

}  // namespace weir
