// SPDX-License-Identifier: BSD-3-Clause
// What becomes of a packet: exactly one Verdict each, and the closed list of drop reasons. Only the
// worker loop sends, punts or frees, from the verdict.
//
// Received = sent + punted + dropped, and an answered packet is one of those dropped for its
// reason: its buffer goes back as an ICMP error, but that is a packet of Weir's own, counted by
// itself and with the injected ones, and never as sent. Of one that leaves in pieces the first is
// what was sent, and the others are injected.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/balance/ids.hh"

namespace weir {

enum class Action : std::uint8_t {
    drop,
    send,
    punt,
    answer,     // back to where it came from, as an ICMP error
    hold,       // a fragment that waits for the first one of its datagram
    hand_over,  // a fragment of a flow that another worker owns
    // Ready to be sent, but longer than the MTU of its port, and may be fragmented on the way: it
    // leaves in pieces (lib/wire/fragmentation.hh). For is_sent() alone it is like `send`.
    send_in_pieces = 0x80 | send,
};

// Order is the order of display; names are API (metrics, telemetry, weirctl) and never change.
enum class DropReason : std::uint8_t {
    l2_truncated,
    not_our_mac,
    vlan_unexpected,
    not_ip,
    ip_bad_header,
    ip_bad_length,
    ip_bad_checksum,
    ip_source_route,
    ipv6_ext_chain,
    martian,
    ttl_expired,
    l4_bad_length,
    tcp_bad_flags,
    udp_zero_checksum,
    fragment,
    frag_bad,
    frag_table_full,
    icmp_bad,
    unknown_port,
    no_backend,
    no_neighbor,
    no_route,
    no_exception_path,
    too_big,
    no_headroom,
    tunnel_loop,
    new_flow_limited,
    conntrack_full,
    nat_ports_exhausted,
    policy_denied,
    rate_limited,
    punt_limited,
    ring_full,
    tx_full,
    mbuf_exhausted,
};
inline constexpr std::size_t drop_reason_count = 35;

struct DropReasonText {
    std::string_view name;
    std::string_view help;  // one sentence for the operator
};
// By DropReason. A static_assert in verdict.cc ties both lists.
extern const std::array<DropReasonText, drop_reason_count> drop_reasons;

// Each class has its own meter and its own ring to the control lcore, so junk starves nobody.
enum class PuntClass : std::uint8_t {
    neighbor,     // ARP and IPv6 neighbour discovery
    probe_reply,  // TCP from an address and port that our health probes talk to
    vip_icmp,     // ICMP to a VIP
    other,        // the rest: our own addresses, routing protocols, what is not for us
};
inline constexpr std::size_t punt_class_count = 4;
extern const std::array<std::string_view, punt_class_count> punt_class_names;

// The ICMP errors that Weir sends; each answers one drop reason.
enum class IcmpErrorType : std::uint8_t {
    too_big,        // IPv4: fragmentation needed; IPv6: packet too big
    time_exceeded,  // for ttl_expired
};
inline constexpr std::size_t icmp_error_type_count = 2;
extern const std::array<std::string_view, icmp_error_type_count> icmp_error_type_names;

// By which an answered packet counts.
[[nodiscard]] constexpr DropReason reason_of(IcmpErrorType type) noexcept {
    return type == IcmpErrorType::too_big ? DropReason::too_big : DropReason::ttl_expired;
}
[[nodiscard]] constexpr IcmpErrorType answer_to(DropReason reason) noexcept {
    return reason == DropReason::too_big ? IcmpErrorType::too_big : IcmpErrorType::time_exceeded;
}

struct alignas(4) Verdict {
    Action action = Action::drop;
    DropReason reason = DropReason::l2_truncated;  // drop, answer
    PuntClass punt_class = PuntClass::other;       // punt only
    // send, whole or in pieces: egress; punt and answer: the port it came from. hold: slot(),
    // hand_over: worker().
    PortId port{};

    [[nodiscard]] constexpr std::uint8_t slot() const noexcept {
        return static_cast<std::uint8_t>(port);
    }
    [[nodiscard]] constexpr std::uint8_t worker() const noexcept {
        return static_cast<std::uint8_t>(port);
    }
    static constexpr Verdict dropped(DropReason why) noexcept {
        return of(Action::drop, why, {}, {});
    }
    // The packet has become the ICMP error that tells its sender.
    static constexpr Verdict answered(IcmpErrorType type, PortId from) noexcept {
        return of(Action::answer, reason_of(type), {}, from);
    }
    static constexpr Verdict sent(PortId out) noexcept { return of(Action::send, {}, {}, out); }
    static constexpr Verdict sent_in_pieces(PortId out) noexcept {
        return of(Action::send_in_pieces, {}, {}, out);
    }
    static constexpr Verdict punted(PuntClass to, PortId from) noexcept {
        return of(Action::punt, {}, to, from);
    }

    static constexpr Verdict held(std::uint8_t slot) noexcept {
        return of(Action::hold, {}, {}, PortId{slot});
    }
    static constexpr Verdict handed_over(std::uint8_t worker) noexcept {
        return of(Action::hand_over, {}, {}, PortId{worker});
    }

    // Whole or in pieces.
    [[nodiscard]] constexpr bool is_sent() const noexcept {
        return static_cast<Action>(std::bit_cast<std::uint32_t>(*this) & 0x7f) == Action::send;
    }

private:
    // By way of one word: compilers would store four bytes one by one.
    static constexpr Verdict of(Action action, DropReason reason, PuntClass punt_class,
                                PortId port) noexcept;
};

constexpr Verdict Verdict::of(Action action, DropReason reason, PuntClass punt_class,
                              PortId port) noexcept {
    static_assert(std::endian::native == std::endian::little);
    const auto byte = [](auto value, unsigned at) {
        return std::uint32_t{static_cast<std::uint8_t>(value)} << 8 * at;
    };
    return std::bit_cast<Verdict>(byte(action, 0) | byte(reason, 1) | byte(punt_class, 2) |
                                  byte(port, 3));
}

}  // namespace weir
