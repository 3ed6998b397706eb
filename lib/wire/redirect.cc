// SPDX-License-Identifier: BSD-3-Clause
#include "lib/wire/redirect.hh"

#include <cstddef>

#include "lib/wire/checksum_change.hh"
#include "lib/wire/headers.hh"

namespace weir {

void rewrite_destination(const PacketHeaders& headers, const DestinationRewrite& to) noexcept {
    constexpr int ecn_bits = 0x03;
    std::uint8_t* const ip = headers.ip;
    const std::uint8_t* const address = to.address.data();
    ChecksumChange change;
    if (headers.family == Family::v6) {
        change.replace_address(ip + offsetof(Ipv6Header, destination), address, 16);
        change.apply_to_transport(headers);
        // 4 bits version, 6 bits DSCP, 2 bits ECN, 4 bits of the flow label.
        ip[0] = static_cast<std::uint8_t>((ip[0] & 0xf0) | to.dscp >> 2);
        ip[1] = static_cast<std::uint8_t>((ip[1] & 0x3f) | to.dscp << 6);
        return;
    }
    change.replace_address(ip + offsetof(Ipv4Header, destination), address, 4);
    change.apply_to_transport(headers);
    const std::uint8_t first[2] = {ip[0],
                                   static_cast<std::uint8_t>((ip[1] & ecn_bits) | to.dscp << 2)};
    change.replace<std::uint16_t>(ip, first);
    change.apply(ip + offsetof(Ipv4Header, checksum));
}

}  // namespace weir
