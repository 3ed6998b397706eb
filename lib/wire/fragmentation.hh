// SPDX-License-Identifier: BSD-3-Clause
// An IP packet that is too long for a link, cut into fragments (RFC 791 2.3 and 3.2, RFC 8200 4.5).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/wire/headers.hh"

namespace weir {

// RFC 8200 4.5
struct Ipv6FragmentHeader {
    std::uint8_t next_header, reserved;
    be16 offset;  // 13 bits of offset in 8 bytes, two reserved ones, M
    be32 id;
};
static_assert(sizeof(Ipv6FragmentHeader) == 8);

// A datagram is never cut into more: who sends jumbo frames to a link of 576 bytes is better told.
inline constexpr std::uint32_t max_fragments = 32;

// RFC 791 2.3: nobody on the way may cut it.
[[nodiscard]] inline bool has_dont_fragment(const std::uint8_t* ipv4) noexcept {
    const be16 field = reinterpret_cast<const Ipv4Header*>(ipv4)->fragment;
    return (field.host() & ipv4_dont_fragment) != 0;
}

// How many fragments `payload` bytes make behind `header` bytes each (those of IPv6 include the
// fragment header), none longer than `mtu`; 0: more than max_fragments. Pure.
[[nodiscard]] constexpr std::uint32_t fragment_count(std::uint32_t payload, std::uint32_t header,
                                                     std::uint32_t mtu) noexcept {
    const std::uint32_t step = mtu > header ? (mtu - header) / 8 * 8 : 0;
    if (step == 0) return 0;
    const std::uint32_t count = (payload + step - 1) / step;
    return count <= max_fragments ? count : 0;
}

// How one frame becomes several. Reads the frame's headers, which must stay as they are meanwhile.
class Fragmentation {
public:
    // Link header, IP header and, for IPv6, the fragment header.
    static constexpr std::size_t max_headers = ethernet_length + vlan_length + 60;

    // `headers`: the frame from its start, with its IP header at `l3_offset` (18 at most): IPv4
    // with any options, or IPv6 that the fragment header goes directly behind, or stands there
    // already. `id`: of the fragments where the packet has none: IPv6 without fragment header, and
    // IPv4 with 0 that is no fragment itself.
    Fragmentation(std::span<const std::uint8_t> headers, std::uint32_t l3_offset, std::uint32_t mtu,
                  std::uint32_t id) noexcept;

    // 0: more than max_fragments.
    [[nodiscard]] std::uint32_t count() const noexcept { return count_; }

    // What of the frame fragment `i` carries, behind its headers: bytes from frame start.
    struct Part {
        std::uint32_t offset = 0, length = 0;
    };
    [[nodiscard]] Part part(std::uint32_t i) const noexcept;

    // Writes the headers of fragment `i`, at most max_headers bytes, which `out` does not share
    // with the frame; answers how many. DF is clear in all; of IPv4 options the later ones have
    // those that ask for it.
    std::size_t write_headers(std::uint32_t i, std::uint8_t* out) const noexcept;

private:
    std::size_t write_ipv4(std::uint32_t i, std::uint8_t* out) const noexcept;
    std::size_t write_ipv6(std::uint32_t i, std::uint8_t* out) const noexcept;
    // In units of 8 bytes from the start of this packet's payload.
    [[nodiscard]] std::uint16_t units(std::uint32_t i) const noexcept {
        return static_cast<std::uint16_t>(i * step_ / 8);
    }

    const std::uint8_t* frame_;
    std::uint32_t l3_offset_, id_;
    std::uint32_t header_ = 0;   // IP header of the frame
    std::uint32_t payload_ = 0;  // bytes behind it
    std::uint32_t step_ = 0;     // of the payload, that each fragment but the last carries
    std::uint32_t count_ = 0;
    bool is_v4_, is_fragment_v6_ = false;
};

}  // namespace weir
