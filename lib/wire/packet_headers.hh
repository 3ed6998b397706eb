// SPDX-License-Identifier: BSD-3-Clause
// Where the headers of a packet lie whose addresses are rewritten in place.
#pragma once

#include <cstdint>

#include "lib/wire/address.hh"

namespace weir {

struct PacketHeaders {
    std::uint8_t* ip = nullptr;  // of `family`, with all its options or extension headers
    // TCP's 20 bytes, UDP's 8 or the first 4 of ICMP; nullptr: a later fragment, which has none.
    std::uint8_t* transport = nullptr;
    Family family = Family::v4;
    std::uint8_t protocol = 0;  // of `transport`
};

}  // namespace weir
