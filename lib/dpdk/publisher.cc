// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dpdk/publisher.hh"

#include <new>
#include <utility>

#include <rte_common.h>

namespace weir {

Publisher::Publisher(unsigned readers) {
    const std::size_t bytes = RTE_ALIGN_CEIL(rte_rcu_qsbr_get_memsize(readers),
                                             static_cast<std::size_t>(RTE_CACHE_LINE_SIZE));
    rcu_.reset(static_cast<rte_rcu_qsbr*>(std::aligned_alloc(RTE_CACHE_LINE_SIZE, bytes)));
    if (rcu_ == nullptr) throw std::bad_alloc();
    rte_rcu_qsbr_init(rcu_.get(), readers);
    // Registered but offline readers do not hold anything back.
    for (unsigned reader = 0; reader < readers; ++reader) {
        rte_rcu_qsbr_thread_register(rcu_.get(), reader);
    }
}

void Publisher::publish(std::unique_ptr<const Tables> tables) {
    shared_.store(tables.get(), std::memory_order_release);  // pairs with load()
    std::swap(owned_, tables);
    // The token is taken after the store: who reports quiescence from now on has seen the new one.
    if (tables != nullptr) {
        retired_.push_back({std::move(tables), rte_rcu_qsbr_start(rcu_.get())});
    }
    poll();
}

void Publisher::poll() {
    while (!retired_.empty() && rte_rcu_qsbr_check(rcu_.get(), retired_.front().token, false) == 1)
        retired_.pop_front();
}

bool Publisher::settled() {
    poll();
    return retired_.empty();
}

}  // namespace weir
