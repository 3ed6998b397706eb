// SPDX-License-Identifier: BSD-3-Clause
#include "lib/wire/mss.hh"

#include <algorithm>

#include "lib/wire/checksum.hh"
#include "lib/wire/headers.hh"
#include "lib/wire/parse.hh"

namespace weir {
namespace {

// RFC 9293 3.1
constexpr std::uint8_t option_end = 0, option_nop = 1, option_mss = 2, mss_length = 4;
constexpr std::uint16_t least_mss = 536;

constexpr std::uint16_t swapped(std::uint16_t value) noexcept {
    return __builtin_bswap16(value);
}

// Writes another MSS. `at`: of the option's value in the header.
void replace(std::span<std::uint8_t> header, std::size_t at, std::uint16_t value) noexcept {
    auto& field = *reinterpret_cast<be16*>(header.data() + at);
    const std::uint16_t before = field.host();
    field = be16::from_host(value);
    // At an odd place its bytes lie in two words of the sum, each in the other half.
    const bool odd = at % 2 != 0;
    auto& tcp = *reinterpret_cast<TcpHeader*>(header.data());
    tcp.checksum = be16::from_host(checksum_update(
        tcp.checksum.host(), odd ? swapped(before) : before, odd ? swapped(value) : value));
}

// `next`: what an MSS becomes. Answers whether one changed.
template <typename Next>
bool change_mss(std::span<std::uint8_t> segment, Next next) noexcept {
    if (segment.size() < sizeof(TcpHeader)) return false;
    const auto& tcp = *reinterpret_cast<const TcpHeader*>(segment.data());
    if ((tcp.flags & tcp_syn) == 0) return false;
    const std::span<std::uint8_t> header =
        segment.first(std::min<std::size_t>(segment.size(), (tcp.data_offset >> 4) * 4u));
    bool changed = false;
    for (std::size_t at = sizeof(TcpHeader); at < header.size();) {
        const std::uint8_t kind = header[at];
        if (kind == option_end) break;
        if (kind == option_nop) {
            ++at;
            continue;
        }
        if (at + 2 > header.size()) break;
        const std::size_t length = header[at + 1];
        if (length < 2 || length > header.size() - at) break;
        if (kind == option_mss && length == mss_length) {
            const std::uint16_t before =
                reinterpret_cast<const be16*>(header.data() + at + 2)->host();
            const std::uint16_t after = next(before);
            if (after != before) replace(header, at + 2, after);
            changed = changed || after != before;
        }
        at += length;
    }
    return changed;
}

}  // namespace

bool clamp_mss(std::span<std::uint8_t> segment, std::uint16_t most) noexcept {
    return change_mss(segment, [most](std::uint16_t mss) { return std::min(mss, most); });
}

bool reduce_mss(std::span<std::uint8_t> segment, std::uint16_t by) noexcept {
    return change_mss(segment, [by](std::uint16_t mss) {
        if (mss <= least_mss) return mss;
        return mss - least_mss > by ? static_cast<std::uint16_t>(mss - by) : least_mss;
    });
}

}  // namespace weir
