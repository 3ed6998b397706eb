// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/heap_trim.hh"

#include <chrono>
#include <fstream>

#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace weir {

namespace {

constexpr std::chrono::seconds period{5};

// Growth that is worth a trim, which walks the whole heap (some 10 ms for 100 MiB of it).
constexpr std::uint64_t worth(std::uint64_t resident) {
    return (std::uint64_t{4} << 20) + resident / 32;
}

void trim() {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

}  // namespace

std::uint64_t resident_bytes() {
    std::ifstream statm("/proc/self/statm");
    std::uint64_t size = 0, resident = 0;
    if (!(statm >> size >> resident)) return 0;
    return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

HeapTrim::HeapTrim(event_base* base) : timer_(base, [this] { look(); }) {
    trim();
    resident_ = resident_bytes();
    timer_.set(period);
}

void HeapTrim::look() {
    timer_.set(period);
    const std::uint64_t resident = resident_bytes();
    if (resident < resident_) resident_ = resident;
    if (resident < resident_ + worth(resident_)) return;
    trim();
    resident_ = resident_bytes();
}

}  // namespace weir
