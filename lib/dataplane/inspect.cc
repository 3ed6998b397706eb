// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dataplane/inspect.hh"

#include <algorithm>
#include <span>

namespace weir {

void FlowMailbox::serve(const FlowTable& table, Tick now) noexcept {
    constexpr std::size_t per_loop = 64;
    if (done_.load(std::memory_order_acquire)) return;  // not collected yet; pairs with post()
    FlowDump* request = request_.load(std::memory_order_acquire);  // pairs with post()'s release
    if (request == nullptr) return;
    const std::size_t room = std::min(per_loop, request->entries.size() - request->filled);
    const std::span<FlowRecord> out = std::span(request->entries).subspan(request->filled, room);
    request->filled += table.copy(request->cursor, out, now);
    request->end = request->cursor >= table.lines();
    // A line's entries are copied together, so the last few places may stay empty.
    if (request->end || request->entries.size() - request->filled < line_slots)
        done_.store(true, std::memory_order_release);  // pairs with collect()'s acquire
}

}  // namespace weir
