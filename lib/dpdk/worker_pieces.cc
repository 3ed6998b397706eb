// SPDX-License-Identifier: BSD-3-Clause
// Of WorkerStep: packets that are longer than the MTU of the port by which they leave, and may be
// cut. Each piece is a copy: that is slow, and rare where MTUs are as they should be.
#include <array>
#include <cstring>

#include "lib/dpdk/mbuf_adapter.hh"
#include "lib/dpdk/worker_step.hh"
#include "lib/wire/fragmentation.hh"

namespace weir {
namespace {

// Fragment `i` of the frame, which keeps its bytes; nullptr: no mbuf.
rte_mbuf* copy_fragment(const Fragmentation& cut, std::uint32_t i, const rte_mbuf& frame,
                        rte_mempool* pool) noexcept {
    std::array<std::uint8_t, Fragmentation::max_headers> headers;
    const auto [offset, length] = cut.part(i);
    rte_mbuf* const piece = rte_pktmbuf_copy(&frame, pool, offset, length);
    if (piece == nullptr) return nullptr;
    const auto size = static_cast<std::uint16_t>(cut.write_headers(i, headers.data()));
    char* const front = rte_pktmbuf_prepend(piece, size);
    if (front == nullptr) {
        rte_pktmbuf_free(piece);
        return nullptr;
    }
    std::memcpy(front, headers.data(), size);
    return piece;
}

// The frame becomes its own first fragment.
void shrink_to_first(const Fragmentation& cut, rte_mbuf& frame) noexcept {
    std::array<std::uint8_t, Fragmentation::max_headers> headers;
    const auto [offset, length] = cut.part(0);
    const auto size = static_cast<std::uint32_t>(cut.write_headers(0, headers.data()));
    cut_chain(&frame, offset + length);
    frame.data_off = static_cast<std::uint16_t>(frame.data_off + offset - size);
    frame.data_len = static_cast<std::uint16_t>(frame.data_len + size - offset);
    frame.pkt_len = size + length;
    std::memcpy(rte_pktmbuf_mtod(&frame, void*), headers.data(), size);
}

}  // namespace

// Of its fragments the first is the packet that was received; the others come in its wake.
[[gnu::noinline]] void WorkerStep::send_in_pieces(const PortTable& port, PortId id,
                                                  rte_mbuf* mbuf) noexcept {
    const std::span headers(rte_pktmbuf_mtod(mbuf, const std::uint8_t*), mbuf->data_len);
    const Fragmentation cut(headers, link_header_length(port), port.mtu, fragment_id_);
    fragment_id_ += fragment_id_step_;
    std::array<rte_mbuf*, max_fragments> later{};
    for (std::uint32_t i = 1; i < cut.count(); ++i) {
        rte_mbuf* const piece = pool_ != nullptr ? copy_fragment(cut, i, *mbuf, pool_) : nullptr;
        if (piece == nullptr) {
            rte_pktmbuf_free_bulk(later.data(), i - 1);
            drop(mbuf, DropReason::mbuf_exhausted);
            return;
        }
        later[i - 1] = piece;
    }
    shrink_to_first(cut, *mbuf);
    counters_.fragmented.add(1);
    tx_.send(id, {&mbuf, 1});
    for (std::uint32_t i = 1; i < cut.count(); ++i)
        tx_.inject(id, later[i - 1]);
}

}  // namespace weir
