// SPDX-License-Identifier: BSD-3-Clause
#include "lib/wire/icmp_families.hh"

#include <algorithm>
#include <cstring>

#include "lib/wire/checksum.hh"
#include "lib/wire/checksum_change.hh"
#include "lib/wire/headers.hh"
#include "lib/wire/ip_fields.hh"
#include "lib/wire/parse.hh"

namespace weir {
namespace {

constexpr std::uint32_t least_mtu_v4 = 68, least_mtu_v6 = 1280;
constexpr std::uint32_t header_difference = sizeof(Ipv6Header) - sizeof(Ipv4Header);

// RFC 792 and RFC 4443.
namespace v4 {
constexpr std::uint8_t unreachable = 3, time_exceeded = 11, parameter = 12;
}
namespace v6 {
constexpr std::uint8_t unreachable = 1, too_big = 2, time_exceeded = 3, parameter = 4;
}

std::optional<IcmpWords> unreachable_to_v6(const IcmpWords& words, std::uint16_t less) noexcept {
    constexpr std::uint32_t next_header_at = 6;
    switch (words.code) {
        case 0:   // network
        case 1:   // host
        case 5:   // source route failed
        case 6:   // network unknown
        case 7:   // host unknown
        case 8:   // source host isolated
        case 11:  // network, for this type of service
        case 12:  // host, for this type of service
            return IcmpWords{v6::unreachable, 0, 0};
        case 2:  // protocol
            return IcmpWords{v6::parameter, 1, next_header_at};
        case 3:  // port
            return IcmpWords{v6::unreachable, 4, 0};
        case 4: {  // fragmentation needed
            const std::uint32_t mtu = (words.rest & 0xffff) + header_difference;
            return IcmpWords{v6::too_big, 0, std::max(mtu, least_mtu_v6 + less) - less};
        }
        case 9:   // network prohibited
        case 10:  // host prohibited
        case 13:  // prohibited
        case 15:  // precedence cut off
            return IcmpWords{v6::unreachable, 1, 0};
        default:
            return std::nullopt;
    }
}

// Which byte of the header is wrong: where the other header has what stands there.
std::optional<std::uint32_t> pointer_to_v6(std::uint32_t at) noexcept {
    if (at <= 1) return at;               // version; traffic class
    if (at <= 3) return 4;                // length
    if (at == 8) return 7;                // TTL
    if (at == 9) return 6;                // protocol
    if (at >= 12 && at <= 15) return 8;   // source
    if (at >= 16 && at <= 19) return 24;  // destination
    return std::nullopt;
}
std::optional<std::uint32_t> pointer_to_v4(std::uint32_t at) noexcept {
    if (at <= 1) return at;
    if (at == 4 || at == 5) return 2;
    if (at == 6) return 9;
    if (at == 7) return 8;
    if (at >= 8 && at <= 23) return 12;
    if (at >= 24 && at <= 39) return 16;
    return std::nullopt;
}

std::optional<IcmpWords> to_v6(const IcmpWords& words, std::uint16_t less) noexcept {
    if (words.type == v4::unreachable) return unreachable_to_v6(words, less);
    if (words.type == v4::time_exceeded) return IcmpWords{v6::time_exceeded, words.code, 0};
    if (words.type != v4::parameter || (words.code != 0 && words.code != 2)) return std::nullopt;
    const auto pointer = pointer_to_v6(words.rest >> 24);
    if (!pointer) return std::nullopt;
    return IcmpWords{v6::parameter, 0, *pointer};
}

std::optional<IcmpWords> unreachable_to_v4(const IcmpWords& words) noexcept {
    switch (words.code) {
        case 0:  // no route
        case 2:  // beyond the scope of the source
        case 3:  // address
            return IcmpWords{v4::unreachable, 1, 0};
        case 1:  // prohibited
            return IcmpWords{v4::unreachable, 10, 0};
        case 4:  // port
            return IcmpWords{v4::unreachable, 3, 0};
        default:
            return std::nullopt;
    }
}

std::optional<IcmpWords> parameter_to_v4(const IcmpWords& words) noexcept {
    if (words.code == 1) return IcmpWords{v4::unreachable, 2, 0};  // next header unknown
    const auto pointer = words.code == 0 ? pointer_to_v4(words.rest) : std::nullopt;
    if (!pointer) return std::nullopt;
    return IcmpWords{v4::parameter, 0, *pointer << 24};
}

std::optional<IcmpWords> to_v4(const IcmpWords& words, std::uint16_t less) noexcept {
    if (words.type == v6::unreachable) return unreachable_to_v4(words);
    if (words.type == v6::time_exceeded) return IcmpWords{v4::time_exceeded, words.code, 0};
    if (words.type == v6::parameter) return parameter_to_v4(words);
    if (words.type != v6::too_big) return std::nullopt;
    const std::uint32_t more = header_difference + less;
    const std::uint32_t mtu = std::max(words.rest, least_mtu_v4 + more) - more;
    return IcmpWords{v4::unreachable, 4, std::min(mtu, 0xffffu)};
}

// RFC 4884 4: how many bytes of the packet inside come before the extensions; 0: it does not say.
std::size_t quoted_length(Family family, const std::uint8_t* icmp) noexcept {
    const auto& header = *reinterpret_cast<const IcmpHeader*>(icmp);
    if (family == Family::v4) {
        const bool tells = header.type == v4::unreachable || header.type == v4::time_exceeded ||
                           header.type == v4::parameter;
        return tells ? (header.rest.host() >> 16 & 0xff) * 4 : 0;
    }
    const bool tells = header.type == v6::unreachable || header.type == v6::time_exceeded;
    return tells ? (header.rest.host() >> 24) * 8 : 0;
}

// Of the packet inside, from its transport header on; 8 bytes at least.
std::size_t quoted_transport(const IcmpErrorParts& parts) noexcept {
    const PacketHeaders& embedded = parts.embedded;
    const auto header = static_cast<std::size_t>(embedded.transport - embedded.ip);
    const std::size_t told = quoted_length(embedded.family, parts.icmp);
    if (told < header + 8) return parts.transport_bytes;
    return std::min<std::size_t>(parts.transport_bytes, told - header);
}

// The ends and the checksum of the packet inside, whose transport header now lies at `transport`.
void translate_quoted(const IcmpErrorParts& parts, const IcmpErrorRewrite& to,
                      std::span<std::uint8_t> transport) noexcept {
    const PacketHeaders& was = parts.embedded;
    const std::size_t size = was.family == Family::v4 ? 4 : 16;
    const std::size_t at =
        was.family == Family::v4 ? offsetof(Ipv4Header, source) : offsetof(Ipv6Header, source);
    ChecksumChange change;
    change.remove_tail({was.ip + at, 2 * size});
    for (const PacketEnd* end : {to.embedded_source, to.embedded_destination})
        change.add({end->address.bytes.data(), end->address.size()});
    const be16 ports[] = {be16::from_host(to.embedded_source->port),
                          be16::from_host(to.embedded_destination->port)};
    change.replace<std::uint32_t>(transport.data(), ports);
    const bool udp = was.protocol == proto_udp;
    if (to.sequence_more != 0) {
        std::uint8_t* const place = transport.data() + offsetof(TcpHeader, sequence);
        be32 sequence;
        std::memcpy(&sequence, place, sizeof sequence);
        sequence = be32::from_host(sequence.host() + to.sequence_more);
        change.replace<std::uint32_t>(place, &sequence);
    }
    const std::size_t sum_at = udp ? offsetof(UdpHeader, checksum) : offsetof(TcpHeader, checksum);
    if (transport.size() < sum_at + 2) return;
    PacketHeaders headers = was;
    headers.transport = transport.data();
    change.apply_to_transport(headers);
}

}  // namespace

std::optional<IcmpWords> other_icmp_words(Family from, const IcmpWords& words,
                                          std::uint16_t mtu_less) noexcept {
    return from == Family::v4 ? to_v6(words, mtu_less) : to_v4(words, mtu_less);
}

std::size_t translate_icmp_family(const IcmpErrorParts& parts, const IcmpErrorRewrite& to,
                                  std::uint16_t id,
                                  std::span<std::uint8_t, longest_translated_icmp> out) noexcept {
    const PacketHeaders& embedded = parts.embedded;
    const Family from = embedded.family, family = to.source->family;
    const auto& icmp = *reinterpret_cast<const IcmpHeader*>(parts.icmp);
    const auto words =
        other_icmp_words(from, {icmp.type, icmp.code, icmp.rest.host()}, to.mtu_less);
    if (!words) return 0;

    const auto header_of = [&](const std::uint8_t* ip, const std::uint8_t* end,
                               std::uint8_t protocol) {
        return read_ip_fields(ip, static_cast<std::size_t>(end - ip), from, protocol);
    };
    IpFields outer = header_of(parts.ip, parts.icmp, icmp_protocol(family));
    const IpFields inner = header_of(embedded.ip, embedded.transport, embedded.protocol);
    outer.is_fragment = false;
    outer.identification = id;
    --outer.hop_limit;
    const std::size_t icmp_at = ip_header_length(family, outer);
    const std::size_t inner_at = icmp_at + sizeof icmp;
    const std::size_t transport_at = inner_at + ip_header_length(family, inner);
    const std::size_t longest = family == Family::v4 ? 576 : longest_translated_icmp;
    const std::size_t quoted = std::min(quoted_transport(parts), longest - transport_at);
    const std::size_t total = transport_at + quoted;

    outer.payload = static_cast<std::uint32_t>(total - icmp_at);
    outer.dont_fragment = family == Family::v6;  // it is short, see family_change.hh
    write_ip_header(out.data(), family, outer, *to.source, *to.destination);
    write_ip_header(out.data() + inner_at, family, inner, to.embedded_source->address,
                    to.embedded_destination->address);
    std::copy_n(embedded.transport, quoted, out.data() + transport_at);
    translate_quoted(parts, to, out.subspan(transport_at, quoted));
    auto& message = *reinterpret_cast<IcmpHeader*>(out.data() + icmp_at);
    message = {.type = words->type,
               .code = words->code,
               .checksum = {},
               .rest = be32::from_host(words->rest)};
    const std::uint32_t pseudo = family == Family::v4
                                     ? 0
                                     : pseudo_header_sum(to.source->bytes, to.destination->bytes,
                                                         proto_icmp6, outer.payload);
    message.checksum = be16::from_host(
        checksum_finish(checksum_sum(out.subspan(icmp_at, total - icmp_at), pseudo)));
    return total;
}

}  // namespace weir
