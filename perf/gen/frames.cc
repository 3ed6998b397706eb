// SPDX-License-Identifier: BSD-3-Clause
#include "perf/gen/frames.hh"

#include <algorithm>

#include <fmt/format.h>

#include "lib/wire/headers.hh"

namespace weir::gen {

namespace {

constexpr std::uint8_t protocol_tcp = 6, protocol_udp = 17;
constexpr std::size_t fcs = 4, least_frame = 64, most_frame = 9018, stamp_bytes = 6;
// An odd word beside the addresses, so that a swap of halves would be seen in the payload, too.
constexpr std::uint8_t payload_byte(std::size_t i) noexcept {
    return static_cast<std::uint8_t>(0x20 + i % 95);
}

// Of an odd number modulo 2^32, by Newton's iteration: each step doubles the right bits.
constexpr std::uint32_t inverse(std::uint32_t odd) noexcept {
    std::uint32_t x = odd;
    for (int i = 0; i < 5; ++i)
        x *= 2 - odd * x;
    return x;
}

}  // namespace

Result<Frames> Frames::make(const FrameOptions& options) {
    Frames frames;
    frames.options_ = options;
    frames.v4_ = options.destination.family == Family::v4;
    frames.udp_ = options.udp;
    frames.stamped_ = options.stamped;
    frames.flows_ = options.flows;
    frames.unspread_ = inverse(spread);
    if (options.flows < 1 || options.flows > std::uint64_t{1} << 32)
        return Error{fmt::format("{} flows: there can be 1 to 4294967296", options.flows)};
    const std::size_t headers = ip_at + (frames.v4_ ? sizeof(Ipv4Header) : sizeof(Ipv6Header)) +
                                (options.udp ? sizeof(UdpHeader) : sizeof(TcpHeader));
    const std::size_t payload = options.stamped ? stamp_bytes : 0;
    const std::size_t least = std::max(least_frame, headers + payload + fcs);
    const std::size_t size = options.size == 0 ? least : options.size;
    if (size < least || size > most_frame)
        return Error{fmt::format("a packet of {} bytes: IPv{} with {} takes {} to {}, FCS included",
                                 size, frames.v4_ ? 4 : 6, options.udp ? "UDP" : "TCP", least,
                                 most_frame)};
    frames.blank_.resize(size - fcs);
    frames.lay_out(options);
    frames.sum_up();
    const auto ip = frames.blank_ip();
    frames.pattern_ = Pattern({ip.begin(), ip.end()}, frames.fixed_bits());
    return frames;
}

void Frames::lay_out(const FrameOptions& options) {
    std::uint8_t* const ip = blank_.data() + ip_at;
    const auto ip_bytes = static_cast<std::uint16_t>(blank_.size() - ip_at);
    EthernetHeader ethernet{options.destination_mac.bytes, options.source_mac.bytes,
                            be16::from_host(v4_ ? ether_type_ipv4 : ether_type_ipv6)};
    std::memcpy(blank_.data(), &ethernet, sizeof ethernet);
    const std::uint8_t protocol = udp_ ? protocol_udp : protocol_tcp;
    std::size_t header = 0;
    if (v4_) {
        Ipv4Header h{};
        h.version_ihl = 0x45;
        h.tos = options.traffic_class;
        h.total_length = be16::from_host(ip_bytes);
        h.ttl = options.ttl;
        h.protocol = protocol;
        h.source = {198, 18, 0, 0};
        std::copy_n(options.destination.bytes.begin(), 4, h.destination.begin());
        std::memcpy(ip, &h, sizeof h);
        header = sizeof h;
        source_at_ = ip_at + offsetof(Ipv4Header, source);
        source_base_ = 198 << 8 | 18;
    } else {
        Ipv6Header h{};
        h.version_class_label =
            be32::from_host(6u << 28 | std::uint32_t{options.traffic_class} << 20);
        h.payload_length = be16::from_host(static_cast<std::uint16_t>(ip_bytes - sizeof h));
        h.next_header = protocol;
        h.hop_limit = options.ttl;
        h.source = {0x20, 0x01, 0x00, 0x02};
        h.destination = options.destination.bytes;
        std::memcpy(ip, &h, sizeof h);
        header = sizeof h;
        source_at_ = ip_at + offsetof(Ipv6Header, source) + 12;
    }
    transport_at_ = ip_at + header;
    std::uint8_t* const transport = ip + header;
    const be16 port = be16::from_host(options.destination_port);
    if (udp_) {
        UdpHeader h{be16::from_host(0x8000), port, {}, {}};
        h.length = be16::from_host(static_cast<std::uint16_t>(ip_bytes - header));
        std::memcpy(transport, &h, sizeof h);
        checksum_at_ = transport_at_ + offsetof(UdpHeader, checksum);
    } else {
        TcpHeader h{};
        h.source_port = be16::from_host(0x8000);
        h.destination_port = port;
        h.data_offset = 5 << 4;
        h.window = be16::from_host(8192);
        std::memcpy(transport, &h, sizeof h);
        checksum_at_ = transport_at_ + offsetof(TcpHeader, checksum);
    }
    const std::size_t payload_at = transport_at_ + (udp_ ? sizeof(UdpHeader) : sizeof(TcpHeader));
    for (std::size_t i = payload_at; i < blank_.size(); ++i)
        blank_[i] = payload_byte(i - payload_at);
    stamp_at_ = payload_at;
    if (stamped_)
        std::fill_n(blank_.begin() + static_cast<std::ptrdiff_t>(stamp_at_), stamp_bytes,
                    std::uint8_t{0});
}

// Sums of all that set_flow() adds nothing to: both address words and the port are left out.
void Frames::sum_up() {
    const std::span<const std::uint8_t> frame(blank_);
    std::vector<std::uint8_t> copy(frame.begin(), frame.end());
    std::fill_n(copy.begin() + static_cast<std::ptrdiff_t>(source_at_), 4, std::uint8_t{0});
    std::fill_n(copy.begin() + static_cast<std::ptrdiff_t>(transport_at_), 2, std::uint8_t{0});
    const std::span<const std::uint8_t> bare(copy);
    const std::size_t addresses = v4_ ? 4 : 16;
    const std::size_t source = source_at_ + 4 - addresses;
    if (v4_) ip_sum_ = checksum_sum(bare.subspan(ip_at, sizeof(Ipv4Header)));
    const auto transport = bare.subspan(transport_at_);
    const std::uint32_t pseudo = pseudo_header_sum(
        bare.subspan(source, addresses), bare.subspan(source + addresses, addresses),
        udp_ ? protocol_udp : protocol_tcp, static_cast<std::uint32_t>(transport.size()));
    transport_sum_ = checksum_sum(transport, checksum_fold(pseudo));
}

// From the IP header on.
std::vector<std::uint8_t> Frames::fixed_bits() const {
    std::vector<std::uint8_t> fixed(blank_.size() - ip_at, 0xff);
    const auto open = [&fixed](std::size_t at, std::size_t count) {
        std::fill_n(fixed.begin() + static_cast<std::ptrdiff_t>(at - ip_at), count,
                    std::uint8_t{0});
    };
    if (v4_) open(ip_at + offsetof(Ipv4Header, checksum), 2);
    open(source_at_ + 1, 3);
    fixed[source_at_ + 1 - ip_at] = 0xfe;  // 17 bits of the address vary
    open(transport_at_, 2);
    fixed[transport_at_ - ip_at] = 0x80;  // and 15 bits of the port
    open(checksum_at_, 2);
    if (!udp_) open(transport_at_ + offsetof(TcpHeader, flags), 1);
    if (stamped_) open(stamp_at_, stamp_bytes);
    return fixed;
}

}  // namespace weir::gen
