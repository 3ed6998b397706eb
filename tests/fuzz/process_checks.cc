// SPDX-License-Identifier: BSD-3-Clause
#include "tests/fuzz/process_checks.hh"

#include <algorithm>
#include <array>

#include "lib/flow/key.hh"
#include "lib/wire/headers.hh"
#include "lib/wire/icmp.hh"
#include "tests/fuzz/process_ip.hh"
#include "tests/fuzz/require.hh"
#include "tests/fuzz/sums.hh"

namespace weir::fuzz {

namespace {

// The frame as the egress port sends it.
Ip check_frame(const Tables& tables, const Flight& flight, NicChecksum nic) {
    require(index(flight.verdict.port) < tables.ports.size(), "it leaves by a port");
    const PortTable& port = tables.ports[index(flight.verdict.port)];
    const View frame = flight.present();
    const Ip ip = look_at(frame, flight.packet.length, port, nic);
    require(ip.parsed.l3 == L3Status::ip, "it is a sound IP packet of its port");
    const std::size_t link = ethernet_length + (port.vlan != 0 ? vlan_length : 0);
    require(ip.parsed.l3_offset == link, "with the port's link header");
    if (flight.verdict.action == Action::send_in_pieces)
        check_pieces(port, flight, ip.parsed, nic);
    else
        require(flight.packet.length - link <= port.mtu, "no longer than the port's MTU");
    require(std::ranges::equal(frame.subspan(6, 6), port.mac.bytes), "from the port's address");
    return ip;
}

// --- what a mode leaves of the original ---

bool is_syn(const Ip& ip) {
    return ip.parsed.protocol == proto_tcp && (ip.parsed.tcp_flags & tcp_syn) != 0;
}

// Of a SYN of a service with mss_clamp: an MSS may be another; the checksum follows.
void check_clamped(const Ip& was, View now) {
    const std::size_t tcp = was.transport_at(),
                      options = (was.bytes[tcp + 12] >> 4) * std::size_t{4},
                      end = std::min(tcp + options, now.size());
    require(now.size() == was.bytes.size(), "no byte comes or goes");
    require_equal(was.bytes.first(tcp + 16), now.first(tcp + 16), "up to the checksum it stays");
    require_equal(was.bytes.subspan(tcp + 18, 2), now.subspan(tcp + 18, 2), "its pointer stays");
    require_equal(was.bytes.subspan(end), now.subspan(end), "behind the options it stays");
    require(sum_of(was.bytes.subspan(tcp)) == sum_of(now.subspan(tcp)),
            "the checksum is as right as before");
}

// The client's packet, byte by byte.
void check_untouched(const Ip& was, View now, std::uint16_t mss_clamp) {
    const std::size_t common = std::min(was.bytes.size(), now.size());
    if (mss_clamp != 0 && is_syn(was))
        check_clamped(was, now.first(common));
    else
        require_equal(was.bytes.first(common), now.first(common),
                      "the client's packet is as it was");
}

void check_tunnel(const BackendEntry& like, const Ip& was, const Ip& now, std::uint16_t clamp) {
    const std::uint8_t inside = was.v4() ? 4 : 41;
    std::size_t payload = now.transport_at();
    switch (like.rewrite) {
        case Rewrite::gre: {
            const std::array<std::uint8_t, 4> header =
                was.v4() ? std::array<std::uint8_t, 4>{0, 0, 0x08, 0x00}
                         : std::array<std::uint8_t, 4>{0, 0, 0x86, 0xdd};
            require(now.parsed.protocol == 47, "the outer header names GRE");
            require_equal(now.bytes.subspan(payload, 4), header, "and GRE the inside");
            payload += 4;
            break;
        }
        case Rewrite::gue_direct:
        case Rewrite::gue_header: {
            require(now.parsed.protocol == proto_udp, "the outer header names UDP");
            const std::size_t length = now.parsed.ip_length - payload;
            require(now.bytes[payload + 2] == like.gue_port >> 8 &&
                        now.bytes[payload + 3] == (like.gue_port & 0xff),
                    "UDP names GUE");
            require(
                now.bytes[payload + 4] == length >> 8 && now.bytes[payload + 5] == (length & 0xff),
                "UDP has the right length");
            payload += 8;
            if (like.rewrite == Rewrite::gue_direct) break;
            require(now.bytes[payload] == 0 && now.bytes[payload + 1] == inside, "GUE the inside");
            payload += 4;
            break;
        }
        default:
            require(now.parsed.protocol == inside, "the outer header names the inside");
    }
    require(now.parsed.ip_length == payload + was.parsed.ip_length, "all of it is in the tunnel");
    require(now.parsed.traffic_class == was.parsed.traffic_class, "DSCP and ECN are copied");
    check_untouched(was, now.bytes.subspan(payload), clamp);
}

// Of a packet in whose headers addresses are replaced: what may differ. All else stays.
struct Changes {
    bool source = false, destination = false, ports = false, ttl = false, dscp = false;
};
void check_rewritten(const Ip& was, const Ip& now, const Changes& changes, bool clamped) {
    require(was.parsed.ip_length == now.parsed.ip_length && was.v4() == now.v4(),
            "no byte comes or goes");
    std::vector<std::uint8_t> expected(was.bytes.begin(), was.bytes.end());
    const std::size_t common = std::min(expected.size(), now.bytes.size());
    const auto take = [&](std::size_t at, std::size_t count) {
        for (std::size_t i = at; i < std::min(at + count, common); ++i)
            expected[i] = now.bytes[i];
    };
    const std::size_t size = was.address_size();
    if (changes.source) take(was.source_at(), size);
    if (changes.destination) take(was.source_at() + size, size);
    if (changes.ttl) --expected[was.v4() ? 8 : 7];
    if (changes.dscp) take(was.v4() ? 1 : 0, was.v4() ? 1 : 2);
    if (was.v4()) take(10, 2);
    const bool later = was.parsed.l4 == L4Status::fragment && was.parsed.fragment.offset != 0;
    const bool tcp = was.parsed.protocol == proto_tcp;
    if (!later) {
        const std::size_t at = was.transport_at();
        if (changes.ports) take(at, 4);
        take(at + (tcp ? 16 : 6), 2);
        if (clamped && is_syn(was)) take(at + 20, (was.bytes[at + 12] >> 4) * std::size_t{4} - 20);
        const bool none = !tcp && was.bytes[at + 6] == 0 && was.bytes[at + 7] == 0;
        const bool still_none = !tcp && now.bytes[at + 6] == 0 && now.bytes[at + 7] == 0;
        require(none == still_none, "no checksum stays none, and one stays one");
        if (!none)
            require(was.transport_sum() == now.transport_sum(),
                    "the transport's checksum is as right as before");
        if (none)
            require_equal(was.transport().subspan(4), now.transport().subspan(4), "as it was");
    }
    require_equal(View(expected).first(common), now.bytes.first(common), "all else stays");
    require(was.header_sum() == now.header_sum(), "the header's checksum is as right as before");
}

void check_translated_error(const Ip& was, const Ip& now) {
    require(was.parsed.ip_length == now.parsed.ip_length && was.v4() == now.v4(),
            "no byte comes or goes");
    require(was.header_sum() == now.header_sum(), "the header's checksum is as right as before");
    const auto message = [](const Ip& ip) {
        return ip.v4() ? sum_of(ip.transport()) : ip.transport_sum();
    };
    require(message(was) == message(now), "the message's checksum is as right as before");
    require(now.parsed.ttl + 1 == was.parsed.ttl, "it is a hop older");
}

void check_l3dsr(const ServiceTable& service, const Ip& was, const Ip& now, bool is_error) {
    // The checksum of ICMP for IPv4 sums no addresses; that of ICMPv6 does.
    if (is_error && was.v4()) {
        require_equal(was.transport(), now.transport(), "the message stays");
    } else if (is_error) {
        require(was.transport_sum() == now.transport_sum(), "its checksum is as right as before");
    } else {
        check_rewritten(was, now, {.destination = true, .dscp = true}, service.mss_clamp() != 0);
    }
    require(std::ranges::any_of(service.seats,
                                [&](const BackendEntry& seat) {
                                    return std::ranges::equal(
                                        now.destination(),
                                        View(seat.target.address).first(now.address_size()));
                                }),
            "it is for a backend");
    require((now.parsed.traffic_class & 3) == (was.parsed.traffic_class & 3), "ECN stays");
}

void check_request(const Tables& tables, const Classified& what, const Ip& was, const Ip& now) {
    const ServiceTable& service = *what.service;
    const BackendEntry& like = service.seats.front();
    switch (service.forward) {
        case Forward::dsr_l2:
            require(now.parsed.ip_length == was.parsed.ip_length, "no byte comes or goes");
            return check_untouched(was, now.bytes, service.mss_clamp());
        case Forward::ipip:
        case Forward::gre:
        case Forward::gue:
            return check_tunnel(like, was, now, service.mss_clamp());
        case Forward::l3dsr:
            return check_l3dsr(service, was, now, what.is_icmp_error);
        case Forward::nat:
        case Forward::full_nat:
            break;
    }
    require(std::ranges::any_of(service.seats,
                                [&](const BackendEntry& seat) {
                                    const IpAddress& end = tables.nat->end(seat.id).address;
                                    return std::ranges::equal(now.destination(),
                                                              View(end.bytes).first(end.size()));
                                }),
            "it is for a backend");
    if (was.v4() != now.v4()) return check_across(was, now, what.is_icmp_error);
    if (what.is_icmp_error) return check_translated_error(was, now);
    const bool full = service.forward == Forward::full_nat;
    check_rewritten(was, now, {.source = full, .destination = true, .ports = true, .ttl = true},
                    service.mss_clamp() != 0);
}

void check_reply(const Tables& tables, const Classified& what, const Ip& was, const Ip& now) {
    if (what.is_icmp_error && was.v4() == now.v4()) return check_translated_error(was, now);
    require(std::ranges::any_of(tables.services,
                                [&](const auto& service) {
                                    const IpAddress& vip = service->key.vip;
                                    return std::ranges::equal(now.source(),
                                                              View(vip.bytes).first(vip.size()));
                                }),
            "a reply comes from a VIP");
    if (was.v4() != now.v4()) return check_across(was, now, what.is_icmp_error);
    const bool pool = what.pool_end.has_value();
    check_rewritten(was, now, {.source = true, .destination = pool, .ports = true, .ttl = true},
                    true);
}

NicChecksum said_of(const Ip& was) {
    // A wrong one that the NIC called good is not ours to judge.
    return was.header_sum() == 0 ? NicChecksum::unknown : NicChecksum::good;
}

void check_sent(const Tables& tables, const Flight& flight) {
    const Packet before = flight.original();
    const PortTable& ingress = tables.ports[index(before.port)];
    const Ip was =
        look_at({before.data, before.contiguous}, before.length, ingress, before.ip_checksum);
    require(was.parsed.l3 == L3Status::ip, "what is sent was a sound IP packet");
    const Classified what = classify(tables, before, flight.ports ? &*flight.ports : nullptr);
    const bool is_reply = what.is_reply || what.pool_end.has_value();
    require(is_reply || what.service != nullptr, "what is sent is a service's");
    const bool tunnel = !is_reply && (what.service->forward == Forward::ipip ||
                                      what.service->forward == Forward::gre ||
                                      what.service->forward == Forward::gue);
    const Ip now = check_frame(tables, flight, tunnel ? NicChecksum::unknown : said_of(was));
    if (is_reply)
        check_reply(tables, what, was, now);
    else
        check_request(tables, what, was, now);
}

void check_answer(const Tables& tables, const Flight& flight) {
    const Packet before = flight.original();
    require(flight.verdict.port == before.port, "an answer goes back");
    require(flight.verdict.reason == DropReason::too_big ||
                flight.verdict.reason == DropReason::ttl_expired,
            "for a reason that has an answer");
    const PortTable& ingress = tables.ports[index(before.port)];
    const Ip was =
        look_at({before.data, before.contiguous}, before.length, ingress, before.ip_checksum);
    const Ip now = check_frame(tables, flight, NicChecksum::unknown);
    require_equal(flight.present().first(6), View(before.data + 6, 6), "to who sent it");
    const FlowKey key = flow_key(before.data, was.parsed);
    const bool to_vip =
        tables.index.find(key.destination_address(), key.protocol, 0).role == AddressRole::vip;
    const auto& own = tables.port_addresses[index(before.port)].of(was.parsed.family);
    if (to_vip || !own)
        require_equal(now.source(), was.destination(), "from the VIP that it was for");
    else  // a backend's reply
        require_equal(now.source(), View(own->bytes.data(), own->size()), "from the port");
    require_equal(now.destination(), was.source(), "to its source");
    require(flight.packet.length <= flight.present().size(), "an answer lies in one segment");
    require(icmp_sum_is_good(flight.present(), now.parsed), "its checksum is right");
    const View quoted = now.transport().subspan(8);
    require_equal(quoted, was.bytes.first(quoted.size()), "it quotes the packet as it was");
}

void check_unchanged(const Flight& flight) {
    const Packet before = flight.original();
    require(flight.front() == before.headroom && flight.packet.length == before.length,
            "a frame that goes nowhere stays where it is");
    // The room in front of it may have been used on the way to that.
    require_equal(View(flight.bytes.get(), flight.before.size()).subspan(before.headroom),
                  View(flight.before).subspan(before.headroom), "and as it is");
}

}  // namespace

Flight::Flight(const Frame& frame, std::size_t which)
    : number(which),
      before(frame.headroom + frame.bytes.size(), 0xee),
      bytes(new std::uint8_t[frame.headroom + frame.bytes.size()]) {
    std::ranges::copy(frame.bytes, before.begin() + frame.headroom);
    std::ranges::copy(before, bytes.get());
    const auto there = static_cast<std::uint32_t>(frame.bytes.size());
    packet = {.data = bytes.get() + frame.headroom,
              .contiguous = there,
              .length = there + frame.behind,
              .headroom = frame.headroom,
              .port = frame.port,
              .ip_checksum = frame.ip_checksum};
    original_ = packet;
}

Packet Flight::original() const {
    Packet result = original_;
    result.data = const_cast<std::uint8_t*>(before.data()) + original_.headroom;
    return result;
}

std::size_t Flight::front() const {
    return static_cast<std::size_t>(packet.data - bytes.get());
}

std::span<const std::uint8_t> Flight::present() const {
    require(packet.data >= bytes.get() && front() <= before.size(), "it begins in its buffer");
    const std::size_t there = before.size() - front();
    const std::size_t behind = original_.length - original_.contiguous;
    require(packet.length <= there + behind, "it is no longer than there are bytes");
    return {packet.data, std::min<std::size_t>(there, packet.length)};
}

void check_fate(const Tables& tables, const Flight& flight) {
    const Packet& packet = flight.packet;
    const Packet before = flight.original();
    require(packet.contiguous == before.contiguous && packet.headroom == before.headroom &&
                packet.port == before.port && packet.ip_checksum == before.ip_checksum,
            "data and length are all that moves");
    switch (flight.verdict.action) {
        case Action::send:
        case Action::send_in_pieces:
            return check_sent(tables, flight);
        case Action::answer:
            return check_answer(tables, flight);
        case Action::punt:
            require(flight.verdict.port == before.port, "the kernel gets it by its own port");
            require(tables.ports[index(before.port)].has_tap, "which has a TAP");
            require(static_cast<std::size_t>(flight.verdict.punt_class) < punt_class_count,
                    "in one of the classes");
            return check_unchanged(flight);
        case Action::drop:
            require(static_cast<std::size_t>(flight.verdict.reason) < drop_reason_count,
                    "for a reason of the closed list");
            return check_unchanged(flight);
        case Action::hold:
        case Action::hand_over:
            break;
    }
    require(false, "a fate is one of the doors");
}

std::optional<Course> course_of(const Tables& tables, const Flight& flight) {
    if (!flight.verdict.is_sent()) return std::nullopt;
    const Packet before = flight.original();
    const Classified what = classify(tables, before, flight.ports ? &*flight.ports : nullptr);
    if (what.service == nullptr || what.is_reply || what.is_icmp_error) return std::nullopt;
    Course course;
    course.flow = flow_key(before.data, what.parsed);
    course.port = flight.verdict.port;
    std::copy_n(flight.present().begin(), 6, course.to.begin());
    const Ip now = look_at(flight.present(), flight.packet.length, tables.ports[index(course.port)],
                           NicChecksum::good);
    course.destination.assign(now.destination().begin(), now.destination().end());
    course.may_be_new = is_syn({what.parsed, {}});
    return course;
}

}  // namespace weir::fuzz
