// SPDX-License-Identifier: BSD-3-Clause
// How a frame is written in an input:
//   head    bits 0-1 port, bit 2 a headroom other than 128, bit 3 cut off or with further segments,
//           bits 4-5 what the NIC said, bit 6 some bytes changed, bit 7 raw
//   raw     u16 length, bytes
//   packet  u8 kind, see Kind; u8 source and destination in the scene's lists (bit 7: IPv6), u8
//           ports in a list, u8 TCP flags or further bits, u8 odds; what the odds ask for; payload
//   then    headroom, lengths and changes, where the head asks for them
#include "tests/fuzz/process_frames.hh"

#include <algorithm>
#include <array>

#include "lib/wire/headers.hh"
#include "tests/fuzz/sums.hh"

namespace weir::fuzz {

namespace {

using Bytes = std::vector<std::uint8_t>;

enum Kind : std::uint8_t { tcp, udp, tcp_too, echo, icmp_error, other, reply, error_about_sent };
// Bits of the byte that follows the TCP flags.
enum Odd : std::uint8_t {
    extended = 1,     // IPv4 options, IPv6 extension header
    fragment = 2,     // u16: offset / 8 and more fragments (bit 15); u8 identification
    other_ttl = 4,    // u8
    tagged = 8,       // u16: tag control
    long_packet = 16  // u16: bytes that the IP packet has behind those of the payload
};

const std::array<std::uint16_t, 16> port_list = {
    40'000, 80, 53, 443, 8080, 8443, 8000, 8050, 1024, 1025, 9088, 9089, 40'001, 6080, 0, 65'535};

void append(Bytes& to, const Bytes& more) {
    to.insert(to.end(), more.begin(), more.end());
}
void append_two(Bytes& to, std::uint32_t value) {
    to.push_back(static_cast<std::uint8_t>(value >> 8));
    to.push_back(static_cast<std::uint8_t>(value));
}
void store_two(Bytes& to, std::size_t at, std::uint32_t value) {
    to[at] = static_cast<std::uint8_t>(value >> 8);
    to[at + 1] = static_cast<std::uint8_t>(value);
}
void append_address(Bytes& to, const IpAddress& address) {
    to.insert(to.end(), address.bytes.begin(),
              address.bytes.begin() + static_cast<std::ptrdiff_t>(address.size()));
}

// A packet to be written.
struct Draft {
    IpAddress source, destination;
    std::uint16_t source_port = 0, destination_port = 0;
    std::uint8_t protocol = proto_tcp, flags = tcp_ack, ttl = 64;
    std::uint32_t behind = 0;  // bytes of the IP packet that are not written
    bool extended = false, is_fragment = false, more = false;
    std::uint16_t offset = 0;  // in units of 8 bytes
    std::uint8_t id = 1;
    [[nodiscard]] bool v4() const { return destination.family == Family::v4; }
};

Bytes ipv4(const Draft& draft, const Bytes& payload) {
    const Bytes options = draft.extended ? Bytes{7, 4, 4, 0} : Bytes{};
    const std::size_t header = 20 + options.size();
    Bytes ip{static_cast<std::uint8_t>(0x40 | header / 4), 0x2c};
    append_two(ip, static_cast<std::uint32_t>(header + payload.size()) + draft.behind);
    append_two(ip, draft.id);
    const std::uint32_t piece = draft.offset | (draft.more ? 0x2000u : 0);
    append_two(ip, draft.is_fragment ? piece : 0x4000u);
    append(ip, {draft.ttl, draft.protocol, 0, 0});
    append_address(ip, draft.source);
    append_address(ip, draft.destination);
    append(ip, options);
    store_two(ip, 10, checksum_for(ip));
    append(ip, payload);
    return ip;
}

Bytes ipv6(const Draft& draft, const Bytes& payload) {
    Bytes extensions;
    std::uint8_t next = draft.protocol;
    if (draft.is_fragment) {
        extensions = {next, 0};
        append_two(extensions, std::uint32_t{draft.offset} << 3 | (draft.more ? 1 : 0));
        append(extensions, {0, 0, 0, draft.id});
        next = 44;
    }
    if (draft.extended) {
        Bytes options{next, 0, 1, 4, 0, 0, 0, 0};
        append(options, extensions);
        extensions = options;
        next = 60;
    }
    Bytes ip{0x62, 0xc0, 0, 0};
    append_two(ip, static_cast<std::uint32_t>(extensions.size() + payload.size()) + draft.behind);
    append(ip, {next, draft.ttl});
    append_address(ip, draft.source);
    append_address(ip, draft.destination);
    append(ip, extensions);
    append(ip, payload);
    return ip;
}

Bytes ip_packet(const Draft& draft, const Bytes& payload) {
    return draft.v4() ? ipv4(draft, payload) : ipv6(draft, payload);
}

// Their checksums are not verified when forwarding; UDP's is there.
Bytes tcp_segment(const Draft& draft, const Bytes& payload) {
    const bool syn = (draft.flags & tcp_syn) != 0;
    Bytes segment;
    append_two(segment, draft.source_port);
    append_two(segment, draft.destination_port);
    segment.resize(12);
    append(segment,
           {static_cast<std::uint8_t>(syn ? 0x60 : 0x50), draft.flags, 1, 0, 0xbe, 0xef, 0, 0});
    if (syn) append(segment, {2, 4, 0x05, 0xb4});  // an MSS of 1460
    append(segment, payload);
    return segment;
}
Bytes udp_datagram(const Draft& draft, const Bytes& payload) {
    Bytes datagram;
    append_two(datagram, draft.source_port);
    append_two(datagram, draft.destination_port);
    append_two(datagram, static_cast<std::uint32_t>(8 + payload.size()) + draft.behind);
    append(datagram, {0xbe, 0xef});
    append(datagram, payload);
    return datagram;
}
Bytes transport(const Draft& draft, const Bytes& payload) {
    if (draft.offset != 0) return payload;
    if (draft.protocol == proto_tcp) return tcp_segment(draft, payload);
    if (draft.protocol == proto_udp) return udp_datagram(draft, payload);
    return payload;
}

// With its checksum, of which the pseudo header of IPv6 is a part.
Bytes icmp(const Draft& draft, std::uint8_t type, std::uint8_t code, std::uint16_t mtu,
           const Bytes& rest) {
    Bytes message{type, code, 0, 0, 0, 0};
    append_two(message, mtu);
    append(message, rest);
    Bytes pseudo;
    if (!draft.v4()) {
        append_address(pseudo, draft.source);
        append_address(pseudo, draft.destination);
        append(pseudo, {0, 0});
        append_two(pseudo, static_cast<std::uint32_t>(message.size()));
        append(pseudo, {0, 0, 0, proto_icmp6});
    }
    store_two(message, 2, checksum_for(message, sum_of(pseudo)));
    return message;
}

// `kinds`: bit 0: time exceeded, else too big.
Bytes icmp_error_packet(Draft draft, std::uint8_t kinds, const Bytes& about) {
    const bool expired = (kinds & 1) != 0;
    draft.protocol = draft.v4() ? proto_icmp : proto_icmp6;
    const std::uint8_t type = draft.v4() ? (expired ? 11 : 3) : (expired ? 3 : 2);
    const std::uint8_t code = draft.v4() && !expired ? 4 : 0;
    return ip_packet(draft, icmp(draft, type, code, expired ? 0 : 1400, about));
}

// About a packet from `destination` to a client behind `source`.
Bytes error_about_flow(const Draft& draft, std::uint8_t kinds, const Bytes& payload) {
    Draft about = draft;
    std::swap(about.source, about.destination);
    std::swap(about.source_port, about.destination_port);
    about.protocol = (kinds & 2) != 0 ? proto_udp : proto_tcp;
    about.flags = tcp_ack;
    Bytes packet = ip_packet(about, transport(about, payload));
    if ((kinds & 4) != 0) packet.resize((draft.v4() ? 20 : 40) + 8);
    Draft outer = draft;
    outer.extended = outer.is_fragment = false;
    outer.offset = 0;
    outer.behind = 0;
    return icmp_error_packet(outer, kinds, packet);
}

void write_link(Bytes& frame, const PortTable& port, Family family,
                std::optional<std::uint16_t> tag) {
    append(frame, Bytes(port.mac.bytes.begin(), port.mac.bytes.end()));
    append(frame, {2, 0, 0, 0, 0, 1});
    if (!tag && port.vlan != 0) tag = port.vlan;
    if (tag) {
        append_two(frame, ether_type_vlan);
        append_two(frame, *tag);
    }
    append_two(frame, family == Family::v4 ? ether_type_ipv4 : ether_type_ipv6);
}

// --- from what was sent ---

struct Place {
    bool found = false;
    Family family = Family::v4;
    std::size_t link = 0, ip = 0, transport = 0;
};
Place look_at(const Bytes& frame) {
    Place place;
    place.link = frame.size() > 18 && frame[12] == 0x81 ? 18 : 14;
    place.ip = place.link;
    if (frame.size() < place.ip + 40) return place;
    place.family = frame[place.ip] >> 4 == 4 ? Family::v4 : Family::v6;
    const bool v4 = place.family == Family::v4;
    place.transport = place.ip + (v4 ? (frame[place.ip] & 15) * 4u : 40u);
    place.found = frame.size() >= place.transport + 20;
    return place;
}

// The frame turned round, as who got it would answer. `flags`: of TCP.
Bytes reply_to(const Sent& sent, const PortTable& port, std::uint8_t flags) {
    Bytes frame = sent.bytes;
    const Place at = look_at(frame);
    if (!at.found) return frame;
    std::copy_n(frame.begin(), 6, frame.begin() + 6);
    std::ranges::copy(port.mac.bytes, frame.begin());
    const bool v4 = at.family == Family::v4;
    const auto ip = frame.begin() + static_cast<std::ptrdiff_t>(at.ip);
    const std::ptrdiff_t size = v4 ? 4 : 16, source = v4 ? 12 : 8;
    std::swap_ranges(ip + source, ip + source + size, ip + source + size);
    const std::uint8_t protocol = *(ip + (v4 ? 9 : 6));
    if (protocol != proto_tcp && protocol != proto_udp) return frame;
    const auto ports = frame.begin() + static_cast<std::ptrdiff_t>(at.transport);
    std::swap_ranges(ports, ports + 2, ports + 2);
    if (protocol == proto_tcp) *(ports + 13) = flags;
    return frame;
}

// What a router behind us, or the one who got it, says of it.
Bytes error_about(const Sent& sent, const PortTable& port, const Draft& from, std::uint8_t kinds) {
    const Place at = look_at(sent.bytes);
    if (!at.found || from.source.family != at.family) return sent.bytes;
    const bool v4 = at.family == Family::v4;
    Bytes about(sent.bytes.begin() + static_cast<std::ptrdiff_t>(at.ip), sent.bytes.end());
    about.resize(std::min<std::size_t>(about.size(), (kinds & 4) != 0 ? (v4 ? 28 : 48) : 500));
    Draft draft;
    const std::size_t size = v4 ? 4 : 16, source = v4 ? 12 : 8;
    draft.destination.family = at.family;
    std::copy_n(about.begin() + static_cast<std::ptrdiff_t>(source), size,
                draft.destination.bytes.begin());
    draft.source = from.source;
    if ((kinds & 2) != 0) {
        draft.source = draft.destination;
        std::copy_n(about.begin() + static_cast<std::ptrdiff_t>(source + size), size,
                    draft.source.bytes.begin());
    }
    Bytes frame;
    write_link(frame, port, at.family, std::nullopt);
    append(frame, icmp_error_packet(draft, kinds, about));
    return frame;
}

// --- from the input ---

const IpAddress& pick(const Scene& scene, std::uint8_t which, bool v6) {
    const std::vector<IpAddress>& all = v6 ? scene.v6 : scene.v4;
    return all[(which & 0x7f) % all.size()];
}

Bytes payload_of(Input& input) {
    const auto bytes = input.take(input.byte() % 64);
    return {bytes.begin(), bytes.end()};
}

// What the odds ask for; answers the tag.
std::optional<std::uint16_t> read_odds(Input& input, std::uint8_t odds, Draft& draft) {
    draft.extended = (odds & extended) != 0;
    if ((odds & fragment) != 0) {
        const std::uint16_t place = input.two();
        draft.is_fragment = true;
        draft.more = (place & 0x8000) != 0;
        draft.offset = place & 0x1fff;
        draft.id = input.byte();
    }
    if ((odds & other_ttl) != 0) draft.ttl = input.byte();
    std::optional<std::uint16_t> tag;
    if ((odds & tagged) != 0) tag = input.two();
    if ((odds & long_packet) != 0) draft.behind = input.two();
    return tag;
}

void read_packet(Input& input, const Scene& scene, const Tables& tables,
                 const std::optional<Sent>& last, Frame& frame) {
    const auto kind = static_cast<Kind>(input.byte() & 7);
    const std::uint8_t source = input.byte(), destination = input.byte(), ports = input.byte(),
                       flags = input.byte(), odds = input.byte();
    const bool v6 = (destination & 0x80) != 0;
    Draft draft;
    draft.source = pick(scene, source, v6);
    draft.destination = pick(scene, destination, v6);
    draft.source_port = port_list[ports & 15];
    draft.destination_port = port_list[ports >> 4];
    draft.flags = flags;
    const std::optional<std::uint16_t> tag = read_odds(input, odds, draft);
    if (last && (kind == reply || kind == error_about_sent)) {
        frame.port = last->port;
        const PortTable& port = tables.ports[index(last->port)];
        frame.bytes =
            kind == reply ? reply_to(*last, port, flags) : error_about(*last, port, draft, flags);
        return;
    }
    const Bytes payload = payload_of(input);
    Bytes packet;
    if (kind == echo) {
        draft.protocol = v6 ? proto_icmp6 : proto_icmp;
        packet = ip_packet(draft, icmp(draft, v6 ? 128 : 8, 0, 1, payload));
    } else if (kind == icmp_error || kind == error_about_sent) {
        packet = error_about_flow(draft, flags, payload);
    } else {
        draft.protocol = kind == udp ? proto_udp : kind == other ? flags : proto_tcp;
        packet = ip_packet(draft, transport(draft, payload));
    }
    write_link(frame.bytes, tables.ports[index(frame.port)], draft.destination.family, tag);
    append(frame.bytes, packet);
    frame.behind = draft.behind;
}

}  // namespace

Frame read_frame(Input& input, const Scene& scene, const Tables& tables,
                 const std::optional<Sent>& last) {
    Frame frame;
    const std::uint8_t head = input.byte();
    frame.port = PortId{static_cast<std::uint8_t>((head & 3) % tables.ports.size())};
    frame.ip_checksum = static_cast<NicChecksum>((head >> 4 & 3) % 3);
    if ((head & 0x80) != 0) {
        const auto raw = input.take(input.two());
        frame.bytes.assign(raw.begin(), raw.end());
    } else {
        read_packet(input, scene, tables, last, frame);
    }
    if ((head & 4) != 0) frame.headroom = input.byte();
    if ((head & 8) != 0) {
        const std::uint16_t left = input.two();
        if (left < frame.bytes.size()) {  // these lie in further segments
            frame.behind += static_cast<std::uint32_t>(frame.bytes.size() - left);
            frame.bytes.resize(left);
        } else {
            frame.behind += input.byte();
        }
    }
    if ((head & 0x40) != 0) {
        for (unsigned count = 1 + input.byte() % 4; count != 0 && !frame.bytes.empty(); --count) {
            const std::uint8_t at = input.byte();
            frame.bytes[at % frame.bytes.size()] ^= input.byte();
        }
    }
    return frame;
}

}  // namespace weir::fuzz
