// SPDX-License-Identifier: BSD-3-Clause
// Packet buffers: one mbuf pool for each NUMA node with a port or a worker, and a small one of the
// control lcore, so that a flood which empties the others cannot stop probes and the exception
// path.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/wire/result.hh"

struct rte_mempool;

namespace weir {

struct PoolOptions {
    std::vector<unsigned> nodes{0};  // NUMA nodes; duplicates are ignored
    std::uint32_t mbufs = 16'384;    // of each node's pool
    std::uint32_t control_mbufs = 1024;
    std::uint16_t room = 2176;        // bytes of data room, headroom (128) included; <= 65535
    std::uint16_t private_bytes = 0;  // between mbuf and headroom; multiple of 8
    std::string prefix = "weir";      // of the pools' names: "weir_0", "weir_control"
};

// Bytes of EAL memory that a pool of `count` mbufs of `room` bytes takes, rounded up. Pure.
[[nodiscard]] std::uint64_t pool_bytes(std::uint32_t count, std::uint16_t room,
                                       std::uint16_t private_bytes = 0);

struct PoolUse {
    std::string name;
    std::uint64_t free = 0, size = 0;  // mbufs; those in lcore caches count as free
};

class MbufPools {
public:
    // EAL must run. Fails with the sentence that mends it when there is not enough memory.
    static Result<MbufPools> create(const PoolOptions& options);
    MbufPools(MbufPools&& other) noexcept;
    MbufPools& operator=(MbufPools&& other) noexcept;
    ~MbufPools();  // every port that uses them must be closed

    // The pool of `node`, or of the first node where that one has none. Any thread. Never null.
    [[nodiscard]] rte_mempool* on(unsigned node) const noexcept;
    [[nodiscard]] rte_mempool* control() const noexcept { return control_; }
    [[nodiscard]] std::uint16_t room() const noexcept { return room_; }
    // Counts of every pool. Control thread; walks the caches, so not in a loop.
    [[nodiscard]] std::vector<PoolUse> use() const;

private:
    MbufPools() = default;
    void free_all() noexcept;

    struct NodePool {
        unsigned node = 0;
        rte_mempool* pool = nullptr;
    };
    std::vector<NodePool> pools_;
    rte_mempool* control_ = nullptr;
    std::uint16_t room_ = 0;
};

}  // namespace weir
