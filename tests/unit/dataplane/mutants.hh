// SPDX-License-Identifier: BSD-3-Clause
// Frames with a few bytes changed, for tests of what is read in one go against its slow twin.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "lib/dataplane/packet.hh"
#include "tests/unit/dataplane/fixture.hh"

namespace weir::test {

inline const std::string port_address = "02:00:00:00:00:05", client = "02:00:00:00:00:99";

inline std::vector<Bytes> frames(std::uint16_t vlan) {
    Ethernet link{port_address, client, 0x0800, {}};
    if (vlan != 0) link.tags = {static_cast<std::uint16_t>(0x6000 | vlan)};
    const Ip4 ip{.destination = "203.0.113.10"};
    Ip4 udp = ip;
    udp.protocol = 17;
    Ethernet link6 = link;
    link6.type = 0x86dd;
    const Ip6 ip6{.destination = "2001:db8:443::10"};
    Ip6 udp6 = ip6;
    udp6.next = 17;
    return {link6 / (ip6 / (Tcp{} / Bytes{})),
            link6 / (udp6 / (Udp{.destination = 80} / filled(9))),
            link / (ip / (Tcp{} / Bytes{})),
            link / (ip / (Tcp{.flags = 0x02} / filled(20))),
            link / (udp / (Udp{.destination = 80} / filled(30))),
            link / (udp / (Udp{.destination = 80} / Bytes{}))};
}

struct Mutant {
    std::unique_ptr<std::uint8_t[]> bytes;
    Packet packet;
};

// `frame` with up to `changes` random bytes changed, and sometimes another length, in a buffer of
// its exact size.
inline Mutant mutant(const Bytes& frame, unsigned changes, std::mt19937& random) {
    std::size_t size = frame.size();
    if (random() % 4 == 0) size = random() % (size + 1);
    Mutant result{std::make_unique<std::uint8_t[]>(size), {}};
    std::copy_n(frame.begin(), size, result.bytes.get());
    for (unsigned i = 0; i < changes && size > 0; ++i) {
        // Mostly one bit, in a header.
        std::uint8_t& byte = result.bytes[random() % std::min<std::size_t>(size, 58)];
        byte = static_cast<std::uint8_t>(random() % 3 == 0 ? random() : byte ^ 1u << random() % 8);
    }
    const auto length = static_cast<std::uint32_t>(size);
    result.packet = {.data = result.bytes.get(), .contiguous = length, .length = length};
    // A sum that fits no more would hide every other change.
    if (random() % 8 != 0) result.packet.ip_checksum = NicChecksum::good;
    if (random() % 16 == 0) result.packet.length += static_cast<std::uint32_t>(random() % 8);
    return result;
}

}  // namespace weir::test
