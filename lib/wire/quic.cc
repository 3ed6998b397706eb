// SPDX-License-Identifier: BSD-3-Clause
#include "lib/wire/quic.hh"

#include <algorithm>

namespace weir {
namespace {

constexpr std::uint8_t long_form = 0x80;
// RFC 8999 5.1: form and version come before the length of the destination connection ID.
constexpr std::size_t length_at = 5;

}  // namespace

std::span<const std::uint8_t> quic_destination(std::span<const std::uint8_t> payload) noexcept {
    if (payload.empty()) return {};
    if ((payload[0] & long_form) == 0)
        return payload.subspan(1, std::min(payload.size() - 1, longest_short_cid));
    if (payload.size() <= length_at) return {};
    const std::size_t length = payload[length_at];
    const auto rest = payload.subspan(length_at + 1);
    return length <= rest.size() ? rest.first(length) : std::span<const std::uint8_t>{};
}

}  // namespace weir
