// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dpdk/mbuf_adapter.hh"

#include <algorithm>
#include <cstring>

#include <rte_ether.h>

namespace weir {
namespace {

// Every segment lies in its buffer, their number and their sum are what the head says.
[[nodiscard]] bool is_sound(const rte_mbuf* head) noexcept {
    std::uint32_t segments = 0, bytes = 0;
    for (const rte_mbuf* segment = head; segment != nullptr; segment = segment->next) {
        if (segment->data_off + segment->data_len > segment->buf_len) return false;
        bytes += segment->data_len;
        if (++segments > head->nb_segs) return false;
    }
    return segments == head->nb_segs && bytes == head->pkt_len;
}

// Somebody else holds a reference to the mbuf or to its bytes.
[[nodiscard]] bool is_shared(const rte_mbuf* head) noexcept {
    for (const rte_mbuf* segment = head; segment != nullptr; segment = segment->next) {
        if (rte_mbuf_refcnt_read(segment) != 1 || RTE_MBUF_CLONED(segment)) return true;
        if (RTE_MBUF_HAS_EXTBUF(segment) && rte_mbuf_ext_refcnt_read(segment->shinfo) != 1)
            return true;
    }
    return false;
}

[[nodiscard]] Prepared copied(rte_mbuf* mbuf, rte_mempool* pool) noexcept {
    rte_mbuf* copy = rte_pktmbuf_copy(mbuf, pool, 0, UINT32_MAX);
    if (copy == nullptr) return {mbuf, false, DropReason::mbuf_exhausted};
    rte_pktmbuf_free(mbuf);
    return {copy, true, {}};
}

// Moves the first `wanted` bytes of the chain into the first segment; those that run empty go.
// Precondition: they fit there, and the chain is at least that long.
void gather(rte_mbuf* head, std::uint32_t wanted) noexcept {
    while (head->data_len < wanted) {
        rte_mbuf* next = head->next;
        const auto moved = static_cast<std::uint16_t>(
            std::min<std::uint32_t>(wanted - head->data_len, next->data_len));
        std::memcpy(rte_pktmbuf_mtod_offset(head, std::uint8_t*, head->data_len),
                    rte_pktmbuf_mtod(next, const std::uint8_t*), moved);
        head->data_len = static_cast<std::uint16_t>(head->data_len + moved);
        next->data_off = static_cast<std::uint16_t>(next->data_off + moved);
        next->data_len = static_cast<std::uint16_t>(next->data_len - moved);
        if (next->data_len != 0) continue;
        head->next = next->next;
        --head->nb_segs;
        rte_pktmbuf_free_seg(next);
    }
}

}  // namespace

Prepared prepare_slow(rte_mbuf* mbuf, rte_mempool* pool) noexcept {
    if (!is_sound(mbuf)) return {mbuf, false, DropReason::l2_truncated};
    const bool untagged = (mbuf->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0;
    const std::uint32_t wanted = std::min(mbuf->pkt_len, max_header_bytes);
    const bool fits = std::uint32_t{mbuf->data_len} + rte_pktmbuf_tailroom(mbuf) >= wanted;
    Prepared result{mbuf, true, {}};
    if (is_shared(mbuf) || !fits || (untagged && !RTE_MBUF_DIRECT(mbuf))) {
        result = copied(mbuf, pool);
        if (!result.ok) return result;
    }
    gather(result.mbuf, wanted);
    if (!untagged) return result;
    if (rte_pktmbuf_data_len(result.mbuf) < 2 * RTE_ETHER_ADDR_LEN)
        return {result.mbuf, false, DropReason::l2_truncated};
    if (rte_vlan_insert(&result.mbuf) != 0) return {result.mbuf, false, DropReason::no_headroom};
    return result;
}

void cut_chain(rte_mbuf* mbuf, std::uint32_t length) noexcept {
    std::uint16_t segments = 1;
    rte_mbuf* last = mbuf;
    std::uint32_t left = length;
    while (left > last->data_len && last->next != nullptr) {
        left -= last->data_len;
        last = last->next;
        ++segments;
    }
    last->data_len = static_cast<std::uint16_t>(left);
    mbuf->nb_segs = segments;
    for (rte_mbuf* segment = last->next; segment != nullptr;) {
        rte_mbuf* next = segment->next;
        rte_pktmbuf_free_seg(segment);
        segment = next;
    }
    last->next = nullptr;
}

}  // namespace weir
