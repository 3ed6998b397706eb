// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dataplane/fragments.hh"

#include "lib/wire/headers.hh"

namespace weir {
namespace {

constexpr std::uint32_t longest_datagram = 65'535;
// Of IPv6, the header itself and the fragment header.
constexpr std::uint32_t uncounted_v6 = sizeof(Ipv6Header) + 8;

}  // namespace

std::optional<FragmentPorts> ports_of(const Parsed& parsed) noexcept {
    const L4Status first = parsed.fragment.first;
    const bool is_icmp = parsed.protocol == icmp_protocol(parsed.family);
    if (first == L4Status::bad_length || (first == L4Status::other && is_icmp)) return std::nullopt;
    return FragmentPorts{parsed.source_port, parsed.destination_port, parsed.protocol};
}

bool may_have_ports(const Parsed& parsed) noexcept {
    if (parsed.protocol == proto_tcp || parsed.protocol == proto_udp ||
        parsed.protocol == proto_sctp)
        return true;
    return parsed.fragment.offset != 0 && is_extension_header(parsed.protocol) &&
           parsed.family == Family::v6;
}

Fragment fragment_of(const std::uint8_t* frame, const Parsed& parsed,
                     const FragmentPorts* ports) noexcept {
    const FragmentFields& fields = parsed.fragment;
    Fragment fragment;
    fragment.datagram = flow_words(frame + parsed.l3_offset, parsed.family, 0, 0, 0);
    const std::uint64_t protocol = parsed.family == Family::v4 ? parsed.protocol : 0;
    fragment.datagram.rest |= fields.identification | protocol << 32;
    const std::uint32_t end = std::uint32_t{parsed.l3_offset} + parsed.ip_length;
    fragment.begin = fields.offset;
    fragment.end = fragment.begin + (end - fields.payload_offset);
    // RFC 791 3.1: the total length; RFC 8200 4.5: the payload length, in which extension headers
    // before the fragment header count.
    const std::uint32_t headers = std::uint32_t{fields.payload_offset} - parsed.l3_offset;
    const bool v4 = parsed.family == Family::v4;
    fragment.limit = longest_datagram - (v4 ? headers : headers - uncounted_v6);
    fragment.last = !fields.more;
    fragment.ports = ports;
    return fragment;
}

Fragment first_fragment_of(const std::uint8_t* frame, const PacketMeta& meta,
                           const FragmentPorts& ports) noexcept {
    const std::uint8_t* const ip = frame + meta.l3_offset;
    Fragment fragment;
    fragment.datagram = flow_words(ip, Family::v4, meta.protocol, 0, 0);
    fragment.datagram.rest |= reinterpret_cast<const Ipv4Header*>(ip)->id.host();
    fragment.end = std::uint32_t{meta.ip_length} - std::uint32_t{sizeof(Ipv4Header)};
    fragment.limit = longest_datagram - std::uint32_t{sizeof(Ipv4Header)};
    fragment.ports = &ports;
    return fragment;
}

DropReason reason_of(FragmentTable::What what) noexcept {
    switch (what) {
        case FragmentTable::What::bad:
            return DropReason::frag_bad;
        case FragmentTable::What::full:
            return DropReason::frag_table_full;
        case FragmentTable::What::wait:
        case FragmentTable::What::pass:
            break;
    }
    return DropReason::fragment;
}

}  // namespace weir
