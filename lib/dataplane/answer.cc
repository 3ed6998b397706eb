// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dataplane/answer.hh"

#include <algorithm>

#include "lib/wire/checksum.hh"
#include "lib/wire/headers.hh"
#include "lib/wire/icmp.hh"

namespace weir {
namespace {

constexpr std::uint8_t ttl = 64;
constexpr std::uint8_t internetwork_control = 0xc0;  // RFC 1812 4.3.2.5: precedence 6
constexpr std::uint32_t longest_v4 = 576, longest_v6 = longest_verified_icmp;
constexpr std::uint32_t least_mtu_v4 = 68, least_mtu_v6 = 1280;

// RFC 792; RFC 4443 sections 3.2 and 3.3. By IcmpErrorType.
struct TypeAndCode {
    std::uint8_t type, code;
};
constexpr TypeAndCode icmp_v4[] = {{3, 4}, {11, 0}}, icmp_v6[] = {{2, 0}, {3, 0}};

// What the packet has of the IP packet, as far as its first bytes are contiguous.
std::span<const std::uint8_t> ip_bytes(const Packet& packet, const Refusal& refusal) noexcept {
    const std::uint32_t there = packet.contiguous - refusal.l3_offset;
    return {packet.data + refusal.l3_offset, std::min<std::uint32_t>(there, refusal.ip_length)};
}

// RFC 8200 section 5: no host sends less than 1280 bytes for its path; the outer packet would have
// to be fragmented (RFC 2473 7.1).
bool can_shrink(std::span<const std::uint8_t> ip, const Refusal& refusal) noexcept {
    if (refusal.type != IcmpErrorType::too_big) return true;
    if (refusal.family == Family::v6) return refusal.ip_length > least_mtu_v6;
    const auto& header = *reinterpret_cast<const Ipv4Header*>(ip.data());
    return (header.fragment.host() & ipv4_dont_fragment) != 0 && refusal.mtu >= least_mtu_v4;
}

void write_ipv4(std::uint8_t* out, const Ipv4Header& about, std::size_t total) noexcept {
    auto& ip = *reinterpret_cast<Ipv4Header*>(out);
    ip = {.version_ihl = 0x45,
          .tos = internetwork_control,
          .total_length = be16::from_host(static_cast<std::uint16_t>(total)),
          .id = {},
          .fragment = be16::from_host(ipv4_dont_fragment),  // RFC 6864: the id may then be 0
          .ttl = ttl,
          .protocol = proto_icmp,
          .checksum = {},
          .source = about.destination,
          .destination = about.source};
    ip.checksum = be16::from_host(checksum_finish(checksum_sum({out, sizeof ip})));
}

void write_ipv6(std::uint8_t* out, const Ipv6Header& about, std::size_t total) noexcept {
    *reinterpret_cast<Ipv6Header*>(out) = {
        .version_class_label = be32::from_host(6u << 28),
        .payload_length = be16::from_host(static_cast<std::uint16_t>(total - sizeof(Ipv6Header))),
        .next_header = proto_icmp6,
        .hop_limit = ttl,
        .source = about.destination,
        .destination = about.source};
}

// In front of `quoted` bytes of the packet, which `message` ends with.
void write_icmp(std::span<std::uint8_t> message, const Refusal& refusal,
                std::uint32_t pseudo_header) noexcept {
    const auto i = static_cast<std::size_t>(refusal.type);
    const bool is_v4 = refusal.family == Family::v4;
    const TypeAndCode what = is_v4 ? icmp_v4[i] : icmp_v6[i];
    std::uint32_t rest = 0;
    if (refusal.type == IcmpErrorType::too_big)
        rest = is_v4 ? std::min(refusal.mtu, 0xffffu) : std::max(refusal.mtu, least_mtu_v6);
    auto& icmp = *reinterpret_cast<IcmpHeader*>(message.data());
    icmp = {.type = what.type, .code = what.code, .checksum = {}, .rest = be32::from_host(rest)};
    icmp.checksum = be16::from_host(checksum_finish(checksum_sum(message, pseudo_header)));
}

// `ip` .. `ip` + total: the answer, whose last bytes are those of the packet.
void write_packet(std::uint8_t* ip, std::size_t total, const Refusal& refusal) noexcept {
    if (refusal.family == Family::v4) {
        const std::size_t header = sizeof(Ipv4Header);
        auto about = *reinterpret_cast<const Ipv4Header*>(ip + header + sizeof(IcmpHeader));
        if (refusal.from != nullptr)
            std::copy_n(refusal.from->bytes.begin(), 4, about.destination.begin());
        write_ipv4(ip, about, total);
        write_icmp({ip + header, total - header}, refusal, 0);
        return;
    }
    const std::size_t header = sizeof(Ipv6Header);
    auto about = *reinterpret_cast<const Ipv6Header*>(ip + header + sizeof(IcmpHeader));
    if (refusal.from != nullptr) about.destination = refusal.from->bytes;
    write_ipv6(ip, about, total);
    write_icmp({ip + header, total - header}, refusal,
               pseudo_header_sum(about.destination, about.source, proto_icmp6,
                                 static_cast<std::uint32_t>(total - header)));
}

void write_link(std::uint8_t* out, const std::array<std::uint8_t, 6>& to, const PortTable& port,
                Family family) noexcept {
    const std::uint16_t type = family == Family::v4 ? ether_type_ipv4 : ether_type_ipv6;
    auto& ethernet = *reinterpret_cast<EthernetHeader*>(out);
    ethernet = {.destination = to, .source = port.mac.bytes, .ether_type = be16::from_host(type)};
    if (port.vlan == 0) return;
    ethernet.ether_type = be16::from_host(ether_type_vlan);
    *reinterpret_cast<VlanTag*>(out + ethernet_length) = {.control = be16::from_host(port.vlan),
                                                          .ether_type = be16::from_host(type)};
}

}  // namespace

bool deserves_answer(const Packet& packet, const Refusal& refusal) noexcept {
    using Status = EmbeddedPacket::Status;
    if ((reinterpret_cast<const EthernetHeader*>(packet.data)->source[0] & 1) != 0) return false;
    const std::span<const std::uint8_t> ip = ip_bytes(packet, refusal);
    const Status status = read_embedded(ip, refusal.family).status;
    return status != Status::bad && status != Status::fragment && status != Status::icmp_error &&
           can_shrink(ip, refusal);
}

bool make_answer(const PortTable& port, const Refusal& refusal, Packet& packet) noexcept {
    const bool is_v4 = refusal.family == Family::v4;
    const std::uint32_t headers =
        (is_v4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header)) + sizeof(IcmpHeader);
    const std::uint32_t link = link_header_length(port);
    const int front = static_cast<int>(link + headers) - refusal.l3_offset;
    if (front > packet.headroom) return false;
    const auto quoted = std::min(static_cast<std::uint32_t>(ip_bytes(packet, refusal).size()),
                                 (is_v4 ? longest_v4 : longest_v6) - headers);
    const auto to = reinterpret_cast<const EthernetHeader*>(packet.data)->source;
    packet.data -= front;
    packet.length = link + headers + quoted;
    write_packet(packet.data + link, headers + quoted, refusal);
    write_link(packet.data, to, port, refusal.family);
    return true;
}

}  // namespace weir
