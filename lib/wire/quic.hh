// SPDX-License-Identifier: BSD-3-Clause
// To which connection a QUIC packet goes, by what all versions of QUIC have in common (RFC 8999).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace weir {

// A short header does not say how long its connection ID is; no version in use has longer ones
// (RFC 9000 17.2).
inline constexpr std::size_t longest_short_cid = 20;

// The destination connection ID of the first QUIC packet in a UDP datagram. `payload`: of the
// datagram, as much of it as is contiguous. Behind a long header it is the ID itself, at most 255
// bytes (RFC 8999 5.1); behind a short one the bytes that it begins with, at most
// longest_short_cid, of which the ID is as many as its server made it (5.2). Empty: there is none,
// or a length runs past the payload. Reads nothing outside the span; any bytes will do. Some
// cycles.
[[nodiscard]] std::span<const std::uint8_t> quic_destination(
    std::span<const std::uint8_t> payload) noexcept;

}  // namespace weir
