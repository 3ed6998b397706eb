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

}  // namespace weir
