// SPDX-License-Identifier: BSD-3-Clause
#include "lib/wire/rewrite.hh"

#include <cstddef>

#include "lib/wire/checksum_change.hh"
#include "lib/wire/headers.hh"

namespace weir {
namespace {

// `port_at`: of the end's port in the transport header.
void replace(const PacketHeaders& headers, const PacketEnd& end, std::size_t address_at,
             std::size_t port_at, ChecksumChange& addresses, ChecksumChange& ports) noexcept {
    addresses.replace_address(headers.ip + address_at, end.address.bytes.data(),
                              end.address.size());
    if (headers.transport == nullptr) return;
    const be16 port = be16::from_host(end.port);
    ports.replace<std::uint16_t>(headers.transport + port_at, &port);
}

}  // namespace

void translate(const PacketHeaders& headers, const PacketEnd* source,
               const PacketEnd* destination) noexcept {
    const bool v4 = headers.family == Family::v4;
    ChecksumChange addresses, ports;
    if (source != nullptr)
        replace(headers, *source, v4 ? offsetof(Ipv4Header, source) : offsetof(Ipv6Header, source),
                offsetof(UdpHeader, source_port), addresses, ports);
    if (destination != nullptr)
        replace(headers, *destination,
                v4 ? offsetof(Ipv4Header, destination) : offsetof(Ipv6Header, destination),
                offsetof(UdpHeader, destination_port), addresses, ports);
    ports += addresses;  // the pseudo header
    ports.apply_to_transport(headers);
    if (!v4) {
        --headers.ip[offsetof(Ipv6Header, hop_limit)];
        return;
    }
    std::uint8_t* ttl = headers.ip + offsetof(Ipv4Header, ttl);
    const std::uint8_t next[2] = {static_cast<std::uint8_t>(ttl[0] - 1), ttl[1]};
    addresses.replace<std::uint16_t>(ttl, next);
    addresses.apply(headers.ip + offsetof(Ipv4Header, checksum));
}

}  // namespace weir
