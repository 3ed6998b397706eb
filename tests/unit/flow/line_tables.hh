// SPDX-License-Identifier: BSD-3-Clause
// Tables of lines in a heap region of exactly their footprint, and orderly keys for each kind.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>

#include "lib/flow/narrow_table.hh"
#include "lib/flow/wide_table.hh"
#include "tests/unit/flow/keys.hh"

namespace weir::test {

template <typename Table>
class LinesInMemory {
    struct Free {
        void operator()(std::byte* region) const { std::free(region); }
    };
    std::size_t size_;
    std::unique_ptr<std::byte[], Free> region_;

public:
    Table table;

    explicit LinesInMemory(std::uint32_t entries, const HashSecret& secret = fixed_secret)
        : size_(Table::footprint(entries)),
          region_(static_cast<std::byte*>(std::aligned_alloc(64, size_))),
          table({region_.get(), size_}, entries, secret) {}

    [[nodiscard]] std::span<const std::byte> region() const { return {region_.get(), size_}; }
};

// The nth client of an orderly world: addresses count up, ports follow.
inline void nth(std::uint32_t n, NarrowKey& key) {
    key = {0x0a000000 + n / 4, static_cast<std::uint16_t>(1024 + n % 4), 7};
}
inline void nth(std::uint32_t n, WideKey& key) {
    key = {{0xb80d0120, n / 8},
           static_cast<std::uint16_t>(n % 4),
           static_cast<std::uint16_t>(n / 4 % 2)};
}
inline void nth(std::uint32_t n, RangeKey& key) {
    key = {{0x0a + (std::uint64_t{n} << 8), 0},
           1024,
           static_cast<std::uint16_t>(n % 3),
           9,
           static_cast<std::uint8_t>(n % 2 == 0 ? 6 : 17)};
}
template <typename Table>
typename Table::Key nth(std::uint32_t n) {
    typename Table::Key key;
    nth(n, key);
    return key;
}

}  // namespace weir::test
