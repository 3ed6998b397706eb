// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dataplane/telling.hh"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "lib/dataplane/forward.hh"
#include "lib/dataplane/rewritten_headers.hh"
#include "lib/wire/mss.hh"
#include "lib/wire/proxy_v2.hh"
#include "lib/wire/segment.hh"
#include "lib/wire/toa.hh"

namespace weir {
namespace {

constexpr std::size_t longest_tcp_header = 60;

const TcpHeader& tcp_of(const PacketHeaders& headers) noexcept {
    return *reinterpret_cast<const TcpHeader*>(headers.transport);
}

// Whether sequence number `a` comes behind `b` (RFC 9293 3.4).
bool is_after(std::uint32_t a, std::uint32_t b) noexcept {
    return static_cast<std::int32_t>(a - b) > 0;
}

// forward_any() for a packet that will be `growth` bytes longer: the link header leaves that much
// room in front of the IP header, which the caller then moves there. A SYN's MSS is the caller's
// too, as the headers are not yet where they are looked for.
Verdict forward_grown(const Tables& tables, const BackendEntry& backend, PacketMeta meta,
                      std::uint64_t flow_hash, std::uint16_t growth, Packet& packet) noexcept {
    if (growth > packet.headroom) return Verdict::dropped(DropReason::no_headroom);
    if (meta.ip_length > 0xffff - growth) return Verdict::dropped(DropReason::too_big);
    meta.ip_length = static_cast<std::uint16_t>(meta.ip_length + growth);
    meta.tcp_flags = static_cast<std::uint8_t>(meta.tcp_flags & ~tcp_syn);
    Packet grown = packet;
    grown.data -= growth;
    grown.contiguous += growth;
    grown.length += growth;
    grown.headroom = static_cast<std::uint16_t>(grown.headroom - growth);
    // IPv4's header is looked at, whether it allows fragments: it stands there for that time.
    std::uint8_t* const ip = packet.data + meta.l3_offset;
    std::array<std::uint8_t, sizeof(Ipv4Header)> header;
    std::memcpy(header.data(), ip, header.size());
    std::memcpy(ip - growth, header.data(), header.size());
    const Verdict verdict = forward_any(tables, backend, meta, flow_hash, grown);
    std::memcpy(ip, header.data(), header.size());
    if (!verdict.is_sent()) return verdict;
    packet.data = grown.data;
    packet.length = grown.length;
    return verdict;
}

// The option behind the 20 bytes that every TCP header has: the first one of its kind counts.
PacketHeaders insert_toa(const PacketHeaders& headers, const PacketEnd& client) noexcept {
    std::array<std::uint8_t, toa_length(Family::v6)> bytes;
    const auto option = std::span(bytes).first(toa_length(client.address.family));
    write_toa(bytes.data(), client);
    ChecksumChange change;
    const PacketHeaders moved = insert_into_segment(headers, sizeof(TcpHeader), option, change);
    std::uint8_t* const words = moved.transport + offsetof(TcpHeader, data_offset);
    const std::uint8_t longer[2] = {static_cast<std::uint8_t>(words[0] + (option.size() / 4 << 4)),
                                    words[1]};
    change.replace<std::uint16_t>(words, longer);
    change.apply_to_transport(moved);
    return moved;
}

// A segment that has no room for the option goes without: the address is told by others, and the
// connection stands in any case.
PacketHeaders tell_by_option(const PacketHeaders& headers, const PacketEnd& client,
                             bool told) noexcept {
    ChecksumChange change;
    blank_toa(tcp_header(headers), change);
    change.apply_to_transport(headers);
    return told ? insert_toa(headers, client) : headers;
}

// By how much a connection's stream begins earlier to its backend.
std::uint16_t shift_of(const NatBinding& binding) noexcept {
    return binding.told_by == ClientAddress::proxy_v2
               ? telling_length(binding.told_by, binding.client.family)
               : std::uint16_t{0};
}

// A client's packet on its way, and what its headers are.
struct Request {
    const Tables& tables;
    const BackendEntry& backend;
    const PacketMeta& meta;
    std::uint64_t flow_hash;
    PacketHeaders headers;
    NatBinding& binding;
    Packet& packet;

    [[nodiscard]] bool is(std::uint8_t flag) const noexcept { return (meta.tcp_flags & flag) != 0; }
    [[nodiscard]] std::uint32_t sequence() const noexcept {
        return tcp_of(headers).sequence.host();
    }
    [[nodiscard]] bool is_fragment() const noexcept {
        return weir::is_fragment(tables, headers, packet);
    }
    [[nodiscard]] std::uint16_t payload() const noexcept {
        const std::size_t before =
            static_cast<std::size_t>(headers.transport - headers.ip) + tcp_header(headers).size();
        return static_cast<std::uint16_t>(meta.ip_length - before);
    }
    [[nodiscard]] Verdict forward_grown(std::uint16_t growth) const noexcept {
        return weir::forward_grown(tables, backend, meta, flow_hash, growth, packet);
    }
    void clamp() const noexcept {
        if (backend.mss_clamp != 0) clamp_mss(tcp_header(headers), backend.mss_clamp);
    }
};

Verdict forward_with_option(Request& request) noexcept {
    std::uint16_t growth = 0;
    if (request.binding.told_by == ClientAddress::toa &&
        (request.is(tcp_syn) || request.binding.telling) && !request.is_fragment()) {
        growth = telling_length(ClientAddress::toa, request.binding.client.family);
        if (tcp_header(request.headers).size() + growth > longest_tcp_header) growth = 0;
    }
    Verdict verdict = request.forward_grown(growth);
    if (!verdict.is_sent() && growth != 0) {
        growth = 0;
        verdict = request.forward_grown(growth);
    }
    if (!verdict.is_sent()) return verdict;
    request.clamp();
    const FlowKey& client = request.binding.client;
    request.headers =
        tell_by_option(request.headers, {client.source_address(), client.source_port}, growth != 0);
    return verdict;
}

// Sequence or acknowledgment: that of TCP's fields which lies at `at`.
void set_number(const PacketHeaders& headers, std::size_t at, std::uint32_t number) noexcept {
    const be32 value = be32::from_host(number);
    ChecksumChange change;
    change.replace<std::uint32_t>(headers.transport + at, &value);
    change.apply_to_transport(headers);
}
void set_sequence(const PacketHeaders& headers, std::uint32_t sequence) noexcept {
    set_number(headers, offsetof(TcpHeader, sequence), sequence);
}

// The SYN, without data: a server that takes data from a SYN (RFC 7413) would take it for the
// header. The client sends it again when the SYN-ACK does not acknowledge it.
Verdict forward_proxied_syn(Request& request) noexcept {
    if (request.is_fragment()) return Verdict::dropped(DropReason::frag_bad);
    const std::uint16_t payload = request.payload();
    const std::uint32_t end = std::uint32_t{request.meta.l3_offset} + request.meta.ip_length;
    PacketMeta meta = request.meta;
    meta.ip_length = static_cast<std::uint16_t>(meta.ip_length - payload);
    Packet bare = request.packet;
    if (payload != 0) {
        bare.length = end - payload;
        bare.contiguous = std::min(bare.contiguous, bare.length);
    }
    const Verdict verdict =
        forward_grown(request.tables, request.backend, meta, request.flow_hash, 0, bare);
    if (!verdict.is_sent()) return verdict;
    if (payload != 0) {
        const std::uint32_t readable = std::min(request.packet.contiguous, end);
        remove_payload(request.headers, payload, readable - std::min(readable, end - payload));
    }
    request.packet.data = bare.data;
    request.packet.length = bare.length;
    request.clamp();
    const std::uint32_t sequence = request.sequence();
    // For ICMP errors about it; the SYN-ACK says what holds.
    if (!request.binding.telling) request.binding.first_sequence = sequence + 1;
    set_sequence(request.headers, sequence - shift_of(request.binding));
    return verdict;
}

// What a client sends from before its first byte has been received already, if it is honest. It
// ends where the backend expects nothing any more: a byte in the place of the header would be the
// client's own header.
Verdict forward_early(const Request& request, std::uint32_t before) noexcept {
    const Verdict verdict = request.forward_grown(0);
    if (!verdict.is_sent()) return verdict;
    const std::uint32_t length =
        request.is_fragment() ? 0x10000
                              : std::uint32_t{request.payload()} + (request.is(tcp_fin) ? 1 : 0);
    const std::uint32_t over = length > before ? length - before : 0;
    set_sequence(request.headers, request.sequence() - shift_of(request.binding) - over);
    return verdict;
}

PacketHeaders insert_proxy_header(const Request& request) noexcept {
    const FlowKey& client = request.binding.client;
    std::array<std::uint8_t, proxy_v2_length(Family::v6)> bytes;
    write_proxy_v2(bytes.data(), {client.source_address(), client.source_port},
                   {client.destination_address(), client.destination_port});
    const std::uint16_t shift = shift_of(request.binding);
    ChecksumChange change;
    const PacketHeaders moved = insert_into_segment(
        request.headers, tcp_header(request.headers).size(), std::span(bytes).first(shift), change);
    const auto& tcp = tcp_of(moved);
    const be32 sequence = be32::from_host(tcp.sequence.host() - shift);
    const std::uint32_t behind = std::uint32_t{tcp.urgent.host()} + shift;
    const be16 urgent = be16::from_host(static_cast<std::uint16_t>(std::min(behind, 0xffffU)));
    change.replace<std::uint32_t>(moved.transport + offsetof(TcpHeader, sequence), &sequence);
    if (request.is(tcp_urg))
        change.replace<std::uint16_t>(moved.transport + offsetof(TcpHeader, urgent), &urgent);
    change.apply_to_transport(moved);
    return moved;
}

// A fragment at the begin of the stream carries no header: the backend keeps it for the time when
// it has what stands before.
Verdict forward_proxied(Request& request) noexcept {
    if (request.is(tcp_syn)) return forward_proxied_syn(request);
    if (!request.binding.telling) return request.forward_grown(0);
    const std::uint32_t first = request.binding.first_sequence, sequence = request.sequence();
    if (is_after(first, sequence)) return forward_early(request, first - sequence);
    if (sequence != first || request.is(tcp_rst) || request.is_fragment())
        return request.forward_grown(0);
    const Verdict verdict = request.forward_grown(shift_of(request.binding));
    if (verdict.is_sent()) request.headers = insert_proxy_header(request);
    return verdict;
}

void raise_acknowledgment(const PacketHeaders& headers, std::uint32_t to) noexcept {
    set_number(headers, offsetof(TcpHeader, acknowledgment), to);
}

void hear_syn_ack(const ServiceTable& service, const PacketHeaders& headers,
                  NatBinding& binding) noexcept {
    const std::uint32_t first = tcp_of(headers).acknowledgment.host() + shift_of(binding);
    binding.telling = true;
    binding.first_sequence = first;
    if (shift_of(binding) != 0) raise_acknowledgment(headers, first);
    const std::span<std::uint8_t> header = tcp_header(headers);
    if (service.mss_clamp() != 0) clamp_mss(header, service.mss_clamp());
    reduce_mss(header, telling_length(binding.told_by, binding.client.family));
}

// Either shows that the backend has its connection: an acknowledgment alone may be for a packet
// that it refused while it still waited for the handshake to end.
void hear_of_option(const PacketMeta& meta, const PacketHeaders& headers,
                    NatBinding& binding) noexcept {
    const std::size_t before =
        static_cast<std::size_t>(headers.transport - headers.ip) + tcp_header(headers).size();
    if (is_after(tcp_of(headers).acknowledgment.host(), binding.first_sequence) ||
        meta.ip_length > before)
        binding.telling = false;
}

void hear_of_header(const PacketMeta& meta, const PacketHeaders& headers,
                    NatBinding& binding) noexcept {
    const TcpHeader& tcp = tcp_of(headers);
    const std::uint32_t acknowledged = tcp.acknowledgment.host(), first = binding.first_sequence,
                        shift = shift_of(binding);
    const bool reset = (meta.tcp_flags & tcp_rst) != 0;
    // RFC 9293 3.10.7.1: what answers a segment without acknowledgment, which is a SYN.
    if (reset && tcp.sequence.host() == 0)
        return raise_acknowledgment(headers, acknowledged + shift);
    if (!binding.telling) return;
    if (is_after(first, acknowledged)) {
        if (first - acknowledged <= shift) raise_acknowledgment(headers, first);
    } else if (!reset) {
        binding.telling = false;
    }
}

}  // namespace

[[gnu::noinline]] Verdict forward_telling(const Tables& tables, const BackendEntry& backend,
                                          const PacketMeta& meta, std::uint64_t flow_hash,
                                          NatBinding& binding, const PacketEnd& source,
                                          const PacketEnd& destination, Packet& packet) noexcept {
    Request request{tables,  backend, meta, flow_hash, headers_of(tables, meta, packet),
                    binding, packet};
    const ClientAddress now = tables.nat->client_address(backend.id);
    if (request.is(tcp_syn)) {
        binding.told_by = now;
        if (now == ClientAddress::none) binding.telling = false;
    }
    Verdict verdict;
    if (request.headers.transport == nullptr)
        verdict = request.forward_grown(0);
    else if (binding.told_by == ClientAddress::proxy_v2)
        verdict = forward_proxied(request);
    else
        verdict = forward_with_option(request);
    if (verdict.is_sent()) translate(request.headers, &source, &destination);
    return verdict;
}

[[gnu::noinline]] void hear_reply(const Tables& tables, const ServiceTable& service,
                                  const PacketMeta& meta, NatBinding& binding,
                                  Packet& packet) noexcept {
    const PacketHeaders headers = headers_of(tables, meta, packet);
    if (headers.transport == nullptr || (meta.tcp_flags & tcp_ack) == 0) return;
    if ((meta.tcp_flags & tcp_syn) != 0)
        hear_syn_ack(service, headers, binding);
    else if (binding.told_by == ClientAddress::proxy_v2)
        hear_of_header(meta, headers, binding);
    else if (binding.telling && (meta.tcp_flags & tcp_rst) == 0)
        hear_of_option(meta, headers, binding);
}

std::uint32_t quoted_shift(const NatBinding& binding, std::uint32_t sequence) noexcept {
    const std::uint32_t shift = shift_of(binding), back = binding.first_sequence - sequence;
    return back == shift || back == shift + 1 ? shift : 0;
}

}  // namespace weir
