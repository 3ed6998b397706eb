// SPDX-License-Identifier: BSD-3-Clause
// Prefetches that stay: a function which does nothing but prefetch looks to gcc 12 like one without
// effects, and it removes the call.
#pragma once

namespace weir {

// Asks for the cache line at `at`, to read it: most packets do not write to their flow's line.
[[gnu::always_inline]] inline void prefetch(const void* at) noexcept {
    __builtin_prefetch(at);
    asm volatile("");
}

// The same into the second-level cache, for lines that are not read at once: what is read meanwhile
// does not push them out, and more of them are on their way than the first level has room for.
[[gnu::always_inline]] inline void prefetch_ahead(const void* at) noexcept {
    constexpr int to_read = 0, second_level = 2;
    __builtin_prefetch(at, to_read, second_level);
    asm volatile("");
}

}  // namespace weir
