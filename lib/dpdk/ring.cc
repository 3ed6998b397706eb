// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dpdk/ring.hh"

#include <array>
#include <atomic>

#include <fmt/format.h>
#include <rte_errno.h>

namespace weir {

Result<std::unique_ptr<MbufRing>> MbufRing::create(std::string label, unsigned slots, int numa) {
    // EAL allows 28 characters, and a port's name alone may have 63: rings are numbered there.
    static std::atomic<unsigned> next{0};
    const std::string name = fmt::format("weir_ring_{}", next.fetch_add(1));
    rte_ring* ring = rte_ring_create(name.c_str(), slots, numa, RING_F_SP_ENQ | RING_F_SC_DEQ);
    if (ring == nullptr) {
        return Error{fmt::format(
            "cannot create the ring {} of {} slots: {}; raise [system] memory.hugepages", label,
            slots, rte_strerror(rte_errno))};
    }
    return std::unique_ptr<MbufRing>(new MbufRing(std::move(label), ring));
}

MbufRing::~MbufRing() {
    std::array<rte_mbuf*, 64> left{};
    while (const unsigned count = dequeue(left))
        rte_pktmbuf_free_bulk(left.data(), count);
    rte_ring_free(ring_);
}

}  // namespace weir
