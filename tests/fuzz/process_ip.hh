// SPDX-License-Identifier: BSD-3-Clause
// An IP packet as the checks of fuzz_process see it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "lib/balance/tables.hh"
#include "lib/wire/parse.hh"
#include "tests/fuzz/require.hh"
#include "tests/fuzz/sums.hh"

namespace weir::fuzz {

using View = std::span<const std::uint8_t>;

// An IP packet, as far as it lies in the buffer, and what parse() says of it.
struct Ip {
    Parsed parsed;
    View bytes;
    [[nodiscard]] bool v4() const { return parsed.family == Family::v4; }
    [[nodiscard]] std::size_t address_size() const { return v4() ? 4 : 16; }
    [[nodiscard]] std::size_t source_at() const { return v4() ? 12 : 8; }
    [[nodiscard]] View source() const { return bytes.subspan(source_at(), address_size()); }
    [[nodiscard]] View destination() const {
        return bytes.subspan(source_at() + address_size(), address_size());
    }
    [[nodiscard]] View addresses() const { return bytes.subspan(source_at(), 2 * address_size()); }
    [[nodiscard]] std::size_t transport_at() const {
        return std::size_t{parsed.l4_offset} - parsed.l3_offset;
    }
    [[nodiscard]] View transport() const { return bytes.subspan(transport_at()); }
    [[nodiscard]] std::uint32_t header_sum() const {
        return v4() ? sum_of(bytes.first((bytes[0] & 15) * 4u)) : 0;
    }
    // With what of the pseudo header may change.
    [[nodiscard]] std::uint32_t transport_sum() const {
        return sum_of_all(addresses(), transport());
    }
};

inline Ip look_at(View frame, std::uint32_t length, const PortTable& port, NicChecksum nic) {
    Ip ip{parse(frame, length, {.vlan = port.vlan, .ip_checksum = nic}), {}};
    if (ip.parsed.l3 != L3Status::ip) return ip;
    const View rest = frame.subspan(ip.parsed.l3_offset);
    ip.bytes = rest.first(std::min<std::size_t>(rest.size(), ip.parsed.ip_length));
    return ip;
}

inline void require_equal(View a, View b, const char* promise) {
    require(std::ranges::equal(a, b), promise);
}

// What changed its family on the way (RFC 7915): what both families say stays, the segment but for
// its ports, and its checksum is as right as before. `is_error`: an ICMP error.
void check_across(const Ip& was, const Ip& now, bool is_error);

}  // namespace weir::fuzz
