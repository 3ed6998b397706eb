// SPDX-License-Identifier: BSD-3-Clause
#include "lib/wire/proxy_v2.hh"

#include <algorithm>
#include <array>
#include <cstring>

#include "lib/wire/headers.hh"

namespace weir {
namespace {

constexpr std::array<std::uint8_t, 13> start{0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a,
                                             0x51, 0x55, 0x49, 0x54, 0x0a, 0x21};
constexpr std::uint8_t tcp_over_ipv4 = 0x11, tcp_over_ipv6 = 0x21;
constexpr std::size_t fixed_length = 16;

template <typename Field>
std::uint8_t* put(std::uint8_t* out, const Field& field) noexcept {
    std::memcpy(out, &field, sizeof field);
    return out + sizeof field;
}

}  // namespace

void write_proxy_v2(std::uint8_t* out, const PacketEnd& source,
                    const PacketEnd& destination) noexcept {
    const Family family = source.address.family;
    out = std::ranges::copy(start, out).out;
    *out++ = family == Family::v4 ? tcp_over_ipv4 : tcp_over_ipv6;
    out = put(out,
              be16::from_host(static_cast<std::uint16_t>(proxy_v2_length(family) - fixed_length)));
    for (const PacketEnd* const end : {&source, &destination})
        out = std::copy_n(end->address.bytes.data(), end->address.size(), out);
    out = put(out, be16::from_host(source.port));
    put(out, be16::from_host(destination.port));
}

}  // namespace weir
