// SPDX-License-Identifier: BSD-3-Clause
// A connection table in a heap region of exactly its footprint, so that AddressSanitizer sees an
// access outside.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>

#include "lib/flow/table.hh"

namespace weir::test {

class TableInMemory {
    struct Free {
        void operator()(std::byte* region) const { std::free(region); }
    };
    std::size_t size_;
    std::unique_ptr<std::byte[], Free> region_;

public:
    FlowTable table;

    explicit TableInMemory(std::uint32_t entries)
        : size_(FlowTable::footprint(entries)),
          region_(static_cast<std::byte*>(std::aligned_alloc(64, size_))),
          table({region_.get(), size_}, entries) {}

    [[nodiscard]] std::span<const std::byte> region() const { return {region_.get(), size_}; }
};

}  // namespace weir::test
