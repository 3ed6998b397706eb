// SPDX-License-Identifier: BSD-3-Clause
#include "perf/bench/memory.hh"

#include <cstdint>
#include <cstring>
#include <new>

#include <sys/mman.h>

namespace weir::bench {

namespace {

constexpr std::size_t huge_page = std::size_t{2} << 20;

std::byte* map(std::size_t bytes, int flags) noexcept {
    void* at =
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    return at == MAP_FAILED ? nullptr : static_cast<std::byte*>(at);
}

// Ordinary memory that begins at a multiple of 2 MiB: what lies around it is given back.
std::byte* map_aligned(std::size_t bytes) noexcept {
    std::byte* at = map(bytes + huge_page, 0);
    if (at == nullptr) return nullptr;
    const std::size_t before =
        (huge_page - reinterpret_cast<std::uintptr_t>(at) % huge_page) % huge_page;
    if (before != 0) munmap(at, before);
    if (before != huge_page) munmap(at + before + bytes, huge_page - before);
    madvise(at + before, bytes, MADV_HUGEPAGE);
    return at + before;
}

}  // namespace

void Region::Unmap::operator()(std::byte* at) const noexcept {
    munmap(at, size);
}

Region::Region(std::size_t bytes)
    : size_((bytes + huge_page - 1) / huge_page * huge_page),
      kind_("reserved huge pages"),
      memory_(map(size_, MAP_HUGETLB), Unmap{size_}) {
    if (memory_ == nullptr) {
        kind_ = "transparent huge pages";
        memory_.reset(map_aligned(size_));
    }
    if (memory_ == nullptr) throw std::bad_alloc();
    std::memset(memory_.get(), 0, size_);
}

}  // namespace weir::bench
