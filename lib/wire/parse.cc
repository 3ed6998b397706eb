// SPDX-License-Identifier: BSD-3-Clause
#include "lib/wire/parse.hh"

#include <algorithm>
#include <cstring>

#include "lib/wire/checksum.hh"
#include "lib/wire/extension.hh"
#include "lib/wire/headers.hh"

namespace weir {

namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::uint16_t ether_type_old_qinq = 0x9100;  // of switches older than IEEE 802.1ad
constexpr std::uint16_t vlan_id_mask = 0x0fff;

constexpr std::uint8_t option_end = 0, option_nop = 1, option_lsrr = 131, option_ssrr = 137;

// A header that lies at `at`; the caller has checked that it lies in the frame.
template <typename Header>
const Header& header_at(Bytes frame, std::size_t at) noexcept {
    return *reinterpret_cast<const Header*>(frame.data() + at);
}

constexpr bool is_vlan_type(std::uint16_t ether_type) noexcept {
    return ether_type == ether_type_vlan || ether_type == ether_type_qinq ||
           ether_type == ether_type_old_qinq;
}

// IEEE 802.1Q. Sets l3_offset and ether_type behind the tag. `ip` here only means: go on.
[[gnu::noinline]] L3Status read_tag(Bytes frame, std::uint16_t vlan, Parsed& parsed) noexcept {
    const std::uint16_t outer = header_at<EthernetHeader>(frame, 0).ether_type.host();
    parsed.ether_type = outer;
    parsed.l3_offset = ethernet_length;
    if (!is_vlan_type(outer)) return vlan == 0 ? L3Status::ip : L3Status::vlan_unexpected;
    if (outer != ether_type_vlan) return L3Status::vlan_unexpected;
    if (frame.size() < ethernet_length + vlan_length) return L3Status::l2_truncated;
    const auto& tag = header_at<VlanTag>(frame, ethernet_length);
    const std::uint16_t id = tag.control.host() & vlan_id_mask;
    if (id != 0 && id != vlan) return L3Status::vlan_unexpected;
    parsed.ether_type = tag.ether_type.host();
    parsed.l3_offset = ethernet_length + vlan_length;
    return is_vlan_type(parsed.ether_type) ? L3Status::vlan_unexpected : L3Status::ip;
}

// The transport header. `end`: offset of the first byte behind the IP packet, which is the `whole`
// datagram, or a fragment that UDP's length may reach behind.
template <bool whole>
inline L4Status read_transport(Bytes frame, std::uint32_t end, Parsed& parsed) noexcept {
    const std::uint32_t at = parsed.l4_offset;
    const std::size_t readable = std::min<std::size_t>(frame.size(), end);
    if (parsed.protocol == proto_tcp) {
        if (at + sizeof(TcpHeader) > readable) return L4Status::bad_length;
        const auto& tcp = header_at<TcpHeader>(frame, at);
        const std::uint32_t header_length = (tcp.data_offset >> 4) * 4u;
        if (header_length < sizeof(TcpHeader) || at + header_length > end)
            return L4Status::bad_length;
        parsed.source_port = tcp.source_port.host();
        parsed.destination_port = tcp.destination_port.host();
        parsed.tcp_flags = tcp.flags;
        return tcp_flags_contradict(tcp.flags) ? L4Status::bad_flags : L4Status::ok;
    }
    if (parsed.protocol == proto_udp) {
        if (at + sizeof(UdpHeader) > readable) return L4Status::bad_length;
        const auto& udp = header_at<UdpHeader>(frame, at);
        const std::uint32_t length = udp.length.host();
        if (length < sizeof(UdpHeader) || (whole && at + length > end)) return L4Status::bad_length;
        parsed.source_port = udp.source_port.host();
        parsed.destination_port = udp.destination_port.host();
        const bool unsummed = parsed.family == Family::v6 && udp.checksum == be16{};
        return unsummed ? L4Status::udp_zero_checksum : L4Status::ok;
    }
    if (parsed.protocol == proto_sctp) {
        if (at + sizeof(SctpHeader) > readable) return L4Status::bad_length;
        const auto& sctp = header_at<SctpHeader>(frame, at);
        parsed.source_port = sctp.source_port.host();
        parsed.destination_port = sctp.destination_port.host();
        return L4Status::ok;
    }
    return L4Status::other;
}

// What a fragment says of itself. Its payload begins at l4_offset, which goes on to the transport
// header where the first one has it.
[[gnu::noinline]] void read_first(Bytes frame, std::uint32_t end, Parsed& parsed) noexcept {
    if (parsed.fragment.offset == 0)
        parsed.fragment.first = read_transport<false>(frame, end, parsed);
}

[[gnu::noinline]] L4Status read_ipv4_fragment(Bytes frame, std::uint32_t end,
                                              Parsed& parsed) noexcept {
    const auto& ip = header_at<Ipv4Header>(frame, parsed.l3_offset);
    const std::uint16_t field = ip.fragment.host();
    parsed.fragment = {.identification = ip.id.host(),
                       .offset = static_cast<std::uint16_t>((field & ipv4_offset_mask) * 8),
                       .payload_offset = parsed.l4_offset,
                       .more = (field & ipv4_more_fragments) != 0};
    read_first(frame, end, parsed);
    return L4Status::fragment;
}

// RFC 791 3.1. `options`: what lies between the 20 bytes and the header length.
[[gnu::noinline]] L3Status check_ipv4_options(Bytes options) noexcept {
    for (std::size_t at = 0; at < options.size();) {
        const std::uint8_t type = options[at];
        if (type == option_end) break;
        if (type == option_nop) {
            ++at;
            continue;
        }
        if (at + 2 > options.size()) return L3Status::ip_bad_option;
        const std::size_t length = options[at + 1];
        if (length < 2 || length > options.size() - at) return L3Status::ip_bad_option;
        if (type == option_lsrr || type == option_ssrr) return L3Status::ip_source_route;
        at += length;
    }
    return L3Status::ip;
}

// True when the header's sum is all ones (RFC 1071); the byte order does not matter for that.
[[gnu::always_inline]] inline bool ipv4_sum_is_good(const std::uint8_t* header,
                                                    std::size_t length) noexcept {
    std::uint64_t sum = 0;
    for (std::size_t at = 0; at < length; at += 4) {
        std::uint32_t word;
        std::memcpy(&word, header + at, sizeof word);
        sum += word;
    }
    sum = (sum & 0xffffffff) + (sum >> 32);
    // A carry out of that would leave less than 16, and such a sum is not good either way.
    return checksum_fold(static_cast<std::uint32_t>(sum)) == 0xffff;
}

// RFC 1812 5.2.2, the version and header length first: without them there is nothing to sum.
inline L3Status read_ipv4(Bytes frame, std::uint32_t frame_length, NicChecksum nic,
                          Parsed& parsed) noexcept {
    const std::uint32_t at = parsed.l3_offset;
    if (at + sizeof(Ipv4Header) > frame.size()) return L3Status::ip_bad_header;
    const auto& ip = header_at<Ipv4Header>(frame, at);
    const std::uint32_t header_length = (ip.version_ihl & 15) * 4u;
    if (ip.version_ihl != 0x45) [[unlikely]] {
        if (ip.version_ihl >> 4 != 4 || header_length < sizeof(Ipv4Header) ||
            at + header_length > frame.size())
            return L3Status::ip_bad_header;
    }
    if (nic != NicChecksum::good) {
        const std::uint8_t* const header = frame.data() + at;
        // Nearly all have this length, for which the compiler needs no loop.
        const bool good = header_length == sizeof(Ipv4Header)
                              ? ipv4_sum_is_good(header, sizeof(Ipv4Header))
                              : ipv4_sum_is_good(header, header_length);
        if (nic == NicChecksum::bad || !good) return L3Status::ip_bad_checksum;
    }
    const std::uint32_t total = ip.total_length.host();
    if (total < header_length || total > frame_length - at) return L3Status::ip_bad_length;
    if (header_length != sizeof(Ipv4Header)) [[unlikely]] {
        const L3Status options = check_ipv4_options(
            frame.subspan(at + sizeof(Ipv4Header), header_length - sizeof(Ipv4Header)));
        if (options != L3Status::ip) return options;
    }
    const std::uint16_t fragment = ip.fragment.host();
    parsed.family = Family::v4;
    parsed.protocol = ip.protocol;
    parsed.ttl = ip.ttl;
    parsed.traffic_class = ip.tos;
    parsed.dont_fragment = (fragment & ipv4_dont_fragment) != 0;
    parsed.l4_offset = static_cast<std::uint16_t>(at + header_length);
    parsed.ip_length = static_cast<std::uint16_t>(total);
    parsed.l4 = (fragment & ipv4_fragment_mask) != 0
                    ? read_ipv4_fragment(frame, at + total, parsed)
                    : read_transport<true>(frame, at + total, parsed);
    return L3Status::ip;
}

// RFC 8200 section 4. Moves protocol and l4_offset behind the chain; `readable`: the offset up to
// which packet and frame both reach. Headers that only the destination may order (hop-by-hop not in
// front, repetitions) are left to it.
[[gnu::noinline]] L3Status walk_extensions(Bytes frame, std::size_t readable,
                                           Parsed& parsed) noexcept {
    const std::uint32_t first = parsed.l4_offset;
    std::uint32_t at = first;
    std::uint8_t type = parsed.protocol;
    for (unsigned count = 0; is_extension(type); ++count) {
        if (count == max_ext_headers || at + 8 > readable) return L3Status::ipv6_ext_chain;
        const std::uint32_t length = extension_length(type, frame[at + 1]);
        if (at + length > readable || at + length - first > max_ext_bytes)
            return L3Status::ipv6_ext_chain;
        if (type == ext_routing && frame[at + 2] == 0) return L3Status::ip_source_route;
        if (type == ext_fragment) {
            const std::uint16_t field = header_at<be16>(frame, at + 2).host();
            // RFC 6946: an atomic fragment (no offset, no more) is a whole packet.
            if ((field & ipv6_fragment_mask) != 0) {
                if (parsed.l4 == L4Status::fragment) return L3Status::ipv6_ext_chain;
                parsed.l4 = L4Status::fragment;
                parsed.fragment = {.identification = header_at<be32>(frame, at + 4).host(),
                                   .offset = static_cast<std::uint16_t>(field & ipv6_offset_mask),
                                   .payload_offset = static_cast<std::uint16_t>(at + length),
                                   .more = (field & ipv6_more_fragments) != 0};
            }
        }
        type = frame[at];
        at += length;
        // What follows in a later fragment need not be a header; the first one has them all (RFC
        // 7112).
        if (parsed.l4 == L4Status::fragment && parsed.fragment.offset != 0) break;
    }
    parsed.protocol = type;
    parsed.l4_offset = static_cast<std::uint16_t>(at);
    return L3Status::ip;
}

inline L3Status read_ipv6(Bytes frame, std::uint32_t frame_length, Parsed& parsed) noexcept {
    const std::uint32_t at = parsed.l3_offset;
    if (at + sizeof(Ipv6Header) > frame.size()) return L3Status::ip_bad_header;
    const auto& ip = header_at<Ipv6Header>(frame, at);
    const std::uint32_t word = ip.version_class_label.host();
    if (word >> 28 != 6) return L3Status::ip_bad_header;
    const std::uint32_t payload = ip.payload_length.host();
    const std::uint32_t total = payload + static_cast<std::uint32_t>(sizeof(Ipv6Header));
    if (total > frame_length - at || total > 0xffff) return L3Status::ip_bad_length;
    // RFC 2675: a jumbogram has length 0 and a hop-by-hop header, for which 0 leaves no room.
    if (payload == 0 && ip.next_header == ext_hop_by_hop) return L3Status::ip_bad_length;
    parsed.family = Family::v6;
    parsed.protocol = ip.next_header;
    parsed.ttl = ip.hop_limit;
    parsed.traffic_class = static_cast<std::uint8_t>(word >> 20);
    parsed.dont_fragment = true;
    parsed.l4_offset = static_cast<std::uint16_t>(at + sizeof(Ipv6Header));
    parsed.ip_length = static_cast<std::uint16_t>(total);
    if (is_extension(ip.next_header)) [[unlikely]] {
        const std::size_t readable = std::min<std::size_t>(frame.size(), at + total);
        const L3Status chain = walk_extensions(frame, readable, parsed);
        if (chain != L3Status::ip) return chain;
        if (parsed.l4 == L4Status::fragment) {
            read_first(frame, at + total, parsed);
            return L3Status::ip;
        }
    }
    parsed.l4 = read_transport<true>(frame, at + total, parsed);
    return L3Status::ip;
}

// What was already read of an IP header that turned out unsound must not be taken for good.
[[gnu::noinline]] void forget_ip_fields(Parsed& parsed) noexcept {
    parsed =
        Parsed{.l3 = parsed.l3, .ether_type = parsed.ether_type, .l3_offset = parsed.l3_offset};
}

}  // namespace

bool is_extension_header(std::uint8_t next) noexcept {
    return is_extension(next);
}

Parsed parse(std::span<const std::uint8_t> frame, std::uint32_t frame_length,
             const ParseOptions& options) noexcept {
    Parsed parsed;  // the one object that is returned: a copy would wait for its narrow stores
    if (frame.size() < ethernet_length || frame.size() > frame_length) return parsed;
    parsed.ether_type = header_at<EthernetHeader>(frame, 0).ether_type.host();
    parsed.l3_offset = ethernet_length;
    if (options.vlan != 0 || is_vlan_type(parsed.ether_type)) {
        parsed.l3 = read_tag(frame, options.vlan, parsed);
        if (parsed.l3 != L3Status::ip) return parsed;
    }
    switch (parsed.ether_type) {
        case ether_type_ipv4:
            parsed.l3 = read_ipv4(frame, frame_length, options.ip_checksum, parsed);
            break;
        case ether_type_ipv6:
            parsed.l3 = read_ipv6(frame, frame_length, parsed);
            break;
        case ether_type_arp:
            parsed.l3 = L3Status::arp;
            return parsed;
        default:
            parsed.l3 = L3Status::not_ip;
            return parsed;
    }
    if (parsed.l3 != L3Status::ip) [[unlikely]]
        forget_ip_fields(parsed);
    return parsed;
}

}  // namespace weir
