// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dpdk/rest.hh"

#include <ctime>

#include <sys/prctl.h>

namespace weir {

void sharpen_naps() noexcept {
    prctl(PR_SET_TIMERSLACK, 1UL);
}

void take_nap(std::uint32_t nanoseconds) noexcept {
    const timespec nap{0, static_cast<long>(nanoseconds)};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, nullptr);
}

}  // namespace weir
