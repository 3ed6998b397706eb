// SPDX-License-Identifier: BSD-3-Clause
// mbuf <-> Packet. The pure half wants writable, contiguous headers with known room in front; NICs
// give chains, shared buffers and offload flags. prepare() evens that out once, at RX; to_packet()
// and write_back() are what the worker pays per packet.
//
// From RX on, rte_mbuf::port holds the PortId (index of [[port]]), not DPDK's port number.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include <rte_mbuf.h>

#include "lib/dataplane/frame_lines.hh"
#include "lib/dataplane/packet.hh"
#include "lib/dataplane/verdict.hh"
#include "lib/wire/icmp.hh"

namespace weir {

// As many bytes as anybody looks at: Ethernet, a VLAN tag, and an ICMP error whose checksum is
// verified; parse() wants a few hundred. They lie in the first segment once prepare() has seen the
// mbuf.
inline constexpr std::uint32_t max_header_bytes = 14 + 4 + longest_verified_icmp;

struct Prepared {
    rte_mbuf* mbuf = nullptr;  // may be another than was given; the caller's in any case
    bool ok = false;
    DropReason reason{};  // unless ok
};

// The rare cases of prepare().
[[nodiscard]] Prepared prepare_slow(rte_mbuf* mbuf, rte_mempool* pool) noexcept;

// Zero: prepare() has nothing to do. For a burst: of one word each, without a branch.
[[nodiscard]] inline std::uint64_t oddities(const rte_mbuf& mbuf) noexcept {
    constexpr std::uint64_t rare_flags =
        RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL | RTE_MBUF_F_RX_VLAN_STRIPPED;
    const auto segments = static_cast<std::uint64_t>(mbuf.nb_segs ^ 1u);
    const auto owners = static_cast<std::uint64_t>(rte_mbuf_refcnt_read(&mbuf) ^ 1u);
    return segments | owners | (mbuf.ol_flags & rare_flags) | (mbuf.pkt_len ^ mbuf.data_len);
}

// Makes a received mbuf fit for to_packet(): lengths agree (else l2_truncated); nobody else can see
// its bytes (else it is copied to an mbuf of `pool`, which must have at least max_header_bytes of
// room); a VLAN tag that the NIC took off is back; headers are contiguous. mbuf_exhausted: no mbuf
// to copy to. Cost for a plain mbuf: a few comparisons in its first cache line.
[[nodiscard]] inline Prepared prepare(rte_mbuf* mbuf, rte_mempool* pool) noexcept {
    if (oddities(*mbuf) == 0) [[likely]]
        return {mbuf, true, {}};
    return prepare_slow(mbuf, pool);
}

// A view of a prepared mbuf, whose `port` is set. The mbuf must not change while it is used.
[[nodiscard]] inline Packet to_packet(const rte_mbuf& mbuf) noexcept {
    const std::uint64_t checksum = mbuf.ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;
    return {.data = rte_pktmbuf_mtod(&mbuf, std::uint8_t*),
            .contiguous = mbuf.data_len,
            .length = mbuf.pkt_len,
            .headroom = mbuf.data_off,
            .port = PortId{static_cast<std::uint8_t>(mbuf.port)},
            .ip_checksum = checksum == RTE_MBUF_F_RX_IP_CKSUM_GOOD  ? NicChecksum::good
                           : checksum == RTE_MBUF_F_RX_IP_CKSUM_BAD ? NicChecksum::bad
                                                                    : NicChecksum::unknown};
}

// Cuts a chain to `length` bytes and frees the segments behind. Precondition: length <= the sum.
void cut_chain(rte_mbuf* mbuf, std::uint32_t length) noexcept;

// After process(): the mbuf takes the packet's place and lengths, and asks the NIC for nothing.
// tx_offload stays as it was: without flags it says nothing, and it lies in another cache line.
inline void write_back(rte_mbuf* mbuf, const Packet& packet) noexcept {
    const auto before = mbuf->data_off;
    mbuf->data_off =
        static_cast<std::uint16_t>(packet.data - static_cast<std::uint8_t*>(mbuf->buf_addr));
    if (mbuf->nb_segs == 1) [[likely]] {
        mbuf->data_len = static_cast<std::uint16_t>(packet.length);
    } else {
        mbuf->data_len = static_cast<std::uint16_t>(mbuf->data_len + before - mbuf->data_off);
        cut_chain(mbuf, packet.length);
    }
    mbuf->pkt_len = packet.length;
    mbuf->ol_flags &= RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL;
}

// What the receiver of a burst asks for, see frame_lines.hh.
inline void ask_for_first(std::span<rte_mbuf* const> mbufs) noexcept {
    for (const rte_mbuf* mbuf : mbufs.first(std::min(mbufs.size(), asked_ahead)))
        ask_to_write(rte_pktmbuf_mtod(mbuf, const std::uint8_t*));
}

}  // namespace weir
