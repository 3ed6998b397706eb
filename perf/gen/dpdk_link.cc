// SPDX-License-Identifier: BSD-3-Clause
#include "perf/gen/dpdk_link.hh"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

namespace weir::gen {

namespace {

constexpr std::uint32_t receive_buffers = 4096, send_buffers = 2048, cache = 256;

}  // namespace

Result<std::unique_ptr<Link>> DpdkLink::open(const std::string& device, std::uint16_t room) {
    std::unique_ptr<DpdkLink> link(new DpdkLink);
    PoolOptions pools;
    pools.mbufs = receive_buffers;
    pools.control_mbufs = 64;
    pools.room = room;
    pools.prefix = "gen";
    auto created = MbufPools::create(pools);
    if (!created) return created.error();
    link->pools_ = std::move(created).value();
    PortOptions port;
    port.name = "generator";
    port.device = device;
    auto opened = Port::open(port, *link->pools_);
    if (!opened) return opened.error();
    link->port_ = std::move(opened).value();
    link->id_ = link->port_->id();
    return std::unique_ptr<Link>(std::move(link));
}

DpdkLink::~DpdkLink() {
    port_.reset();
    rte_mempool_free(filled_);
}

Result<void> DpdkLink::fill(Frame frame) {
    length_ = static_cast<std::uint16_t>(frame.size());
    const auto room =
        static_cast<std::uint16_t>(std::max<std::size_t>(frame.size(), 256) + RTE_PKTMBUF_HEADROOM);
    filled_ = rte_pktmbuf_pool_create("gen_filled", send_buffers - 1, cache, 0, room,
                                      static_cast<int>(port_->node()));
    if (filled_ == nullptr) return Error{"no memory for the packets to send"};
    rte_mempool_obj_iter(
        filled_,
        [](rte_mempool*, void* argument, void* object, unsigned) {
            const auto& bytes = *static_cast<const Frame*>(argument);
            auto* packet = static_cast<rte_mbuf*>(object);
            std::memcpy(static_cast<char*>(packet->buf_addr) + RTE_PKTMBUF_HEADROOM, bytes.data(),
                        bytes.size());
        },
        &frame);
    return {};
}

Result<void> DpdkLink::start(double wait_seconds) {
    if (auto started = port_->start(); !started) return started;
    for (double waited = 0; !port_->link_up(); waited += 0.01) {
        if (waited >= wait_seconds)
            return Error{
                fmt::format("the link did not come up within {} s: does the other end run "
                            "with role=server and the same socket?",
                            wait_seconds)};
        rte_delay_us_sleep(10'000);
    }
    rte_delay_us_sleep(50'000);  // the peer may still be mapping the rings
    return {};
}

unsigned DpdkLink::claim(std::span<std::uint8_t*> out) noexcept {
    const auto count = static_cast<unsigned>(out.size());
    if (rte_pktmbuf_alloc_bulk(filled_, out_.data(), count) != 0)
        return 0;  // all still with the device
    for (unsigned i = 0; i < count; ++i) {
        out_[i]->data_len = length_, out_[i]->pkt_len = length_;
        out[i] = rte_pktmbuf_mtod(out_[i], std::uint8_t*);
    }
    claimed_ = count;
    return count;
}

unsigned DpdkLink::send(unsigned count) noexcept {
    const unsigned taken = rte_eth_tx_burst(id_, 0, out_.data(), static_cast<std::uint16_t>(count));
    rte_pktmbuf_free_bulk(out_.data() + taken, claimed_ - taken);
    claimed_ = 0;
    return taken;
}

unsigned DpdkLink::receive(std::span<Frame> out) noexcept {
    received_ = rte_eth_rx_burst(id_, 0, in_.data(), static_cast<std::uint16_t>(out.size()));
    for (unsigned i = 0; i < received_; ++i)
        out[i] = in_[i]->nb_segs == 1
                     ? Frame(rte_pktmbuf_mtod(in_[i], const std::uint8_t*), in_[i]->data_len)
                     : Frame{};
    return received_;
}

void DpdkLink::release() noexcept {
    if (received_ != 0) rte_pktmbuf_free_bulk(in_.data(), received_);
    received_ = 0;
}

}  // namespace weir::gen
