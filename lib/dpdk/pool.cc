// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dpdk/pool.hh"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_mbuf_pool_ops.h>
#include <rte_mempool.h>

namespace weir {

namespace {

// Buffers that an lcore keeps for itself: several bursts, and few beside the pool of a small
// configuration. DPDK wants at most 2/3 of the pool.
unsigned cache_of(std::uint32_t mbufs) {
    return std::min<unsigned>(256, mbufs / 16);
}

// What rte_pktmbuf_pool_create() does, with the buffers packed without a gap at page borders where
// devices see virtual addresses: AF_XDP registers (count x size) bytes from the first buffer on as
// its memory, and buffers beyond that, which gaps push there, would never be sent.
rte_mempool* packed_pool(const std::string& name, std::uint32_t mbufs, unsigned node,
                         const PoolOptions& options) {
    const unsigned flags = rte_eal_iova_mode() == RTE_IOVA_VA ? RTE_MEMPOOL_F_NO_IOVA_CONTIG : 0;
    const auto object =
        static_cast<unsigned>(sizeof(rte_mbuf)) + options.private_bytes + options.room;
    rte_mempool* pool =
        rte_mempool_create_empty(name.c_str(), mbufs, object, cache_of(mbufs),
                                 sizeof(rte_pktmbuf_pool_private), static_cast<int>(node), flags);
    if (pool == nullptr) return nullptr;
    rte_pktmbuf_pool_private layout{};
    layout.mbuf_data_room_size = options.room;
    layout.mbuf_priv_size = options.private_bytes;
    int failed = rte_mempool_set_ops_byname(pool, rte_mbuf_best_mempool_ops(), nullptr);
    if (failed == 0) {
        rte_pktmbuf_pool_init(pool, &layout);
        failed = std::min(rte_mempool_populate_default(pool), 0);
    }
    if (failed != 0) {
        rte_mempool_free(pool);
        rte_errno = -failed;
        return nullptr;
    }
    rte_mempool_obj_iter(pool, rte_pktmbuf_init, nullptr);
    return pool;
}

Result<rte_mempool*> create_pool(const std::string& name, std::uint32_t mbufs, unsigned node,
                                 const PoolOptions& options) {
    rte_mempool* pool = packed_pool(name, mbufs, node, options);
    if (pool != nullptr) return pool;
    const std::uint64_t mib = (pool_bytes(mbufs, options.room, options.private_bytes) >> 20) + 1;
    return Error{
        fmt::format("no memory for {} packet buffers of {} bytes ({} MiB) on NUMA node {}: {}; "
                    "lower memory.mbufs "
                    "or give more memory (memory.hugepages, `hugepages/reserve`)",
                    mbufs, options.room, mib, node, rte_strerror(rte_errno))};
}

}  // namespace

std::uint64_t pool_bytes(std::uint32_t count, std::uint16_t room, std::uint16_t private_bytes) {
    const auto up = [](std::uint64_t bytes, std::uint64_t unit) {
        return (bytes + unit - 1) / unit * unit;
    };
    // The object behind mempool's header, on cache lines, and one line more because mempool spreads
    // objects over memory channels.
    const std::uint64_t line = RTE_CACHE_LINE_SIZE;
    const std::uint64_t object =
        up(sizeof(rte_mempool_objhdr) + sizeof(rte_mbuf) + private_bytes + room, line) + line;
    const std::uint64_t objects = object * count;
    std::uint64_t slots = 1;  // the ring of free objects
    while (slots < std::uint64_t{count} + 1)
        slots <<= 1;
    return objects + objects / 100 + slots * sizeof(void*) + (std::uint64_t{1} << 20);
}

Result<MbufPools> MbufPools::create(const PoolOptions& options) {
    MbufPools pools;
    pools.room_ = options.room;
    std::vector<unsigned> nodes = options.nodes;
    if (nodes.empty()) nodes.push_back(0);
    for (unsigned node : nodes) {
        const bool known = std::ranges::any_of(
            pools.pools_, [node](const NodePool& entry) { return entry.node == node; });
        if (known) continue;
        auto pool =
            create_pool(fmt::format("{}_{}", options.prefix, node), options.mbufs, node, options);
        if (!pool) return pool.error();
        pools.pools_.push_back({node, pool.value()});
    }
    auto control =
        create_pool(options.prefix + "_control", options.control_mbufs, nodes.front(), options);
    if (!control) return control.error();
    pools.control_ = control.value();
    return pools;
}

MbufPools::MbufPools(MbufPools&& other) noexcept
    : pools_(std::exchange(other.pools_, {})),
      control_(std::exchange(other.control_, nullptr)),
      room_(other.room_) {}

MbufPools& MbufPools::operator=(MbufPools&& other) noexcept {
    if (this != &other) {
        free_all();
        pools_ = std::exchange(other.pools_, {});
        control_ = std::exchange(other.control_, nullptr);
        room_ = other.room_;
    }
    return *this;
}

MbufPools::~MbufPools() {
    free_all();
}

void MbufPools::free_all() noexcept {
    for (const NodePool& entry : pools_)
        rte_mempool_free(entry.pool);
    pools_.clear();
    rte_mempool_free(std::exchange(control_, nullptr));
}

rte_mempool* MbufPools::on(unsigned node) const noexcept {
    for (const NodePool& entry : pools_)
        if (entry.node == node) return entry.pool;
    return pools_.front().pool;
}

std::vector<PoolUse> MbufPools::use() const {
    std::vector<PoolUse> all;
    const auto add = [&all](const rte_mempool* pool) {
        all.push_back({pool->name, rte_mempool_avail_count(pool), pool->size});
    };
    for (const NodePool& entry : pools_)
        add(entry.pool);
    add(control_);
    return all;
}

}  // namespace weir
