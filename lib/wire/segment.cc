// SPDX-License-Identifier: BSD-3-Clause
#include "lib/wire/segment.hh"

#include <cstring>

#include "lib/wire/headers.hh"

namespace weir {
namespace {

void lengthen_ip(const PacketHeaders& headers, std::uint16_t by) noexcept {
    const bool v4 = headers.family == Family::v4;
    std::uint8_t* const at = headers.ip + (v4 ? offsetof(Ipv4Header, total_length)
                                              : offsetof(Ipv6Header, payload_length));
    be16 length;
    std::memcpy(&length, at, sizeof length);
    length = be16::from_host(static_cast<std::uint16_t>(length.host() + by));
    ChecksumChange change;
    change.replace<std::uint16_t>(at, &length);
    if (v4) change.apply(headers.ip + offsetof(Ipv4Header, checksum));
}

// From a sum over the header alone.
void sum_anew(const PacketHeaders& headers) noexcept {
    const bool v4 = headers.family == Family::v4;
    const std::size_t size = v4 ? 4 : 16;
    const std::uint8_t* const source =
        headers.ip + (v4 ? offsetof(Ipv4Header, source) : offsetof(Ipv6Header, source));
    const std::span<std::uint8_t> header = tcp_header(headers);
    auto& tcp = *reinterpret_cast<TcpHeader*>(headers.transport);
    tcp.checksum = {};
    const std::uint32_t pseudo =
        pseudo_header_sum({source, size}, {source + size, size}, headers.protocol,
                          static_cast<std::uint32_t>(header.size()));
    tcp.checksum = be16::from_host(checksum_finish(checksum_sum(header, pseudo)));
}

}  // namespace

std::span<std::uint8_t> tcp_header(const PacketHeaders& headers) noexcept {
    const auto& tcp = *reinterpret_cast<const TcpHeader*>(headers.transport);
    return {headers.transport, (tcp.data_offset >> 4) * std::size_t{4}};
}

PacketHeaders insert_into_segment(const PacketHeaders& headers, std::size_t at,
                                  std::span<const std::uint8_t> bytes,
                                  ChecksumChange& change) noexcept {
    PacketHeaders moved = headers;
    moved.ip -= bytes.size();
    moved.transport -= bytes.size();
    const auto before = static_cast<std::size_t>(headers.transport - headers.ip) + at;
    std::memmove(moved.ip, headers.ip, before);
    std::memcpy(moved.transport + at, bytes.data(), bytes.size());
    const auto grown = static_cast<std::uint16_t>(bytes.size());
    lengthen_ip(moved, grown);
    change.add(bytes);
    const be16 length = be16::from_host(grown);  // of the pseudo header, which is a sum as well
    change.add({reinterpret_cast<const std::uint8_t*>(&length), sizeof length});
    return moved;
}

void remove_payload(const PacketHeaders& headers, std::size_t count,
                    std::size_t readable) noexcept {
    const auto less = static_cast<std::uint16_t>(count);
    lengthen_ip(headers, static_cast<std::uint16_t>(-less));
    if (readable < count) return sum_anew(headers);
    const std::span<std::uint8_t> header = tcp_header(headers);
    const be16 length = be16::from_host(less);  // of the pseudo header
    ChecksumChange change;
    change.remove_tail({header.data() + header.size(), count});
    change.remove_tail({reinterpret_cast<const std::uint8_t*>(&length), sizeof length});
    change.apply_to_transport(headers);
}

}  // namespace weir
