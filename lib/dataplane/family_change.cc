// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dataplane/family_change.hh"

#include <algorithm>
#include <cstring>

#include "lib/wire/checksum.hh"
#include "lib/wire/checksum_change.hh"
#include "lib/wire/extension.hh"
#include "lib/wire/headers.hh"
#include "lib/wire/ip_fields.hh"

namespace weir {
namespace {

// RFC 7915 5.1: IPv6 hosts may send such packets however small an MTU on their path is.
constexpr std::uint32_t longest_to_cut = 1260;

// The headers of a packet as it came.
struct Headers {
    std::uint8_t *ip, *end;   // of IP, with options or extension headers
    std::uint8_t* transport;  // nullptr: a later fragment has none
    std::uint8_t protocol;
    bool is_piece, has_inner_extensions;

    [[nodiscard]] std::uint32_t length() const noexcept {
        return static_cast<std::uint32_t>(end - ip);
    }
};

Headers read_headers(const Tables& tables, const PacketMeta& meta, const Packet& packet) noexcept {
    const Parsed parsed =
        parse({packet.data, packet.contiguous}, packet.length,
              {.vlan = tables.ports[index(packet.port)].vlan, .ip_checksum = NicChecksum::good});
    const bool piece = parsed.l4 == L4Status::fragment;
    const bool later = piece && parsed.fragment.offset != 0;
    const std::uint16_t end = piece ? parsed.fragment.payload_offset : parsed.l4_offset;
    // What stands behind a fragment header belongs to the pieces' own bytes.
    const bool inner = piece && parsed.family == Family::v6 &&
                       (later ? is_extension(parsed.protocol) : end != parsed.l4_offset);
    return {.ip = packet.data + parsed.l3_offset,
            .end = packet.data + end,
            .transport = later ? nullptr : packet.data + end,
            .protocol = meta.protocol,
            .is_piece = piece,
            .has_inner_extensions = inner};
}

// Whether it is to visit others before it is where it goes (RFC 8200 4.4). parse() walked the same
// headers.
bool has_segments_left(const Headers& headers) noexcept {
    std::uint8_t type = headers.ip[offsetof(Ipv6Header, next_header)];
    for (const std::uint8_t* at = headers.ip + sizeof(Ipv6Header); at < headers.end;) {
        if (type == ext_routing && at[3] != 0) return true;
        const std::uint32_t length = extension_length(type, at[1]);
        type = at[0];
        at += length;
    }
    return false;
}

void write_ether_type(std::uint8_t* ip, Family family) noexcept {
    const be16 type = be16::from_host(family == Family::v4 ? ether_type_ipv4 : ether_type_ipv6);
    std::memcpy(ip - sizeof type, &type, sizeof type);
}

const UdpHeader& udp_of(const Headers& headers) noexcept {
    return *reinterpret_cast<const UdpHeader*>(headers.transport);
}

// UDP over IPv4 may come without one (RFC 768).
bool lacks_checksum(const Headers& headers) noexcept {
    return headers.transport != nullptr && headers.protocol == proto_udp &&
           udp_of(headers).checksum.host() == 0;
}

// One that is 0 becomes 0xffff when the ports follow (RFC 8200 8.1).
void make_checksum(const Headers& headers, const IpAddress& source,
                   const IpAddress& destination) noexcept {
    auto& udp = *reinterpret_cast<UdpHeader*>(headers.transport);
    const std::uint16_t length = udp.length.host();
    const std::uint32_t pseudo =
        pseudo_header_sum(source.bytes, destination.bytes, proto_udp, length);
    udp.checksum =
        be16::from_host(checksum_finish(checksum_sum({headers.transport, length}, pseudo)));
}

void update_checksum(const Headers& headers, Family from, const IpAddress& source,
                     const IpAddress& destination) noexcept {
    const bool v4 = from == Family::v4;
    const std::size_t at = v4 ? offsetof(Ipv4Header, source) : offsetof(Ipv6Header, source);
    ChecksumChange change;
    change.remove_tail({headers.ip + at, v4 ? std::size_t{8} : std::size_t{32}});
    change.add({source.bytes.data(), source.size()});
    change.add({destination.bytes.data(), destination.size()});
    change.apply_to_transport({.ip = headers.ip,
                               .transport = headers.transport,
                               .family = source.family,
                               .protocol = headers.protocol});
}

// What the header of the other family says of the same packet, when no more than `mtu` bytes fit.
IpFields fields_in(Family to, const IpFields& from, std::uint32_t mtu) noexcept {
    IpFields fields = from;
    if (to == Family::v4 && !from.is_fragment)
        fields.dont_fragment = from.payload + sizeof(Ipv4Header) > longest_to_cut;
    if (to == Family::v6 && !from.dont_fragment && from.payload + sizeof(Ipv6Header) > mtu)
        fields.is_fragment = true;
    return fields;
}

}  // namespace

std::uint32_t mtu_behind(const Tables& tables, NextHopId way) noexcept {
    if (way == invalid_next_hop) return 0;
    return tables.ports[index(tables.next_hops[index(way)].port)].mtu;
}

FamilyChange::FamilyChange(const Tables& tables, const PacketMeta& meta, Packet& packet,
                           const IpAddress& source, const IpAddress& destination, std::uint32_t mtu,
                           PacketIds& ids) noexcept
    : packet_(packet), changed_(packet), meta_(meta) {
    objection_ = change(tables, source, destination, mtu, ids);
}

std::optional<DropReason> FamilyChange::change(const Tables& tables, const IpAddress& source,
                                               const IpAddress& destination, std::uint32_t mtu,
                                               PacketIds& ids) noexcept {
    const Family from = meta_.family, to = source.family;
    const Headers headers = read_headers(tables, meta_, packet_);
    if (headers.has_inner_extensions) return DropReason::ipv6_ext_chain;
    if (from == Family::v6 && has_segments_left(headers)) return DropReason::ipv6_ext_chain;
    const IpFields was = read_ip_fields(headers.ip, headers.length(), from, headers.protocol);
    IpFields fields = fields_in(to, was, mtu);
    const auto length = static_cast<std::uint32_t>(ip_header_length(to, fields));
    const int growth = static_cast<int>(length) - static_cast<int>(headers.length());
    if (fields.payload + length > 0xffff) return DropReason::too_big;
    if (growth > packet_.headroom) return DropReason::no_headroom;
    const auto readable = packet_.data + packet_.contiguous - headers.end;
    const bool summed = to == Family::v4 || !lacks_checksum(headers);
    if (!summed && (headers.is_piece || udp_of(headers).length.host() > readable))
        return DropReason::udp_zero_checksum;
    if (to == Family::v4 && !fields.is_fragment && !fields.dont_fragment)
        fields.identification = ids.next();

    const auto before = static_cast<std::uint32_t>(headers.end - packet_.data);
    saved_length_ = std::min(
        {packet_.contiguous, before + std::uint32_t{sizeof(TcpHeader)}, std::uint32_t{most_saved}});
    std::memcpy(saved_.data(), packet_.data, saved_length_);
    if (summed)
        update_checksum(headers, from, source, destination);
    else
        make_checksum(headers, source, destination);
    changed_.data = packet_.data - growth;
    std::memmove(changed_.data, packet_.data, meta_.l3_offset);
    write_ip_header(changed_.data + meta_.l3_offset, to, fields, source, destination);
    write_ether_type(changed_.data + meta_.l3_offset, to);
    changed_.headroom = static_cast<std::uint16_t>(packet_.headroom - growth);
    changed_.length = meta_.l3_offset + length + fields.payload;
    changed_.contiguous = std::min(
        changed_.length, static_cast<std::uint32_t>(static_cast<int>(packet_.contiguous) + growth));
    meta_.family = to;
    meta_.ip_length = static_cast<std::uint16_t>(length + fields.payload);
    meta_.may_cut_v6 = to == Family::v6 && !was.dont_fragment;
    return std::nullopt;
}

Verdict FamilyChange::end(const Verdict& verdict) noexcept {
    if (verdict.is_sent()) {
        packet_.data = changed_.data;
        packet_.length = changed_.length;
    } else {
        std::memcpy(packet_.data, saved_.data(), saved_length_);
    }
    return verdict;
}

IcmpFamilyChange::IcmpFamilyChange(const IcmpErrorParts& parts, const IcmpErrorRewrite& to,
                                   Packet& packet, PacketIds& ids) noexcept
    : packet_(packet), made_(packet) {
    std::uint8_t* const ip = frame_.data() + headroom + ethernet_length;
    const std::size_t length = translate_icmp_family(
        parts, to, ids.next(),
        std::span<std::uint8_t, longest_translated_icmp>(ip, longest_translated_icmp));
    meta_.l3_offset = ethernet_length;
    meta_.ip_length = static_cast<std::uint16_t>(length);
    meta_.family = to.source->family;
    meta_.protocol = icmp_protocol(meta_.family);
    made_.data = frame_.data() + headroom;
    made_.length = made_.contiguous = static_cast<std::uint32_t>(ethernet_length + length);
    made_.headroom = headroom;
}

Verdict IcmpFamilyChange::end(const Verdict& verdict) noexcept {
    if (!verdict.is_sent()) return verdict;
    const std::uint32_t more = std::max(made_.length, packet_.contiguous) - packet_.contiguous;
    if (more > packet_.headroom) return Verdict::dropped(DropReason::no_headroom);
    packet_.data -= more;
    packet_.length = made_.length;
    std::memcpy(packet_.data, made_.data, made_.length);
    return verdict;
}

}  // namespace weir
