// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dpdk/memory.hh"

#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>
#include <numa.h>
#include <numaif.h>
#include <sys/mman.h>
#include <unistd.h>

namespace weir {

namespace {

constexpr std::size_t huge_page = std::size_t{2} << 20;

std::size_t round_up(std::size_t bytes, std::size_t unit) {
    return (bytes + unit - 1) / unit * unit;
}

// Preferred, not bound: a node that ran out must slow things down, not kill the process at a fault.
void prefer_node(void* memory, std::size_t bytes, int node) {
    if (node < 0 || numa_available() < 0 || node > numa_max_node()) return;
    bitmask* mask = numa_allocate_nodemask();
    numa_bitmask_setbit(mask, static_cast<unsigned>(node));
    mbind(memory, bytes, MPOL_PREFERRED, mask->maskp, mask->size + 1, 0);
    numa_free_nodemask(mask);
}

// Faults every page in for writing. MADV_POPULATE_WRITE answers an error where a plain write to a
// huge page that cannot be had would raise SIGBUS; kernels before 5.14 do not know it.
bool fault_in(std::byte* memory, std::size_t bytes, bool huge) {
    if (madvise(memory, bytes, MADV_POPULATE_WRITE) == 0) return true;
    if (errno != EINVAL || huge) return false;
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    for (std::size_t offset = 0; offset < bytes; offset += page)
        *reinterpret_cast<volatile std::byte*>(memory + offset) = std::byte{0};
    return true;
}

std::byte* map(std::size_t bytes, int flags) {
    void* memory =
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    return memory == MAP_FAILED ? nullptr : static_cast<std::byte*>(memory);
}

// A mapping that starts at a huge page's border, so that transparent huge pages cover all of it.
std::byte* map_aligned(std::size_t bytes) {
    std::byte* memory = map(bytes + huge_page, 0);
    if (memory == nullptr) return nullptr;
    const auto start = reinterpret_cast<std::uintptr_t>(memory);
    const std::size_t skip = round_up(start, huge_page) - start;
    if (skip > 0) munmap(memory, skip);
    if (skip < huge_page) munmap(memory + skip + bytes, huge_page - skip);
    return memory + skip;
}

}  // namespace

Result<NumaRegion> NumaRegion::allocate(std::size_t bytes, int node, bool hugetlb) {
    NumaRegion region;
    if (bytes == 0) return region;
    const std::size_t whole = round_up(bytes, huge_page);
    if (hugetlb) {
        if (std::byte* memory = map(whole, MAP_HUGETLB)) {
            prefer_node(memory, whole, node);
            if (fault_in(memory, whole, true)) {
                region.data_ = memory;
                region.size_ = whole;
                region.pages_ = Pages::hugetlb;
                return region;
            }
            munmap(memory, whole);
        }
    }
    const bool transparent = bytes >= huge_page;
    const std::size_t size =
        transparent ? whole : round_up(bytes, static_cast<std::size_t>(sysconf(_SC_PAGESIZE)));
    std::byte* memory = transparent ? map_aligned(size) : map(size, 0);
    if (memory != nullptr) {
        region.data_ = memory;
        region.size_ = size;
        prefer_node(memory, size, node);
        if (transparent && madvise(memory, size, MADV_HUGEPAGE) == 0)
            region.pages_ = Pages::transparent;
        if (fault_in(memory, size, false)) return region;
    }
    return Error{
        fmt::format("no memory for {} MiB on NUMA node {}: {}; lower "
                    "conntrack.entries_per_worker or free memory",
                    (bytes >> 20) + 1, node, std::strerror(errno))};
}

NumaRegion::NumaRegion(NumaRegion&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      pages_(other.pages_) {}

NumaRegion& NumaRegion::operator=(NumaRegion&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(pages_, other.pages_);
    return *this;
}

NumaRegion::~NumaRegion() {
    if (data_ != nullptr) munmap(data_, size_);
}

unsigned node_of_cpu(unsigned cpu) noexcept {
    if (numa_available() < 0) return 0;
    const int node = numa_node_of_cpu(static_cast<int>(cpu));
    return node < 0 ? 0 : static_cast<unsigned>(node);
}

unsigned node_count() noexcept {
    if (numa_available() < 0) return 1;
    const int count = numa_num_configured_nodes();
    return count < 1 ? 1 : static_cast<unsigned>(count);
}

}  // namespace weir
