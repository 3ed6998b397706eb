// SPDX-License-Identifier: BSD-3-Clause
// Tables of the connections whose key is longer than 64 bits. The line is that of the narrow table;
// the words of the key that are not permuted lie in a companion line beside it.
//
// WideTable: IPv6 clients with an endpoint; five entries in 128 bytes, 32 bytes of the region each.
// RangeTable: clients of services with several ports, of either family; four entries, 40 bytes.
#pragma once

#include <array>
#include <cstdint>

#include "lib/flow/line_table.hh"

namespace weir {

struct WideKey {
    std::array<std::uint64_t, 2> client{};  // the address as two words, in the machine's byte order
    std::uint16_t port = 0;                 // of the client, host byte order
    std::uint16_t endpoint = 0;
    friend bool operator==(const WideKey&, const WideKey&) = default;
};

struct WideFormat {
    static constexpr unsigned slots = 5;
    static constexpr bool has_rest = true;
    static constexpr std::uint64_t number = 2;
    using Key = WideKey;
    struct Rest {
        std::uint64_t client;  // first word of the address
        std::uint32_t ports;   // client's port, endpoint
    };
    struct alignas(64) Companion {
        std::uint64_t client[slots];
        std::uint32_t ports[slots];

        void put(unsigned slot, const Rest& rest) noexcept {
            client[slot] = rest.client;
            ports[slot] = rest.ports;
        }
        [[nodiscard]] Rest rest(unsigned slot) const noexcept {
            return {client[slot], ports[slot]};
        }
        [[nodiscard]] bool holds(unsigned slot, const Rest& rest) const noexcept {
            return client[slot] == rest.client && ports[slot] == rest.ports;
        }
    };
    static_assert(sizeof(Companion) == 64);

    [[nodiscard]] static std::uint64_t mixed(const KeyMix& mix, const Key& key,
                                             Rest& rest) noexcept {
        rest = {key.client[0], std::uint32_t{key.port} << 16 | key.endpoint};
        return mix.mix(key.client[1] ^ mix.tweak(rest.client, rest.ports));
    }
    [[nodiscard]] static Key key(const KeyMix& mix, std::uint64_t mixed,
                                 const Rest& rest) noexcept {
        return {{rest.client, mix.unmix(mixed) ^ mix.tweak(rest.client, rest.ports)},
                static_cast<std::uint16_t>(rest.ports >> 16),
                static_cast<std::uint16_t>(rest.ports)};
    }
};

struct RangeKey {
    std::array<std::uint64_t, 2> client{};  // as WideKey; IPv4 in the first four bytes
    std::uint16_t port = 0;                 // of the client, host byte order
    std::uint16_t destination_port = 0;     // host byte order
    std::uint16_t endpoint = 0;             // of the VIP and its several ports
    std::uint8_t protocol = 0;
    friend bool operator==(const RangeKey&, const RangeKey&) = default;
};

struct RangeFormat {
    static constexpr unsigned slots = 4;
    static constexpr bool has_rest = true;
    static constexpr std::uint64_t number = 3;
    using Key = RangeKey;
    struct Rest {
        std::uint64_t client;  // first word of the address
        std::uint64_t ports;   // protocol, client's port, destination port, endpoint
    };
    struct alignas(64) Companion {
        Rest rests[slots];

        void put(unsigned slot, const Rest& rest) noexcept { rests[slot] = rest; }
        [[nodiscard]] Rest rest(unsigned slot) const noexcept { return rests[slot]; }
        [[nodiscard]] bool holds(unsigned slot, const Rest& rest) const noexcept {
            return rests[slot].client == rest.client && rests[slot].ports == rest.ports;
        }
    };
    static_assert(sizeof(Companion) == 64);

    [[nodiscard]] static std::uint64_t mixed(const KeyMix& mix, const Key& key,
                                             Rest& rest) noexcept {
        rest = {key.client[0], std::uint64_t{key.protocol} << 48 | std::uint64_t{key.port} << 32 |
                                   std::uint32_t{key.destination_port} << 16 | key.endpoint};
        return mix.mix(key.client[1] ^ mix.tweak(rest.client, rest.ports));
    }
    [[nodiscard]] static Key key(const KeyMix& mix, std::uint64_t mixed,
                                 const Rest& rest) noexcept {
        return {{rest.client, mix.unmix(mixed) ^ mix.tweak(rest.client, rest.ports)},
                static_cast<std::uint16_t>(rest.ports >> 32),
                static_cast<std::uint16_t>(rest.ports >> 16),
                static_cast<std::uint16_t>(rest.ports),
                static_cast<std::uint8_t>(rest.ports >> 48)};
    }
};

using WideTable = LineTable<WideFormat>;
using RangeTable = LineTable<RangeFormat>;
extern template class LineTable<WideFormat>;
extern template class LineTable<RangeFormat>;

}  // namespace weir
