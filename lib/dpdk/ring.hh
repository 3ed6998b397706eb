// SPDX-License-Identifier: BSD-3-Clause
// MbufRing: a bounded queue of mbufs between exactly two lcores: an rte_ring with one producer and
// one consumer, so neither side ever waits for the other.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <utility>

#include <rte_mbuf.h>
#include <rte_ring.h>

#include "lib/wire/result.hh"

namespace weir {

class MbufRing {
public:
    // `label`: the name that people see ("rx0-worker1"). `slots`: a power of two; one of them stays
    // free. Memory comes from EAL on NUMA node `numa` (SOCKET_ID_ANY: wherever). Fails when EAL has
    // no memory left. Control thread.
    static Result<std::unique_ptr<MbufRing>> create(std::string label, unsigned slots, int numa);
    // Frees what still lies in it. Precondition: both sides have stopped.
    ~MbufRing();
    MbufRing(const MbufRing&) = delete;
    MbufRing& operator=(const MbufRing&) = delete;

    // Producer: takes the first mbufs that fit and answers how many; the rest stays the caller's.
    [[nodiscard]] unsigned enqueue(std::span<rte_mbuf* const> mbufs) noexcept {
        // rte_ring wants void* const*, and reads only.
        return rte_ring_sp_enqueue_burst(ring_, reinterpret_cast<void* const*>(mbufs.data()),
                                         static_cast<unsigned>(mbufs.size()), nullptr);
    }
    // Consumer: fills the front of `out` and answers how many; they are the caller's.
    [[nodiscard]] unsigned dequeue(std::span<rte_mbuf*> out) noexcept {
        return rte_ring_sc_dequeue_burst(ring_, reinterpret_cast<void**>(out.data()),
                                         static_cast<unsigned>(out.size()), nullptr);
    }

    // Any thread; a moment's value.
    [[nodiscard]] unsigned used() const noexcept { return rte_ring_count(ring_); }
    [[nodiscard]] unsigned size() const noexcept { return rte_ring_get_capacity(ring_); }
    [[nodiscard]] const std::string& label() const noexcept { return label_; }

private:
    MbufRing(std::string label, rte_ring* ring) : label_(std::move(label)), ring_(ring) {}

    std::string label_;
    rte_ring* ring_;
};

}  // namespace weir
