// SPDX-License-Identifier: BSD-3-Clause
// Region: a stretch of memory in huge pages, as DPDK would give it: reserved ones (hugetlbfs) when
// enough of them are free, else ordinary memory that the kernel is asked to back with them.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

namespace weir::bench {

class Region {
public:
    // Zeroed, aligned to 2 MiB, every page touched. Throws std::bad_alloc.
    explicit Region(std::size_t bytes);

    [[nodiscard]] std::span<std::byte> bytes() const noexcept { return {memory_.get(), size_}; }
    // "reserved huge pages" or "transparent huge pages"
    [[nodiscard]] std::string_view kind() const noexcept { return kind_; }

private:
    struct Unmap {
        std::size_t size;
        void operator()(std::byte* at) const noexcept;
    };
    std::size_t size_;
    std::string_view kind_;
    std::unique_ptr<std::byte, Unmap> memory_;
};

}  // namespace weir::bench
