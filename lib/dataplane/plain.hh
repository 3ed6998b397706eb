// SPDX-License-Identifier: BSD-3-Clause
// The plain case, read in one go: a sound IPv4 packet without options and not a fragment, or an
// IPv6 packet without extension headers; TCP or UDP, with as many bytes as a TCP header has (only
// the shortest datagrams of virtual links have less); addressed to this port. classify() is its
// slow twin: what reads as plain here, classify() finds sound too, with the same fields; everything
// else, odd or broken, is left to it.
//
// The first fragment of an IPv4 datagram, which has ports and comes in floods, is read alike, but
// on demand: read_plain_first().
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "lib/balance/tables.hh"
#include "lib/dataplane/packet.hh"
#include "lib/dataplane/packet_meta.hh"
#include "lib/wire/headers.hh"
#include "lib/wire/parse.hh"

namespace weir {

namespace plain {

// Where the IP header lies.
inline constexpr std::uint32_t untagged = ethernet_length, tagged = ethernet_length + vlan_length;

// What of a datagram is looked for.
enum class Piece : std::uint8_t { whole, first };

template <typename Word>
[[nodiscard]] inline Word load(const std::uint8_t* at) noexcept {
    Word word;
    std::memcpy(&word, at, sizeof word);
    return word;
}
static_assert(std::endian::native == std::endian::little);

// True when the 20 bytes sum to all ones (RFC 1071; the byte order does not matter for that). Each
// fold adds a word to itself turned by half, so that the high half takes the carry of the low one.
[[nodiscard]] inline bool sum_is_good(std::uint64_t first, std::uint64_t second,
                                      std::uint32_t third) noexcept {
    std::uint64_t sum = 0;
    sum += __builtin_add_overflow(first, second, &sum) ? 1 : 0;
    sum += __builtin_add_overflow(sum, third, &sum) ? 1 : 0;
    const auto half = static_cast<std::uint32_t>((sum + std::rotl(sum, 32)) >> 32);
    return (half + std::rotl(half, 16)) >> 16 == 0xffff;
}

// First bytes of source addresses that no client has: see is_martian() of classify.cc.
[[nodiscard]] inline bool is_martian_net(std::uint8_t first) noexcept {
    return first - 1u >= 223 || first == 127;
}

// Behind the IP header, at `transport`, with room for TCP's: ports, flags and lengths. `length`: of
// the IP payload, which of a first fragment UDP's length may reach behind.
template <Family family, Piece piece>
[[nodiscard]] inline bool read_transport(const std::uint8_t* transport, std::int32_t length,
                                         std::uint8_t protocol, PacketMeta& meta) noexcept {
    if (protocol == proto_tcp) [[likely]] {
        const auto& tcp = *reinterpret_cast<const TcpHeader*>(transport);
        const std::int32_t header = (tcp.data_offset >> 4) * 4;
        if (header < static_cast<std::int32_t>(sizeof(TcpHeader)) || header > length ||
            tcp_flags_contradict(tcp.flags))
            return false;
        meta.tcp_flags = tcp.flags;
    } else if (protocol == proto_udp) {
        const auto& udp = *reinterpret_cast<const UdpHeader*>(transport);
        const std::int32_t claimed = udp.length.host();
        constexpr auto least = static_cast<std::int32_t>(sizeof(UdpHeader));
        if (claimed < least || (piece == Piece::whole ? claimed : least) > length) return false;
        if (family == Family::v6 && load<std::uint16_t>(transport + 6) == 0) return false;
        meta.tcp_flags = 0;
    } else {
        return false;
    }
    // Both ports in one swap (TCP and UDP begin alike).
    static_assert(offsetof(PacketMeta, source_port) == offsetof(PacketMeta, destination_port) + 2);
    const std::uint32_t ports = __builtin_bswap32(load<std::uint32_t>(transport));
    meta.destination_port = static_cast<std::uint16_t>(ports);
    meta.source_port = static_cast<std::uint16_t>(ports >> 16);
    meta.protocol = protocol;
    meta.family = family;
    return true;
}

// The IPv4 packet at `at` in the frame.
template <Piece piece>
[[nodiscard]] inline bool read_ipv4(const Packet& packet, std::uint32_t at,
                                    PacketMeta& meta) noexcept {
    constexpr std::uint32_t header = sizeof(Ipv4Header);
    if (packet.contiguous < at + header + sizeof(TcpHeader)) return false;
    const std::uint8_t* ip = packet.data + at;
    // Version to fragment; TTL to source; destination.
    const auto first = load<std::uint64_t>(ip), second = load<std::uint64_t>(ip + 8);
    const auto third = load<std::uint32_t>(ip + 16);
    // No options; neither more-fragments nor an offset (0x3fff on the wire, in the last two bytes),
    // or the former alone.
    constexpr std::uint64_t plain_bits = 0xff3f'0000'0000'00ff, more = 0x0020'0000'0000'0000;
    if ((first & plain_bits) != (piece == Piece::whole ? 0x45 : 0x45 | more)) return false;
    const auto source = static_cast<std::uint32_t>(second >> 32);
    if (static_cast<std::uint8_t>(second) <= 1 || source == third ||
        is_martian_net(static_cast<std::uint8_t>(source)))
        return false;
    const std::uint32_t total = __builtin_bswap16(static_cast<std::uint16_t>(first >> 16));
    if (total > packet.length - at) return false;
    if (packet.ip_checksum != NicChecksum::good &&
        (packet.ip_checksum == NicChecksum::bad || !sum_is_good(first, second, third)))
        return false;
    meta.l3_offset = static_cast<std::uint16_t>(at);
    meta.ip_length = static_cast<std::uint16_t>(total);
    meta.traffic_class = static_cast<std::uint8_t>(first >> 8);
    return read_transport<Family::v4, piece>(ip + header, static_cast<std::int32_t>(total - header),
                                             static_cast<std::uint8_t>(second >> 8), meta);
}

// The IPv6 packet at `at` in the frame.
[[nodiscard]] inline bool read_ipv6(const Packet& packet, std::uint32_t at,
                                    PacketMeta& meta) noexcept {
    constexpr std::uint32_t header = sizeof(Ipv6Header);
    if (packet.contiguous < at + header + sizeof(TcpHeader)) return false;
    const std::uint8_t* raw = packet.data + at;
    const auto& ip = *reinterpret_cast<const Ipv6Header*>(raw);
    const std::uint32_t word = ip.version_class_label.host();
    const std::uint32_t payload = ip.payload_length.host();
    const std::uint64_t same = (load<std::uint64_t>(raw + 8) ^ load<std::uint64_t>(raw + 24)) |
                               (load<std::uint64_t>(raw + 16) ^ load<std::uint64_t>(raw + 32));
    // Sources that begin with ff are multicast; of those that begin with 0 some are martian.
    if (word >> 28 != 6 || ip.hop_limit <= 1 || same == 0 || ip.source[0] == 0 ||
        ip.source[0] == 0xff || payload + header > packet.length - at || payload + header > 0xffff)
        return false;
    meta.l3_offset = static_cast<std::uint16_t>(at);
    meta.ip_length = static_cast<std::uint16_t>(payload + header);
    meta.traffic_class = static_cast<std::uint8_t>(word >> 20);
    return read_transport<Family::v6, Piece::whole>(
        raw + header, static_cast<std::int32_t>(payload), ip.next_header, meta);
}

// To this port's address, and not from it. Precondition: both addresses are there.
[[nodiscard]] inline bool is_for(const std::uint8_t* frame, const PortTable& port) noexcept {
    const auto own = load<std::uint32_t>(port.mac.bytes.data());
    const auto own_rest = load<std::uint16_t>(port.mac.bytes.data() + 4);
    return load<std::uint32_t>(frame) == own && load<std::uint16_t>(frame + 4) == own_rest &&
           (load<std::uint32_t>(frame + 6) != own || load<std::uint16_t>(frame + 10) != own_rest);
}

// What read_plain() reads behind the addresses of a frame whose IP header lies at `at`: 14, or 18
// behind the tag of `vlan`.
template <std::uint32_t at, Piece piece = Piece::whole>
[[nodiscard]] inline bool read_at(const Packet& packet, std::uint16_t vlan,
                                  PacketMeta& meta) noexcept {
    if (packet.contiguous < at) return false;
    if constexpr (at == tagged) {
        const auto& ethernet = *reinterpret_cast<const EthernetHeader*>(packet.data);
        const auto& tag = *reinterpret_cast<const VlanTag*>(packet.data + ethernet_length);
        if (ethernet.ether_type.host() != ether_type_vlan || (tag.control.host() & 0x0fff) != vlan)
            return false;
    }
    const std::uint16_t type = reinterpret_cast<const be16*>(packet.data + at - 2)->host();
    if (type == ether_type_ipv4) [[likely]]
        return read_ipv4<piece>(packet, at, meta);
    return piece == Piece::whole && type == ether_type_ipv6 && read_ipv6(packet, at, meta);
}

}  // namespace plain

// Fills every field of `meta` and answers true, or answers false with `meta` in any state. `at`:
// where the IP header of a frame with the port's tag, or without one, lies.
// Cost: some 10 cycles when the frame's first line is in cache.
template <std::uint32_t at>
[[nodiscard]] inline bool read_plain(const Packet& packet, const PortTable& port,
                                     PacketMeta& meta) noexcept {
    return packet.contiguous >= at && plain::is_for(packet.data, port) &&
           plain::read_at<at>(packet, port.vlan, meta);
}
[[nodiscard]] inline bool read_plain(const Packet& packet, const PortTable& port,
                                     PacketMeta& meta) noexcept {
    return port.vlan == 0 ? read_plain<plain::untagged>(packet, port, meta)
                          : read_plain<plain::tagged>(packet, port, meta);
}

// The same of the first fragment of a datagram that came in several, IPv4 only.
[[nodiscard]] inline bool read_plain_first(const Packet& packet, const PortTable& port,
                                           PacketMeta& meta) noexcept {
    using namespace plain;
    if (packet.contiguous < untagged || !is_for(packet.data, port)) return false;
    return port.vlan == 0 ? read_at<untagged, Piece::first>(packet, 0, meta)
                          : read_at<tagged, Piece::first>(packet, port.vlan, meta);
}

}  // namespace weir
