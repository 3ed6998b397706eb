// SPDX-License-Identifier: BSD-3-Clause
// NumaRegion: memory of the process (not of EAL) on one NUMA node, in huge pages where they can be
// had, zeroed and faulted in, so that the loops meet no page fault. For connection tables,
// counters.
#pragma once

#include <cstddef>
#include <span>

#include "lib/wire/result.hh"

namespace weir {

class NumaRegion {
public:
    enum class Pages { hugetlb, transparent, small };

    // `bytes` is rounded up to whole pages. node < 0: anywhere. `hugetlb`: try reserved huge pages
    // first (not with no-huge memory), then transparent ones, then small ones; only the lack of any
    // memory is an error. Blocks while the pages are faulted in (about 0.3 s per GiB). Cold.
    static Result<NumaRegion> allocate(std::size_t bytes, int node, bool hugetlb);
    NumaRegion() = default;
    NumaRegion(NumaRegion&& other) noexcept;
    NumaRegion& operator=(NumaRegion&& other) noexcept;
    ~NumaRegion();

    [[nodiscard]] std::span<std::byte> bytes() const noexcept { return {data_, size_}; }
    [[nodiscard]] std::byte* data() const noexcept { return data_; }  // aligned to 4096 at least
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] Pages pages() const noexcept {
        return pages_;
    }  // transparent: as far as possible

private:
    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
    Pages pages_ = Pages::small;
};

// NUMA node of a CPU; 0 where the machine does not say.
[[nodiscard]] unsigned node_of_cpu(unsigned cpu) noexcept;
// Number of configured NUMA nodes, >= 1.
[[nodiscard]] unsigned node_count() noexcept;

}  // namespace weir
