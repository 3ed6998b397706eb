// SPDX-License-Identifier: BSD-3-Clause
#include "lib/wire/toa.hh"

#include <algorithm>
#include <array>
#include <cstring>

#include "lib/wire/headers.hh"

namespace weir {
namespace {

// RFC 9293 3.1, RFC 4727 3
constexpr std::uint8_t option_end = 0, option_nop = 1, option_toa = 254, option_toa_other = 253;
constexpr std::size_t longest_options = 40;

// Answers whether there was one.
bool blank(std::span<std::uint8_t> options) noexcept {
    bool found = false;
    for (std::size_t at = 0; at < options.size();) {
        const std::uint8_t kind = options[at];
        if (kind == option_end) break;
        if (kind == option_nop) {
            ++at;
            continue;
        }
        if (at + 2 > options.size()) break;
        const std::size_t length = options[at + 1];
        if (length < 2 || length > options.size() - at) break;
        if (kind == option_toa || kind == option_toa_other) {
            std::ranges::fill(options.subspan(at, length), option_nop);
            found = true;
        }
        at += length;
    }
    return found;
}

}  // namespace

void write_toa(std::uint8_t* out, const PacketEnd& client) noexcept {
    const std::size_t length = toa_length(client.address.family);
    out[0] = option_toa;
    out[1] = static_cast<std::uint8_t>(length);
    const be16 port = be16::from_host(client.port);
    std::memcpy(out + 2, &port, sizeof port);
    std::memcpy(out + 4, client.address.bytes.data(), length - 4);
}

void blank_toa(std::span<std::uint8_t> header, ChecksumChange& change) noexcept {
    // In a copy, so that the sum changes by whole words wherever an option begins.
    std::array<std::uint8_t, longest_options> options;
    const std::span<std::uint8_t> old = header.subspan(sizeof(TcpHeader));
    std::ranges::copy(old, options.begin());
    if (!blank(std::span(options).first(old.size()))) return;
    for (std::size_t at = 0; at < old.size(); at += 4)
        change.replace<std::uint32_t>(old.data() + at, options.data() + at);
}

}  // namespace weir
