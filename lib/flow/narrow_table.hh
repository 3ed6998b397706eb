// SPDX-License-Identifier: BSD-3-Clause
// NarrowTable: connections of IPv4 clients with an endpoint, which is a VIP, protocol and port that
// the control plane has numbered. The key is 64 bits, and an entry takes 16 bytes of the region.
#pragma once

#include <cstdint>

#include "lib/flow/line_table.hh"

namespace weir {

struct NarrowKey {
    std::uint32_t client = 0;  // the four bytes of the address, read as the machine does
    std::uint16_t port = 0;    // of the client, host byte order
    std::uint16_t endpoint = 0;
    friend bool operator==(const NarrowKey&, const NarrowKey&) = default;
};

struct NarrowFormat {
    static constexpr unsigned slots = 5;
    static constexpr bool has_rest = false;
    static constexpr std::uint64_t number = 1;  // in the layout's magic, and of the permutation
    using Key = NarrowKey;
    struct Rest {};
    struct Companion {
        void put(unsigned, Rest) noexcept {}
        [[nodiscard]] Rest rest(unsigned) const noexcept { return {}; }
    };

    [[nodiscard]] static std::uint64_t mixed(const KeyMix& mix, const Key& key, Rest&) noexcept {
        return mix.mix(std::uint64_t{key.client} << 32 | std::uint32_t{key.port} << 16 |
                       key.endpoint);
    }
    [[nodiscard]] static Key key(const KeyMix& mix, std::uint64_t mixed, Rest) noexcept {
        const std::uint64_t word = mix.unmix(mixed);
        return {static_cast<std::uint32_t>(word >> 32), static_cast<std::uint16_t>(word >> 16),
                static_cast<std::uint16_t>(word)};
    }
};

using NarrowTable = LineTable<NarrowFormat>;
extern template class LineTable<NarrowFormat>;

}  // namespace weir
