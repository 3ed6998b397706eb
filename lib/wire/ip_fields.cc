// SPDX-License-Identifier: BSD-3-Clause
#include "lib/wire/ip_fields.hh"

#include <algorithm>
#include <cstring>

#include "lib/wire/checksum.hh"
#include "lib/wire/extension.hh"
#include "lib/wire/fragmentation.hh"
#include "lib/wire/headers.hh"

namespace weir {
namespace {

IpFields read_ipv4(const std::uint8_t* ip, std::size_t length) noexcept {
    const auto& header = *reinterpret_cast<const Ipv4Header*>(ip);
    const std::uint16_t field = header.fragment.host();
    const std::size_t total = header.total_length.host();
    return {.traffic_class = header.tos,
            .hop_limit = header.ttl,
            .dont_fragment = (field & ipv4_dont_fragment) != 0,
            .is_fragment = (field & ipv4_fragment_mask) != 0,
            .more = (field & ipv4_more_fragments) != 0,
            .offset = static_cast<std::uint16_t>((field & ipv4_offset_mask) * 8),
            .identification = header.id.host(),
            .payload = static_cast<std::uint32_t>(std::max(total, length) - length)};
}

IpFields read_ipv6(const std::uint8_t* ip, std::size_t length) noexcept {
    const auto& header = *reinterpret_cast<const Ipv6Header*>(ip);
    const std::size_t total = header.payload_length.host() + sizeof header;
    IpFields fields{
        .traffic_class = static_cast<std::uint8_t>(header.version_class_label.host() >> 20),
        .hop_limit = header.hop_limit,
        .dont_fragment = true,
        .payload = static_cast<std::uint32_t>(std::max(total, length) - length)};
    std::uint8_t type = header.next_header;
    for (std::size_t at = sizeof header; at < length;) {
        const std::size_t size = extension_length(type, ip[at + 1]);
        if (type == ext_fragment) {
            const auto& fragment = *reinterpret_cast<const Ipv6FragmentHeader*>(ip + at);
            const std::uint16_t field = fragment.offset.host();
            fields.dont_fragment = false;
            fields.is_fragment = true;
            fields.more = (field & ipv6_more_fragments) != 0;
            fields.offset = field & ipv6_offset_mask;
            fields.identification = fragment.id.host();
        }
        type = ip[at];
        at += size;
    }
    return fields;
}

std::uint16_t fragment_field(const IpFields& fields) noexcept {
    if (!fields.is_fragment) return fields.dont_fragment ? ipv4_dont_fragment : std::uint16_t{0};
    return static_cast<std::uint16_t>(fields.offset / 8 | (fields.more ? ipv4_more_fragments : 0));
}

void write_ipv4(std::uint8_t* out, const IpFields& fields, const IpAddress& source,
                const IpAddress& destination) noexcept {
    const bool atomic = fields.dont_fragment && !fields.is_fragment;
    const std::size_t total = std::min<std::size_t>(sizeof(Ipv4Header) + fields.payload, 0xffff);
    auto& ip = *reinterpret_cast<Ipv4Header*>(out);
    ip = {.version_ihl = 0x45,
          .tos = fields.traffic_class,
          .total_length = be16::from_host(static_cast<std::uint16_t>(total)),
          .id = be16::from_host(atomic ? std::uint16_t{0}
                                       : static_cast<std::uint16_t>(fields.identification)),
          .fragment = be16::from_host(fragment_field(fields)),
          .ttl = fields.hop_limit,
          .protocol = fields.protocol,
          .checksum = {},
          .source = {},
          .destination = {}};
    std::copy_n(source.bytes.begin(), ip.source.size(), ip.source.begin());
    std::copy_n(destination.bytes.begin(), ip.destination.size(), ip.destination.begin());
    ip.checksum = be16::from_host(checksum_finish(checksum_sum({out, sizeof ip})));
}

void write_ipv6(std::uint8_t* out, const IpFields& fields, const IpAddress& source,
                const IpAddress& destination) noexcept {
    const std::size_t behind = fields.payload + ip_header_length(Family::v6, fields) - 40;
    *reinterpret_cast<Ipv6Header*>(out) = {
        .version_class_label =
            be32::from_host(6u << 28 | std::uint32_t{fields.traffic_class} << 20),
        .payload_length = be16::from_host(static_cast<std::uint16_t>(behind)),
        .next_header = fields.is_fragment ? ext_fragment : fields.protocol,
        .hop_limit = fields.hop_limit,
        .source = source.bytes,
        .destination = destination.bytes};
    if (!fields.is_fragment) return;
    const auto offset = static_cast<std::uint16_t>(fields.offset | (fields.more ? 1 : 0));
    *reinterpret_cast<Ipv6FragmentHeader*>(out + sizeof(Ipv6Header)) = {
        .next_header = fields.protocol,
        .reserved = 0,
        .offset = be16::from_host(offset),
        .id = be32::from_host(fields.identification)};
}

}  // namespace

IpFields read_ip_fields(const std::uint8_t* ip, std::size_t length, Family family,
                        std::uint8_t protocol) noexcept {
    IpFields fields = family == Family::v4 ? read_ipv4(ip, length) : read_ipv6(ip, length);
    fields.protocol = protocol;
    return fields;
}

void write_ip_header(std::uint8_t* out, Family family, const IpFields& fields,
                     const IpAddress& source, const IpAddress& destination) noexcept {
    if (family == Family::v4)
        write_ipv4(out, fields, source, destination);
    else
        write_ipv6(out, fields, source, destination);
}

}  // namespace weir
