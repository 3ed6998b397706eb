// SPDX-License-Identifier: BSD-3-Clause
// How a backend that sees an address of a pool is told the client's.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/wire/address.hh"
#include "lib/wire/proxy_v2.hh"
#include "lib/wire/toa.hh"

namespace weir {

enum class ClientAddress : std::uint8_t {
    none,
    toa,       // an option of the TCP header: toa.hh
    proxy_v2,  // a header in front of the stream: proxy_v2.hh
};

// Bytes by which a segment that tells it grows; a multiple of 4.
[[nodiscard]] constexpr std::uint16_t telling_length(ClientAddress how, Family family) noexcept {
    switch (how) {
        case ClientAddress::none:
            break;
        case ClientAddress::toa:
            return static_cast<std::uint16_t>(toa_length(family));
        case ClientAddress::proxy_v2:
            return static_cast<std::uint16_t>(proxy_v2_length(family));
    }
    return 0;
}

}  // namespace weir
