// SPDX-License-Identifier: BSD-3-Clause
// Asking for the cache lines of frames in time, to write to them: the first one of a frame, and the
// one in front of it, where an outer header will begin.
//
// To write: a line that is only read first must be asked for again from whoever has it, and stores
// wait for that one after the other. In time: a CPU has but so many lines on their way (24 on
// Zen 4), and those of a whole burst, asked for at once, wait for each other and hold up those of
// the connection table. So who receives a burst asks for the first frames, and process() for the
// others while it works on those in front of them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include "lib/dataplane/packet.hh"

namespace weir {

// Frames that are asked for at once: by the receiver those at the beginning of the burst.
inline constexpr std::size_t asked_ahead = 16;

[[gnu::always_inline]] inline void ask_to_write(const std::uint8_t* at) noexcept {
#if defined(__x86_64__)
    asm volatile("prefetchw %0" : : "m"(*at));  // no effect on CPUs without it
#else
    __builtin_prefetch(at, 1);
#endif
}

// Of the `count` packets from `first` on, as far as the burst has so many.
inline void ask_for_frames(std::span<const Packet> packets, std::size_t first,
                           std::size_t count) noexcept {
    const std::size_t end = std::min(packets.size(), first + count);
    for (std::size_t i = first; i < end; ++i)
        ask_to_write(packets[i].data);
}
inline void ask_for_room(std::span<const Packet> packets, std::size_t first,
                         std::size_t count) noexcept {
    constexpr std::size_t line = 64;
    const std::size_t end = std::min(packets.size(), first + count);
    for (std::size_t i = first; i < end; ++i)
        ask_to_write(packets[i].data - line);
}

}  // namespace weir
