// SPDX-License-Identifier: BSD-3-Clause
// HeapTrim: gives memory back that the control plane's allocator holds without need. A reload or an
// answer about 100 000 backends takes hundreds of MiB for a moment; glibc keeps them, and the
// process would stay as large as its largest moment.
#pragma once

#include <cstdint>

#include "lib/control/timer.hh"

namespace weir {

// Bytes of this process in ordinary pages, as the kernel counts them (statm); 0: not known.
[[nodiscard]] std::uint64_t resident_bytes();

// Control thread only.
class HeapTrim {
public:
    // Trims now, and looks every five seconds whether the process has grown.
    explicit HeapTrim(event_base* base);

private:
    void look();

    Timer timer_;
    std::uint64_t resident_ = 0;  // after the last trim
};

}  // namespace weir
