// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dpdk/exception_path.hh"

#include <array>
#include <cerrno>
#include <utility>

#include <rte_ether.h>
#include <sys/uio.h>

#include "lib/wire/headers.hh"

namespace weir {
namespace {

[[nodiscard]] std::span<const std::uint8_t> first_bytes(const rte_mbuf* mbuf) {
    return {rte_pktmbuf_mtod(mbuf, const std::uint8_t*), mbuf->data_len};
}

// The whole chain as one frame. False when the kernel does not take it.
[[nodiscard]] bool write_frame(int tap, const rte_mbuf* mbuf) {
    std::array<iovec, 64> parts;
    unsigned count = 0;
    for (const rte_mbuf* segment = mbuf; segment != nullptr; segment = segment->next) {
        if (count == parts.size()) return false;
        parts[count++] = {rte_pktmbuf_mtod(segment, void*), segment->data_len};
    }
    return writev(tap, parts.data(), static_cast<int>(count)) ==
           static_cast<ssize_t>(mbuf->pkt_len);
}

}  // namespace

ExceptionPath::ExceptionPath(Setup setup)
    : punt_rings_(std::move(setup.punt_rings)), pool_(setup.pool), tx_(*setup.tx) {
    for (const PortSetup& port : setup.ports)
        ports_.push_back({port, {}});
}

ExceptionPath::~ExceptionPath() {
    rte_pktmbuf_free(spare_);
}

unsigned ExceptionPath::run(const Tables& tables, Tick now) {
    unsigned moved = 0;
    constexpr std::array order{PuntClass::neighbor, PuntClass::probe_reply, PuntClass::vip_icmp,
                               PuntClass::other};
    static_assert(order.size() == punt_class_count);
    for (const PuntClass punt_class : order)
        for (const PuntStage::Rings& rings : punt_rings_)
            moved += drain_ring(*rings[static_cast<std::size_t>(punt_class)]);
    for (std::size_t i = 0; i < ports_.size(); ++i)
        if (ports_[i].setup.tap >= 0)
            moved += drain_tap(PortId{static_cast<std::uint8_t>(i)}, tables.index, now);
    tx_.flush();
    probes_.expire(now);
    return moved;
}

unsigned ExceptionPath::drain_ring(MbufRing& ring) {
    std::array<rte_mbuf*, frames_per_turn> mbufs;
    const unsigned count = ring.dequeue(mbufs);
    for (unsigned i = 0; i < count; ++i)
        to_kernel(mbufs[i]);
    rte_pktmbuf_free_bulk(mbufs.data(), count);
    return count;
}

void ExceptionPath::to_kernel(rte_mbuf* mbuf) {
    PortState& port = ports_[mbuf->port];
    rte_vlan_strip(mbuf);  // the parser let only the port's own tag or VID 0 pass; or none is there
    if (!write_frame(port.setup.tap, mbuf)) {
        ++port.counts.refused;
        return;
    }
    ++port.counts.port_to_tap;
    if (probes_.saw_in(first_bytes(mbuf), mbuf->pkt_len)) ++port.counts.probe_in;
}

unsigned ExceptionPath::drain_tap(PortId id, const ServiceIndex& index, Tick now) {
    PortState& port = ports_[weir::index(id)];
    unsigned moved = 0;
    for (; moved < frames_per_turn; ++moved) {
        if (spare_ == nullptr) spare_ = rte_pktmbuf_alloc(pool_);
        if (spare_ == nullptr) break;  // the kernel keeps its frames until there is one
        // One byte more than fits tells a frame that was cut.
        std::uint8_t more = 0;
        const std::size_t room = rte_pktmbuf_tailroom(spare_);
        std::array<iovec, 2> parts{{{rte_pktmbuf_mtod(spare_, void*), room}, {&more, 1}}};
        const ssize_t length = readv(port.setup.tap, parts.data(), parts.size());
        if (length <= 0) break;
        if (static_cast<std::size_t>(length) > room ||
            static_cast<std::size_t>(length) < ethernet_length) {
            ++port.counts.refused;
            continue;
        }
        to_port(id, static_cast<std::uint32_t>(length), index, now);
    }
    return moved;
}

void ExceptionPath::to_port(PortId id, std::uint32_t length, const ServiceIndex& index, Tick now) {
    PortState& port = ports_[weir::index(id)];
    rte_mbuf* mbuf = std::exchange(spare_, nullptr);
    mbuf->data_len = static_cast<std::uint16_t>(length);
    mbuf->pkt_len = length;
    if (probes_.saw_out(first_bytes(mbuf), length, index, now)) ++port.counts.probe_out;
    if (port.setup.vlan != 0) {
        mbuf->vlan_tci = port.setup.vlan;
        if (rte_vlan_insert(&mbuf) != 0) {  // a pool without headroom
            ++port.counts.refused;
            rte_pktmbuf_free(mbuf);
            return;
        }
        mbuf->tx_offload = 0;
    }
    ++port.counts.tap_to_port;
    tx_.push(id, mbuf);
}

}  // namespace weir
