// SPDX-License-Identifier: BSD-3-Clause
// A packet leaves in the other family than it came (RFC 7915 4.1 and 5.1): its IP header is
// replaced in place, so that what follows works on a packet of that family; and comes back if it
// cannot leave.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "lib/balance/tables.hh"
#include "lib/dataplane/packet.hh"
#include "lib/dataplane/packet_meta.hh"
#include "lib/dataplane/verdict.hh"
#include "lib/wire/icmp_families.hh"

namespace weir {

// Identifications of IPv4 packets that may be fragmented: those behind `last`, `step` (a power of
// two) by `step`; never 0.
class PacketIds {
public:
    constexpr PacketIds(std::uint32_t last, std::uint32_t step) noexcept
        : last_(static_cast<std::uint16_t>(last)), step_(static_cast<std::uint16_t>(step)) {}
    [[nodiscard]] std::uint16_t next() noexcept {
        step();
        if (last_ == 0) step();
        return last_;
    }

private:
    void step() noexcept { last_ = static_cast<std::uint16_t>(last_ + step_); }
    std::uint16_t last_, step_;
};

// The longest packet of `from` that fits where one of `to` has `mtu` bytes; for `mtu` 0: 0.
[[nodiscard]] constexpr std::uint32_t mtu_in(Family from, Family to, std::uint32_t mtu) noexcept {
    constexpr std::uint32_t difference = 20;  // of the headers
    if (from == to || mtu == 0) return mtu;
    if (from == Family::v6) return mtu + difference;
    return mtu > difference ? mtu - difference : 0;
}

// The MTU of the port that a next hop is behind; 0 for none.
[[nodiscard]] std::uint32_t mtu_behind(const Tables& tables, NextHopId way) noexcept;

class FamilyChange {
public:
    // `packet`: TCP or UDP, or a fragment of that, of the other family than `source` and
    // `destination`; `meta`: read from it. Its addresses become these, its ports and its hop limit
    // stay. `mtu`: of the port it is to leave by; 0: unknown. Some 140 cycles, parse() in them.
    FamilyChange(const Tables& tables, const PacketMeta& meta, Packet& packet,
                 const IpAddress& source, const IpAddress& destination, std::uint32_t mtu,
                 PacketIds& ids) noexcept;
    FamilyChange(const FamilyChange&) = delete;
    FamilyChange& operator=(const FamilyChange&) = delete;

    // Why the packet cannot change, and has not: no_headroom, too_big, udp_zero_checksum (a
    // checksum that IPv6 asks for cannot be made), ipv6_ext_chain (extension headers among the
    // pieces of a datagram, or a routing header that is not done with).
    [[nodiscard]] const std::optional<DropReason>& objection() const noexcept { return objection_; }
    // What it has become.
    [[nodiscard]] const PacketMeta& meta() const noexcept { return meta_; }
    [[nodiscard]] Packet& packet() noexcept { return changed_; }

    // What was said of packet(): the packet leaves so, or is again what it was.
    Verdict end(const Verdict& verdict) noexcept;

private:
    std::optional<DropReason> change(const Tables& tables, const IpAddress& source,
                                     const IpAddress& destination, std::uint32_t mtu,
                                     PacketIds& ids) noexcept;
    // Of link and extension headers, and of TCP's.
    static constexpr std::size_t most_saved = 22 + 40 + 256 + 20;

    Packet& packet_;
    Packet changed_;
    PacketMeta meta_;
    std::optional<DropReason> objection_;
    std::uint32_t saved_length_ = 0;
    std::array<std::uint8_t, most_saved> saved_;
};

// An ICMP error that becomes one of the other family, in a frame of its own.
class IcmpFamilyChange {
public:
    // `parts`: of `packet`, whose checksum was verified. `to`: all ends.
    IcmpFamilyChange(const IcmpErrorParts& parts, const IcmpErrorRewrite& to, Packet& packet,
                     PacketIds& ids) noexcept;
    IcmpFamilyChange(const IcmpFamilyChange&) = delete;
    IcmpFamilyChange& operator=(const IcmpFamilyChange&) = delete;

    // False: the other family has nothing for it (icmp_bad).
    explicit operator bool() const noexcept { return meta_.ip_length != 0; }
    [[nodiscard]] const PacketMeta& meta() const noexcept { return meta_; }
    [[nodiscard]] Packet& packet() noexcept { return made_; }
    // What was said of packet(): the packet becomes that, or stays as it was. Drops: no_headroom.
    Verdict end(const Verdict& verdict) noexcept;

private:
    static constexpr std::size_t headroom = 32;
    Packet& packet_;
    Packet made_;
    PacketMeta meta_;
    std::array<std::uint8_t, headroom + ethernet_length + longest_translated_icmp> frame_;
};

}  // namespace weir
