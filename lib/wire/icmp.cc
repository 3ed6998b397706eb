// SPDX-License-Identifier: BSD-3-Clause
#include "lib/wire/icmp.hh"

#include <algorithm>
#include <cstring>

#include "lib/wire/checksum.hh"
#include "lib/wire/extension.hh"
#include "lib/wire/headers.hh"

namespace weir {

namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::size_t least_embedded = 8;  // RFC 792: "64 bits of Original Data Datagram"
constexpr std::uint8_t icmp_unreachable = 3, code_fragmentation_needed = 4, icmp6_too_big = 2;
constexpr std::uint32_t least_mtu_v4 = 68, least_mtu_v6 = 1280;

// RFC 792, RFC 4443 section 4; the identifier stands behind the checksum in both.
struct EchoTypes {
    std::uint8_t request, reply;
};
constexpr EchoTypes echo_types(Family family) noexcept {
    return family == Family::v4 ? EchoTypes{8, 0} : EchoTypes{128, 129};
}

template <typename Header>
const Header& header_at(Bytes bytes, std::size_t at) noexcept {
    return *reinterpret_cast<const Header*>(bytes.data() + at);
}

// Of the echo message at `at`.
std::uint16_t identifier_at(Bytes bytes, std::size_t at) noexcept {
    return static_cast<std::uint16_t>(header_at<IcmpHeader>(bytes, at).rest.host() >> 16);
}

// Where the chain of extension headers leads; `size`: of what is there.
struct Behind {
    bool good = false, later_fragment = false;
    std::uint8_t protocol = 0;
    std::size_t at = 0;
};

Behind skip_extensions(Bytes bytes) noexcept {
    Behind result{.protocol = header_at<Ipv6Header>(bytes, 0).next_header,
                  .at = sizeof(Ipv6Header)};
    for (unsigned count = 0; is_extension(result.protocol); ++count) {
        if (count == max_ext_headers || result.at + 8 > bytes.size()) return result;
        const std::uint32_t length = extension_length(result.protocol, bytes[result.at + 1]);
        if (result.at + length > bytes.size() ||
            result.at + length > sizeof(Ipv6Header) + max_ext_bytes)
            return result;
        const bool fragment = result.protocol == ext_fragment;
        const std::uint16_t offset = header_at<be16>(bytes, result.at + 2).host();
        result.protocol = bytes[result.at];
        result.at += length;
        if (fragment && (offset & ipv6_offset_mask) != 0) {
            result.later_fragment = true;
            break;
        }
    }
    result.good = true;
    return result;
}

Behind skip_ipv4(Bytes bytes) noexcept {
    const auto& ip = header_at<Ipv4Header>(bytes, 0);
    const std::size_t length = (ip.version_ihl & 15) * 4u;
    return {.good = ip.version_ihl >> 4 == 4 && length >= sizeof(Ipv4Header),
            .later_fragment = (ip.fragment.host() & ipv4_offset_mask) != 0,
            .protocol = ip.protocol,
            .at = length};
}

// What packet and frame both hold of the IP packet.
Bytes ip_packet(Bytes frame, const Parsed& parsed) noexcept {
    return frame.subspan(parsed.l3_offset,
                         std::min<std::size_t>(frame.size() - parsed.l3_offset, parsed.ip_length));
}

bool mtu_is_possible(const IcmpHeader& icmp, Family family) noexcept {
    if (family == Family::v6) return icmp.type != icmp6_too_big || icmp.rest.host() >= least_mtu_v6;
    if (icmp.type != icmp_unreachable || icmp.code != code_fragmentation_needed) return true;
    const std::uint32_t mtu = icmp.rest.host() & 0xffff;  // RFC 1191 section 4
    return mtu == 0 || mtu >= least_mtu_v4;
}

}  // namespace

bool is_icmp_error(Family family, std::uint8_t type) noexcept {
    if (family == Family::v6) return type >= 1 && type <= 4;
    return type == icmp_unreachable || type == 4 || type == 11 || type == 12;
}

EmbeddedPacket read_embedded(Bytes bytes, Family family) noexcept {
    using Status = EmbeddedPacket::Status;
    const bool is_v4 = family == Family::v4;
    if (bytes.size() < (is_v4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header))) return {};
    if (!is_v4 && bytes[0] >> 4 != 6) return {};
    const Behind behind = is_v4 ? skip_ipv4(bytes) : skip_extensions(bytes);
    if (!behind.good || behind.at + least_embedded > bytes.size()) return {};
    EmbeddedPacket result{.status = Status::other,
                          .protocol = behind.protocol,
                          .transport_offset = static_cast<std::uint16_t>(behind.at)};
    if (behind.later_fragment) {
        result.status = Status::fragment;
    } else if (behind.protocol == proto_tcp || behind.protocol == proto_udp ||
               behind.protocol == proto_sctp) {
        const auto& ports = header_at<UdpHeader>(bytes, behind.at);  // the others begin alike
        result.status = Status::flow;
        result.source_port = ports.source_port.host();
        result.destination_port = ports.destination_port.host();
    } else if (behind.protocol == icmp_protocol(family)) {
        result.status = is_icmp_error(family, bytes[behind.at]) ? Status::icmp_error : Status::icmp;
        if (bytes[behind.at] == echo_types(family).reply) {
            result.status = Status::echo_reply;
            result.destination_port = identifier_at(bytes, behind.at);
        }
    }
    return result;
}

std::optional<std::uint16_t> echo_identifier(Bytes frame, const Parsed& parsed) noexcept {
    if (parsed.protocol != icmp_protocol(parsed.family)) return std::nullopt;
    const Bytes packet = ip_packet(frame, parsed);
    const std::size_t at = std::size_t{parsed.l4_offset} - parsed.l3_offset;
    if (packet.size() < at + sizeof(IcmpHeader)) return std::nullopt;
    if (packet[at] != echo_types(parsed.family).request) return std::nullopt;
    return identifier_at(packet, at);
}

IcmpMessage read_icmp(Bytes frame, const Parsed& parsed) noexcept {
    using Kind = IcmpMessage::Kind;
    IcmpMessage result;
    if (parsed.protocol != icmp_protocol(parsed.family)) return result;
    const Bytes packet = ip_packet(frame, parsed);
    const std::size_t at = std::size_t{parsed.l4_offset} - parsed.l3_offset;
    if (packet.size() <= at || !is_icmp_error(parsed.family, packet[at])) return result;
    result.kind = Kind::bad_error;
    const bool is_v4 = parsed.family == Family::v4;
    const std::size_t embedded_at = at + sizeof(IcmpHeader);
    const std::size_t least = is_v4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header);
    if (packet.size() < embedded_at + least) return result;
    if (!mtu_is_possible(header_at<IcmpHeader>(packet, at), parsed.family)) return result;
    result.kind = Kind::error;
    result.embedded_offset = static_cast<std::uint16_t>(parsed.l4_offset + sizeof(IcmpHeader));
    result.embedded = read_embedded(packet.subspan(embedded_at), parsed.family);
    result.about_destination = is_v4 ? header_at<Ipv4Header>(packet, 0).destination ==
                                           header_at<Ipv4Header>(packet, embedded_at).source
                                     : header_at<Ipv6Header>(packet, 0).destination ==
                                           header_at<Ipv6Header>(packet, embedded_at).source;
    return result;
}

bool icmp_sum_is_good(Bytes frame, const Parsed& parsed) noexcept {
    if (parsed.ip_length > longest_verified_icmp) return true;
    const Bytes packet = ip_packet(frame, parsed);
    if (packet.size() < parsed.ip_length) return false;
    const Bytes message = packet.subspan(std::size_t{parsed.l4_offset} - parsed.l3_offset);
    std::uint32_t sum = 0;
    if (parsed.family == Family::v6) {
        const auto& ip = header_at<Ipv6Header>(packet, 0);
        sum = pseudo_header_sum(ip.source, ip.destination, proto_icmp6,
                                static_cast<std::uint32_t>(message.size()));
    }
    return checksum_sum(message, sum) == 0xffff;
}

}  // namespace weir
