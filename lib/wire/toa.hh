// SPDX-License-Identifier: BSD-3-Clause
// TOA, "TCP option address": the client's address and port in an option of the TCP header, as LVS,
// DPVS and the Linux kernel modules named toa have it. No RFC defines it; the kind is one of those
// for experiments (RFC 4727).
//
//   kind 254 | length 8 or 20 | port, 2 bytes | address, 4 or 16 bytes      (big-endian)
//
// The length tells the family. (A branch of the modules has kind 253 for IPv6; DPVS and its module
// have 254 for both.)
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/wire/checksum_change.hh"
#include "lib/wire/rewrite.hh"

namespace weir {

// 8 or 20: a multiple of 4, so that no padding is needed.
[[nodiscard]] constexpr std::size_t toa_length(Family family) noexcept {
    return family == Family::v4 ? 8 : 20;
}

// Writes toa_length(client.address.family) bytes at `out`.
void write_toa(std::uint8_t* out, const PacketEnd& client) noexcept;

// Overwrites each option of the kinds 254 and 253 by no-operation options, for a client could claim
// an address by one. `header`: a TCP header with all its options, at most 60 bytes. `change` learns
// what that does to the segment's sum. An option that has no length or reaches past the header ends
// the walk, as it does for who reads the options.
void blank_toa(std::span<std::uint8_t> header, ChecksumChange& change) noexcept;

}  // namespace weir
