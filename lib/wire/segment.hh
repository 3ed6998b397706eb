// SPDX-License-Identifier: BSD-3-Clause
// A TCP segment in place: bytes put into it, all lengths and checksums following by what changed
// alone (RFC 1624).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/wire/checksum_change.hh"
#include "lib/wire/packet_headers.hh"

namespace weir {

// The TCP header with its options. Precondition: parse() found it sound, so that its data offset is
// 20 to 60 bytes, all readable.
[[nodiscard]] std::span<std::uint8_t> tcp_header(const PacketHeaders& headers) noexcept;

// Puts `bytes`, an even number of them, into the segment, `at` bytes (even) behind the start of its
// TCP header: all before moves that far to the front, where it is writable from headers.ip -
// bytes.size() on. The IP header's length follows, and for IPv4 its checksum; the segment's
// checksum is the caller's to apply: `change` learns of the bytes and of the pseudo header. Answers
// where the headers lie now. Preconditions: a whole packet, no fragment; it stays below 64 KiB.
[[nodiscard]] PacketHeaders insert_into_segment(const PacketHeaders& headers, std::size_t at,
                                                std::span<const std::uint8_t> bytes,
                                                ChecksumChange& change) noexcept;

// Takes the segment's last `count` bytes, all of its payload, away: IP length and both checksums
// follow. `readable`: how many of them may be read. Where that is not all of them the segment's
// checksum is made anew from its header, else it is as right or as wrong as it was. Precondition: a
// whole packet, no fragment.
void remove_payload(const PacketHeaders& headers, std::size_t count, std::size_t readable) noexcept;

}  // namespace weir
