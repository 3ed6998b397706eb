// SPDX-License-Identifier: BSD-3-Clause
// How the control lcore looks into a worker's connection table without touching it: it leaves a
// request, and the worker fills it in housekeeping, a bounded number of entries a loop.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "lib/flow/table.hh"

namespace weir {

struct FlowDump {
    std::uint32_t cursor = 0;         // where to go on; the worker moves it
    std::vector<FlowRecord> entries;  // sized by the asker, 8 to 4096; filled from the front
    std::size_t filled = 0;
    bool end = false;  // the whole table was visited
};

// A mailbox for one asker and one worker. The asker owns the request except between post() and a
// collect() that answers it.
class FlowMailbox {
public:
    // Asker. Precondition: no request is under way.
    void post(FlowDump* request) noexcept {
        done_.store(false, std::memory_order_release);       // pairs with serve()'s first acquire
        request_.store(request, std::memory_order_release);  // pairs with serve()'s acquire
    }
    // Asker: the filled request, or nullptr while the worker is at it.
    [[nodiscard]] FlowDump* collect() noexcept {
        if (!done_.load(std::memory_order_acquire)) return nullptr;  // pairs with serve()'s release
        return request_.exchange(nullptr, std::memory_order_relaxed);
    }
    // Worker, once a loop: copies at most 64 entries. Cost without a request: one load.
    void serve(const FlowTable& table, Tick now) noexcept;

private:
    std::atomic<FlowDump*> request_{nullptr};
    std::atomic<bool> done_{false};
};

}  // namespace weir
