// SPDX-License-Identifier: BSD-3-Clause
// The maximum segment size that a TCP SYN announces (RFC 9293 3.7.1): lowered for paths that carry
// less than its sender thinks.
#pragma once

#include <cstdint>
#include <span>

namespace weir {

// Lowers the MSS option of a SYN to `most` bytes, and changes the checksum accordingly (RFC 1624);
// what announces less or nothing stays. `segment`: from the TCP header on, as much as is
// contiguous. Options that run past the header or have no length end the walk. Reads and writes
// nothing outside the header. Answers whether something was changed.
bool clamp_mss(std::span<std::uint8_t> segment, std::uint16_t most) noexcept;

// The same by `by` bytes, for a segment that will get as many more on its way. An MSS of 536 or
// less stays, and none becomes less than that (RFC 9293 3.7.1): with some bytes more such a segment
// still fits everywhere.
bool reduce_mss(std::span<std::uint8_t> segment, std::uint16_t by) noexcept;

}  // namespace weir
