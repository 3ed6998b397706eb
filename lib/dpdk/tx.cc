// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dpdk/tx.hh"

#include <algorithm>

#include <rte_ethdev.h>

namespace weir {
namespace {

// A queue that is full now has room again after a burst's time if its NIC is alive; more tries only
// delay the packets behind (they cost a doorbell or a system call each on virtual ports).
constexpr int tx_retries = 2;

// In rte_mbuf::port, which nobody asks for from here on: a frame of inject() on its way to another
// lcore, whose ring it shares with frames that were received.
constexpr std::uint16_t injected_mark = RTE_MBUF_PORT_INVALID - 1;

bool is_injected(const rte_mbuf* mbuf) noexcept {
    return mbuf->port == injected_mark;
}

}  // namespace

TxStage::TxStage(std::vector<PortSetup> ports, LcoreCounters& counters, bool control)
    : ports_(ports.size()), counters_(counters), control_(control) {
    for (std::size_t i = 0; i < ports.size(); ++i)
        ports_[i].setup = std::move(ports[i]);
}

TxStage::~TxStage() {
    for (PortState& port : ports_)
        rte_pktmbuf_free_bulk(port.waiting.data(), port.count);
}

void TxStage::push(PortId port_id, rte_mbuf* mbuf) noexcept {
    PortState& port = ports_[index(port_id)];
    port.waiting[port.count++] = mbuf;
    if (port.count == port.waiting.size()) send_waiting(port);
}

void TxStage::flush() noexcept {
    for (PortState& port : ports_)
        if (port.count != 0) send_waiting(port);
}

void TxStage::send_waiting(PortState& port) noexcept {
    const std::span<rte_mbuf*> frames{port.waiting.data(), port.count};
    port.count = 0;
    send_now(port, frames);
}

void TxStage::send(PortId port_id, std::span<rte_mbuf*> frames) noexcept {
    PortState& port = ports_[index(port_id)];
    if (port.count != 0) send_waiting(port);
    send_now(port, frames);
}

void TxStage::send_now(PortState& port, std::span<rte_mbuf*> frames) noexcept {
    if (port.setup.owner) {
        give_to_nic(port, frames, control_);
        return;
    }
    pass_on(port, frames, control_);
}

void TxStage::inject(PortId port_id, rte_mbuf* mbuf) noexcept {
    PortState& port = ports_[index(port_id)];
    if (port.setup.owner) {
        give_to_nic(port, {&mbuf, 1}, true);
        return;
    }
    mbuf->port = injected_mark;
    pass_on(port, {&mbuf, 1}, true);
}

void TxStage::pass_on(PortState& port, std::span<rte_mbuf*> frames, bool of_control) noexcept {
    const unsigned taken = port.setup.to_owner->enqueue(frames);
    drop_full(port, frames.subspan(taken), of_control);
}

unsigned TxStage::drain() noexcept {
    unsigned total = 0;
    std::array<rte_mbuf*, max_burst> frames;
    for (PortState& port : ports_) {
        for (const Inbound& inbound : port.setup.inbound) {
            const unsigned count = inbound.ring->dequeue(frames);
            if (count == 0) continue;
            total += count;
            const std::span<rte_mbuf*> taken{frames.data(), count};
            if (inbound.from_control || std::ranges::none_of(taken, is_injected)) [[likely]]
                give_to_nic(port, taken, inbound.from_control);
            else
                give_each(port, taken);
        }
    }
    return total;
}

void TxStage::give_each(PortState& port, std::span<rte_mbuf*> frames) noexcept {
    for (rte_mbuf*& frame : frames)
        give_to_nic(port, {&frame, 1}, is_injected(frame));
}

void TxStage::give_to_nic(PortState& port, std::span<rte_mbuf*> frames, bool of_control) noexcept {
    unsigned sent = 0;
    for (int attempt = 0; attempt <= tx_retries && sent < frames.size(); ++attempt)
        sent += rte_eth_tx_burst(port.setup.device, port.setup.queue, frames.data() + sent,
                                 static_cast<std::uint16_t>(frames.size() - sent));
    (of_control ? counters_.injected : counters_.sent).add(sent);
    drop_full(port, frames.subspan(sent), of_control);
}

void TxStage::drop_full(PortState& port, std::span<rte_mbuf*> frames, bool of_control) noexcept {
    if (frames.empty()) return;
    port.full.add(frames.size());
    if (!of_control) {
        counters_.dropped[static_cast<std::size_t>(DropReason::tx_full)].add(frames.size());
    }
    rte_pktmbuf_free_bulk(frames.data(), static_cast<unsigned>(frames.size()));
}

}  // namespace weir
