// SPDX-License-Identifier: BSD-3-Clause
// Frames: the packets of N flows towards one address, and the way back from a packet to its flow.
//
// A flow's number, spread over 32 bits by an odd multiplier, fills 17 bits of the source address
// and 15 bits of the source port. So flows are distinct by construction, no memory is spent on
// them, and whatever comes back tells which flow it is and whether every byte is as it was sent.
// Sources are of the benchmarking ranges: 198.18.0.0/15 (RFC 2544) and 2001:2::/48 (RFC 5180).
//
// Stamped frames carry 48 bits of the sender's choice (a time) at the front of their payload.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "lib/wire/address.hh"
#include "lib/wire/checksum.hh"
#include "lib/wire/endian.hh"
#include "lib/wire/result.hh"
#include "perf/gen/pattern.hh"

namespace weir::gen {

inline constexpr std::uint8_t tcp_syn = 0x02, tcp_ack = 0x10;

struct FrameOptions {
    MacAddress source_mac, destination_mac;
    IpAddress destination;  // its family is that of the packets
    std::uint16_t destination_port = 80;
    bool udp = false;
    std::uint64_t flows = 1000;  // 1..2^32
    std::uint16_t size = 0;      // of the frame with its FCS; 0: the least, 64 or more
    bool stamped = false;
    std::uint8_t traffic_class = 0, ttl = 64;  // or hop limit
};

inline constexpr std::uint64_t stamp_mask = (std::uint64_t{1} << 48) - 1;

class Frames {
public:
    // Fails when the size is too small for the headers or beyond 9018.
    static Result<Frames> make(const FrameOptions& options);

    // The frame without its FCS, flow fields empty: what each buffer is filled with once.
    [[nodiscard]] std::span<const std::uint8_t> blank() const noexcept { return blank_; }
    [[nodiscard]] const FrameOptions& options() const noexcept { return options_; }
    [[nodiscard]] std::span<const std::uint8_t> blank_ip() const noexcept {
        return std::span(blank_).subspan(ip_at);
    }

    // Makes a copy of blank() a packet of `flow` (below the count of flows). SYN or ACK is only
    // told by TCP, the low 48 bits of `stamp` by stamped frames. Hot: about 10 ns, no division.
    void set_flow(std::uint8_t* frame, std::uint32_t flow, bool syn,
                  std::uint64_t stamp = 0) const noexcept {
        stamp = stamped_ ? stamp & stamp_mask : 0;
        const Varying varying = varying_of(flow, syn, stamp);
        if (stamped_) {
            store(frame + stamp_at_, static_cast<std::uint16_t>(stamp >> 32));
            store(frame + stamp_at_ + 2, static_cast<std::uint16_t>(stamp >> 16));
            store(frame + stamp_at_ + 4, static_cast<std::uint16_t>(stamp));
        }
        store(frame + source_at_, varying.source_high);
        store(frame + source_at_ + 2, varying.source_low);
        store(frame + transport_at_, varying.port);
        if (v4_) store(frame + ip_at + 10, varying.ip_checksum);
        if (!udp_) frame[transport_at_ + 13] = syn ? tcp_syn : tcp_ack;
        store(frame + checksum_at_, varying.checksum);
    }

    enum class Match : std::uint8_t { exact, changed, unknown };
    struct Found {
        Match match;
        std::uint32_t flow;  // valid when exact
        std::uint64_t stamp = 0;
    };
    // Is `ip`, from its IP header on, a packet of set_flow(), byte by byte and of the same length?
    // `changed`: some byte differs. `unknown`: all is as it should be, but no such flow was asked
    // for. Hot.
    [[nodiscard]] Found recognise(std::span<const std::uint8_t> ip) const noexcept {
        return pattern_.fits(ip) ? read_flow(ip.data()) : Found{Match::changed, 0};
    }
    // The same for an `ip` of which pattern() was seen to fit. Hot.
    [[nodiscard]] Found read_flow(const std::uint8_t* ip) const noexcept {
        constexpr Found changed{Match::changed, 0, 0};
        const std::uint8_t* const source = &ip[source_at_ - ip_at];
        const std::uint8_t* const transport = &ip[transport_at_ - ip_at];
        const std::uint32_t x = std::uint32_t{source[1] & 1u} << 31 |
                                std::uint32_t{load(source + 2)} << 15 | (load(transport) & 0x7fffu);
        const std::uint32_t flow = x * unspread_;
        const std::uint8_t flags = udp_ ? tcp_ack : transport[13];
        if (flags != tcp_syn && flags != tcp_ack) return changed;
        std::uint64_t stamp = 0;
        if (stamped_) {
            const std::uint8_t* const at = &ip[stamp_at_ - ip_at];
            stamp =
                std::uint64_t{load(at)} << 32 | std::uint64_t{load(at + 2)} << 16 | load(at + 4);
        }
        const Varying sent = varying_of(flow, flags == tcp_syn, stamp);
        if (v4_ && load(&ip[10]) != sent.ip_checksum) return changed;
        if (load(&ip[checksum_at_ - ip_at]) != sent.checksum) return changed;
        return {flow < flows_ ? Match::exact : Match::unknown, flow, stamp};
    }
    // What all flows have in common, from the IP header on.
    [[nodiscard]] const Pattern& pattern() const noexcept { return pattern_; }

private:
    static constexpr std::size_t ip_at = 14;
    static constexpr std::uint32_t spread = 0x9e37'79b1;  // odd, so a bijection of 32 bits

    // Fields that depend on the flow, in host byte order.
    struct Varying {
        std::uint16_t source_high, source_low, port, ip_checksum, checksum;
    };
    [[nodiscard]] Varying varying_of(std::uint32_t flow, bool syn,
                                     std::uint64_t stamp) const noexcept {
        const std::uint32_t x = flow * spread;
        Varying v{};
        v.source_high = static_cast<std::uint16_t>(source_base_ | x >> 31);
        v.source_low = static_cast<std::uint16_t>(x >> 15);
        v.port = static_cast<std::uint16_t>(0x8000 | (x & 0x7fff));
        const std::uint32_t address = std::uint32_t{v.source_high} + v.source_low;
        v.ip_checksum = checksum_finish(ip_sum_ + address);
        const std::uint32_t flags = udp_ ? 0 : syn ? tcp_syn : tcp_ack;
        const auto stamped =
            static_cast<std::uint32_t>((stamp >> 32) + (stamp >> 16 & 0xffff) + (stamp & 0xffff));
        v.checksum = checksum_finish(transport_sum_ + address + v.port + flags + stamped);
        if (udp_ && v.checksum == 0) v.checksum = 0xffff;  // RFC 768: zero means none
        return v;
    }
    static void store(std::uint8_t* at, std::uint16_t value) noexcept {
        const be16 wire = be16::from_host(value);
        std::memcpy(at, &wire, sizeof wire);
    }

    static std::uint16_t load(const std::uint8_t* at) noexcept { return be16{at[0], at[1]}.host(); }

    void lay_out(const FrameOptions& options);
    void sum_up();
    [[nodiscard]] std::vector<std::uint8_t> fixed_bits() const;

    FrameOptions options_;
    std::vector<std::uint8_t> blank_;  // whole frame
    Pattern pattern_;
    bool v4_ = true, udp_ = false, stamped_ = false;
    std::uint64_t flows_ = 0;
    // From the frame's start.
    std::size_t source_at_ = 0, transport_at_ = 0, checksum_at_ = 0, stamp_at_ = 0;
    std::uint16_t source_base_ = 0;
    std::uint32_t ip_sum_ = 0, transport_sum_ = 0, unspread_ = 0;
};

}  // namespace weir::gen
