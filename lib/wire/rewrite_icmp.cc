// SPDX-License-Identifier: BSD-3-Clause
#include "lib/wire/rewrite_icmp.hh"

#include <cstddef>
#include <cstring>

#include "lib/wire/checksum_change.hh"
#include "lib/wire/headers.hh"
#include "lib/wire/parse.hh"

namespace weir {
namespace {

struct AddressPlaces {
    std::size_t source, destination;
};
AddressPlaces places_in(Family family) noexcept {
    if (family == Family::v4)
        return {offsetof(Ipv4Header, source), offsetof(Ipv4Header, destination)};
    return {offsetof(Ipv6Header, source), offsetof(Ipv6Header, destination)};
}

void replace_address(std::uint8_t* at, const IpAddress& with, ChecksumChange& change) noexcept {
    change.replace_address(at, with.bytes.data(), with.size());
}

// Of the embedded packet; `addresses` and `ports` are what changes of it.
void replace_end(const PacketHeaders& embedded, const PacketEnd& end, std::size_t address_at,
                 std::size_t port_at, ChecksumChange& addresses, ChecksumChange& ports) noexcept {
    replace_address(embedded.ip + address_at, end.address, addresses);
    const be16 port = be16::from_host(end.port);
    ports.replace<std::uint16_t>(embedded.transport + port_at, &port);
}

// A checksum within the message changes, which is a change of the message.
void replace_checksum(std::uint8_t* at, const ChecksumChange& by,
                      ChecksumChange& message) noexcept {
    const std::uint16_t checksum = by.applied(at);
    message.replace<std::uint16_t>(at, &checksum);
}

void replace_transport_checksum(const IcmpErrorParts& parts, const ChecksumChange& by,
                                ChecksumChange& message) noexcept {
    const bool udp = parts.embedded.protocol == proto_udp;
    const std::size_t offset = udp ? offsetof(UdpHeader, checksum) : offsetof(TcpHeader, checksum);
    if (parts.transport_bytes < offset + 2) return;
    std::uint8_t* const at = parts.embedded.transport + offset;
    if (udp && at[0] == 0 && at[1] == 0) return;  // RFC 768: there is none
    std::uint16_t checksum = by.applied(at);
    if (udp && checksum == 0) checksum = 0xffff;
    message.replace<std::uint16_t>(at, &checksum);
}

void replace_sequence(const PacketHeaders& embedded, std::uint32_t more,
                      ChecksumChange& segment) noexcept {
    std::uint8_t* const at = embedded.transport + offsetof(TcpHeader, sequence);
    be32 sequence;
    std::memcpy(&sequence, at, sizeof sequence);
    sequence = be32::from_host(sequence.host() + more);
    segment.replace<std::uint32_t>(at, &sequence);
}

// The last four bytes of the ICMP header: of IPv4 two are the MTU (RFC 1191 4), of IPv6 all (RFC
// 4443 3.2).
void replace_mtu(const IcmpErrorParts& parts, std::uint16_t less,
                 ChecksumChange& message) noexcept {
    const bool v4 = parts.embedded.family == Family::v4;
    const bool tells = v4 ? parts.icmp[0] == 3 && parts.icmp[1] == 4 : parts.icmp[0] == 2;
    if (!tells) return;
    std::uint8_t* const at = parts.icmp + offsetof(IcmpHeader, rest);
    be32 field;
    std::memcpy(&field, at, sizeof field);
    const std::uint32_t least = v4 ? 68 : 1280, mtu = v4 ? field.host() & 0xffff : field.host();
    if (mtu <= least) return;
    const std::uint32_t next = mtu - least > less ? mtu - less : least;
    field = be32::from_host(field.host() - mtu + next);
    message.replace<std::uint32_t>(at, &field);
}

// Answers by how much the message's sum changes.
ChecksumChange translate_embedded(const IcmpErrorParts& parts,
                                  const IcmpErrorRewrite& to) noexcept {
    const PacketHeaders& embedded = parts.embedded;
    const AddressPlaces at = places_in(embedded.family);
    ChecksumChange addresses, ports, message;
    if (to.embedded_source != nullptr)
        replace_end(embedded, *to.embedded_source, at.source, offsetof(UdpHeader, source_port),
                    addresses, ports);
    if (to.embedded_destination != nullptr)
        replace_end(embedded, *to.embedded_destination, at.destination,
                    offsetof(UdpHeader, destination_port), addresses, ports);
    if (embedded.family == Family::v4)
        replace_checksum(embedded.ip + offsetof(Ipv4Header, checksum), addresses, message);
    if (to.sequence_more != 0) replace_sequence(embedded, to.sequence_more, ports);
    ports += addresses;  // the pseudo header
    replace_transport_checksum(parts, ports, message);
    message += ports;
    return message;
}

}  // namespace

void translate_icmp_error(const IcmpErrorParts& parts, const IcmpErrorRewrite& to) noexcept {
    ChecksumChange message = translate_embedded(parts, to);
    if (to.mtu_less != 0) replace_mtu(parts, to.mtu_less, message);
    const Family family = parts.embedded.family;
    const AddressPlaces at = places_in(family);
    ChecksumChange header;
    if (to.source != nullptr) replace_address(parts.ip + at.source, *to.source, header);
    if (to.destination != nullptr)
        replace_address(parts.ip + at.destination, *to.destination, header);
    if (family == Family::v6) {
        message += header;  // its pseudo header (RFC 4443 2.3)
        --parts.ip[offsetof(Ipv6Header, hop_limit)];
    } else {
        std::uint8_t* const ttl = parts.ip + offsetof(Ipv4Header, ttl);
        const std::uint8_t next[2] = {static_cast<std::uint8_t>(ttl[0] - 1), ttl[1]};
        header.replace<std::uint16_t>(ttl, next);
        header.apply(parts.ip + offsetof(Ipv4Header, checksum));
    }
    message.apply(parts.icmp + offsetof(IcmpHeader, checksum));
}

}  // namespace weir
