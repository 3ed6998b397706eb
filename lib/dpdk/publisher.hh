// SPDX-License-Identifier: BSD-3-Clause
// Publisher: hands Tables to the workers by one pointer store, and frees the old ones when their
// grace period (rte_rcu_qsbr) has passed. Nobody ever waits: publish() and poll() return at once
// however long a worker is held up; its tables just live longer.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <memory>

#include <rte_rcu_qsbr.h>

#include "lib/balance/tables.hh"

namespace weir {

class Publisher {
public:
    // `readers`: lcores that will read, numbered 0 .. readers-1. Throws std::bad_alloc.
    explicit Publisher(unsigned readers);
    // Precondition: all readers have gone offline. Frees everything.
    ~Publisher() = default;
    Publisher(const Publisher&) = delete;
    Publisher& operator=(const Publisher&) = delete;

    // Control thread. Takes ownership; readers see `tables` from their next load() on. O(1).
    void publish(std::unique_ptr<const Tables> tables);
    // Control thread: frees what no reader can hold any more. Call once a turn of the loop.
    void poll();
    // Control thread: true when no reader can still read tables older than the current ones.
    [[nodiscard]] bool settled();
    // Control thread: the last published; nullptr before the first.
    [[nodiscard]] const Tables* current() const noexcept { return owned_.get(); }
    // Control thread: old tables that are not freed yet.
    [[nodiscard]] std::size_t retired() const noexcept { return retired_.size(); }

    // The rest is for readers, each with its own number. An online reader may use what load() gave
    // it until its next quiescent() or offline().
    void online(unsigned reader) noexcept { rte_rcu_qsbr_thread_online(rcu_.get(), reader); }
    void offline(unsigned reader) noexcept { rte_rcu_qsbr_thread_offline(rcu_.get(), reader); }
    // Once a loop, with no pointer into Tables in hand. Cost: a load and a store.
    void quiescent(unsigned reader) noexcept { rte_rcu_qsbr_quiescent(rcu_.get(), reader); }
    // nullptr before the first publish(). Pairs with the release store of publish().
    [[nodiscard]] const Tables* load() const noexcept {
        return shared_.load(std::memory_order_acquire);
    }

private:
    struct Free {
        void operator()(rte_rcu_qsbr* rcu) const noexcept { std::free(rcu); }
    };
    struct Retired {
        std::unique_ptr<const Tables> tables;
        std::uint64_t token;  // of rte_rcu_qsbr: passed once every reader reported after it
    };

    // Shared with readers, away from what the control thread alone writes.
    alignas(64) std::atomic<const Tables*> shared_{nullptr};
    std::unique_ptr<rte_rcu_qsbr, Free> rcu_;
    alignas(64) std::unique_ptr<const Tables> owned_;
    std::deque<Retired> retired_;  // oldest first; tokens ascend
};

}  // namespace weir
