// SPDX-License-Identifier: BSD-3-Clause
// Any bytes through parse(), flow_key() and write_outer(), and the promises of their headers.
//
// Input: one byte of settings (bits 0-1: what the NIC said of the checksum, bit 2: port with VLAN
// 7, bits 3-7: length of a first segment for a second parse), two bytes for how many bytes of the
// frame lie in further segments, then the frame.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "lib/flow/key.hh"
#include "lib/wire/encapsulate.hh"
#include "lib/wire/headers.hh"
#include "lib/wire/parse.hh"
#include "tests/fuzz/require.hh"

namespace weir::fuzz {

namespace {

// What parse() may read at most, by its contract.
constexpr std::size_t most_read = 256 + 14 + 4 + 40 + 60;

struct Input {
    std::span<const std::uint8_t> frame;
    std::uint32_t frame_length;
    ParseOptions options;
};

// In a buffer of exactly the size, so that AddressSanitizer sees an overread.
Parsed parse_exact(std::span<const std::uint8_t> frame, const Input& input) {
    const std::unique_ptr<std::uint8_t[]> copy(new std::uint8_t[frame.size()]);
    std::copy(frame.begin(), frame.end(), copy.get());
    return parse({copy.get(), frame.size()}, input.frame_length, input.options);
}

bool same(const Parsed& a, const Parsed& b) {
    return a.l3 == b.l3 && a.l4 == b.l4 && a.family == b.family && a.protocol == b.protocol &&
           a.ttl == b.ttl && a.traffic_class == b.traffic_class && a.tcp_flags == b.tcp_flags &&
           a.dont_fragment == b.dont_fragment && a.ether_type == b.ether_type &&
           a.l3_offset == b.l3_offset && a.l4_offset == b.l4_offset && a.ip_length == b.ip_length &&
           a.source_port == b.source_port && a.destination_port == b.destination_port &&
           a.fragment == b.fragment;
}

void check_offsets(const Parsed& parsed, const Input& input) {
    if (parsed.l3 != L3Status::ip) {
        require(parsed.ip_length == 0 && parsed.l4_offset == 0,
                "no IP fields of an unsound packet");
        require(parsed.l3_offset <= input.frame.size(), "l3_offset lies in the frame");
        return;
    }
    const std::uint32_t end = parsed.l3_offset + std::uint32_t{parsed.ip_length};
    require(parsed.l3_offset == 14 || parsed.l3_offset == 18, "one tag at most");
    require(end <= input.frame_length, "the packet lies in the frame");
    require(parsed.l4_offset >= parsed.l3_offset + (parsed.family == Family::v4 ? 20 : 40),
            "the transport header lies behind the IP header");
    require(parsed.l4_offset <= std::min<std::size_t>(input.frame.size(), end),
            "l4_offset lies in packet and frame");
    const bool tcp = parsed.protocol == proto_tcp, udp = parsed.protocol == proto_udp,
               sctp = parsed.protocol == proto_sctp;
    if (parsed.l4 == L4Status::ok) {
        require(tcp || udp || sctp, "ports belong to TCP, UDP or SCTP");
        const std::size_t header = tcp ? 20 : udp ? 8 : 12;
        require(parsed.l4_offset + header <= std::min<std::size_t>(input.frame.size(), end),
                "the transport header lies in packet and frame");
    }
    if (parsed.l4 == L4Status::bad_flags) require(tcp, "flags belong to TCP");
    if (parsed.l4 == L4Status::other)
        require(!tcp && !udp && !sctp, "TCP, UDP and SCTP are always judged");
    if (parsed.l4 == L4Status::udp_zero_checksum)
        require(udp && parsed.family == Family::v6, "zero checksums matter on IPv6 alone");
    if (parsed.l4 == L4Status::fragment) {
        const FragmentFields& fragment = parsed.fragment;
        require(fragment.payload_offset <= parsed.l4_offset, "headers of fragments follow");
        require(fragment.offset % 8 == 0, "offsets count units of 8 bytes");
        require(fragment.more || fragment.offset != 0, "else it is whole");
        require(fragment.offset == 0 || fragment.first == L4Status::bad_length,
                "later fragments have no transport header");
    }
    if (parsed.family == Family::v6) require(parsed.dont_fragment, "IPv6 is never fragmented");
}

// The same packet the other way round: the same verdict and the swapped key.
void check_swapped(const Parsed& parsed, const Input& input) {
    std::vector<std::uint8_t> back(input.frame.begin(), input.frame.end());
    const bool four = parsed.family == Family::v4;
    const auto address = back.begin() + parsed.l3_offset + (four ? 12 : 8);
    const int size = four ? 4 : 16;
    std::swap_ranges(address, address + size, address + size);
    if (parsed.l4 == L4Status::ok) {
        const auto port = back.begin() + parsed.l4_offset;
        std::swap_ranges(port, port + 2, port + 2);
    }
    const Parsed again = parse_exact(back, input);
    require(again.l3 == parsed.l3 && again.l4 == parsed.l4, "direction does not matter");
    const FlowKey there = flow_key(input.frame.data(), parsed), here = flow_key(back.data(), again);
    require(there.source == here.destination && there.destination == here.source &&
                there.source_port == here.destination_port &&
                there.destination_port == here.source_port && there.protocol == here.protocol &&
                there.family == here.family,
            "keys of both directions mirror each other");
    require(parsed.l4 == L4Status::ok || (there.source_port == 0 && there.destination_port == 0),
            "no ports without a sound transport header");
}

// A tunnel around it is a sound packet to our own parser, with the original inside.
void check_tunnel(const Parsed& parsed, const Input& input, Family outer_family) {
    const bool four = outer_family == Family::v4;
    const IpPrefix source{{{198, 18, 64}, outer_family}, static_cast<std::uint8_t>(four ? 24 : 64)};
    const OuterTemplate outer = make_outer_template(source, {{10, 2}, outer_family}, parsed.family);
    const std::uint32_t total = std::uint32_t{parsed.ip_length} + outer.length;
    if (total > 0xffff) return;
    const std::size_t inner_here =
        std::min<std::size_t>(input.frame.size() - parsed.l3_offset, parsed.ip_length);
    std::vector<std::uint8_t> frame(ethernet_length + outer.length + inner_here);
    frame[12] = four ? 0x08 : 0x86;
    frame[13] = four ? 0x00 : 0xdd;
    write_outer(frame.data() + ethernet_length, outer, parsed.ip_length, parsed.traffic_class,
                total * 2654435761u);
    std::copy_n(input.frame.begin() + parsed.l3_offset, inner_here,
                frame.begin() + ethernet_length + outer.length);
    const auto frame_length = static_cast<std::uint32_t>(ethernet_length + total);
    const Parsed again = parse(frame, frame_length, {});
    require(again.l3 == L3Status::ip && again.l4 == L4Status::other,
            "the tunnel is a sound packet");
    require(again.protocol == (parsed.family == Family::v4 ? 4 : 41),
            "the tunnel names its inside");
    require(again.ip_length == total, "the tunnel has the right length");
    require(again.traffic_class == parsed.traffic_class, "DSCP and ECN are copied");
}

void check(const Input& input, std::size_t first_segment) {
    const Parsed parsed = parse_exact(input.frame, input);
    require(same(parsed, parse_exact(input.frame, input)), "parsing is repeatable");
    require(same(parsed,
                 parse_exact(input.frame.first(std::min(input.frame.size(), most_read)), input)),
            "no more is read than the contract says");
    const Parsed less =
        parse_exact(input.frame.first(std::min(input.frame.size(), first_segment)), input);
    require(less.l3 != L3Status::ip || less.l4 != L4Status::ok || same(less, parsed),
            "a shorter first segment never changes what is told");
    check_offsets(parsed, input);
    check_offsets(less, {input.frame.first(std::min(input.frame.size(), first_segment)),
                         input.frame_length, input.options});
    if (parsed.l3 != L3Status::ip) return;
    check_swapped(parsed, input);
    check_tunnel(parsed, input, Family::v4);
    check_tunnel(parsed, input, Family::v6);
}

}  // namespace

}  // namespace weir::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace weir;
    constexpr std::size_t settings = 3;
    if (size < settings) return 0;
    const std::span<const std::uint8_t> frame(data + settings, size - settings);
    const std::uint32_t behind = data[1] | std::uint32_t{data[2]} << 8;
    const ParseOptions options{.vlan = static_cast<std::uint16_t>((data[0] & 4) != 0 ? 7 : 0),
                               .ip_checksum = static_cast<NicChecksum>((data[0] & 3) % 3)};
    fuzz::check({frame, static_cast<std::uint32_t>(frame.size()) + behind, options},
                std::size_t{data[0]} >> 3 << 2);
    return 0;
}
