// SPDX-License-Identifier: BSD-3-Clause
#include "lib/wire/checksum_change.hh"

#include "lib/wire/headers.hh"
#include "lib/wire/parse.hh"

namespace weir {

void ChecksumChange::apply_to_transport(const PacketHeaders& headers) const noexcept {
    if (headers.transport == nullptr) return;
    if (headers.protocol == proto_tcp)
        return apply(headers.transport + offsetof(TcpHeader, checksum));
    if (headers.protocol == proto_icmp6)
        return apply(headers.transport + offsetof(IcmpHeader, checksum));
    if (headers.protocol != proto_udp) return;
    std::uint8_t* at = headers.transport + offsetof(UdpHeader, checksum);
    if (headers.family == Family::v4 && at[0] == 0 && at[1] == 0) return;
    apply(at);
    if (at[0] == 0 && at[1] == 0) at[0] = at[1] = 0xff;
}

}  // namespace weir
