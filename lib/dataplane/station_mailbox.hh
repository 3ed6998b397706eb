// SPDX-License-Identifier: BSD-3-Clause
// How a worker tells the control lcore which stations on a port's network it had packets for and no
// way to (drop no_neighbor): it leaves their addresses here and goes on. Lossy by design: while the
// mailbox is full nothing more is taken, and who is missed sends again. So a flood of forged
// sources costs neither memory nor time.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

#include "lib/balance/ids.hh"
#include "lib/wire/address.hh"

namespace weir {

// An address within a network of this port.
struct UnknownStation {
    PortId port{};
    IpAddress address;
    friend bool operator==(const UnknownStation&, const UnknownStation&) = default;
};

// A queue with one writer, a worker, and one reader, the control thread.
class StationMailbox {
public:
    static constexpr std::uint32_t capacity = 16;
    static_assert((capacity & (capacity - 1)) == 0);

    // Worker. Not taken when the mailbox is full or holds the same one. Cost: at most `capacity`
    // comparisons.
    void leave(const UnknownStation& station) noexcept {
        const std::uint32_t end = left_.load(std::memory_order_relaxed);
        // Pairs with take()'s release: what that read may be written over.
        const std::uint32_t begin = taken_.load(std::memory_order_acquire);
        if (end - begin >= capacity) return;
        for (std::uint32_t i = begin; i != end; ++i)
            if (stations_[i % capacity] == station) return;
        stations_[end % capacity] = station;
        left_.store(end + 1, std::memory_order_release);  // pairs with take()'s acquire
    }

    // Control thread: the oldest one, or nothing. Cost when empty: one load.
    [[nodiscard]] std::optional<UnknownStation> take() noexcept {
        const std::uint32_t begin = taken_.load(std::memory_order_relaxed);
        // Pairs with leave()'s release: the station is whole.
        if (begin == left_.load(std::memory_order_acquire)) return std::nullopt;
        const UnknownStation station = stations_[begin % capacity];
        taken_.store(begin + 1, std::memory_order_release);  // pairs with leave()'s acquire
        return station;
    }

private:
    // Each side writes a line of its own.
    alignas(64) std::atomic<std::uint32_t> left_{0};
    std::array<UnknownStation, capacity> stations_{};
    alignas(64) std::atomic<std::uint32_t> taken_{0};
};

}  // namespace weir
