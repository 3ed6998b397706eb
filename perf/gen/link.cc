// SPDX-License-Identifier: BSD-3-Clause
#include "perf/gen/link.hh"

#include <algorithm>
#include <cstring>
#include <string_view>

#include <fmt/format.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <unistd.h>

#include "lib/dpdk/eal.hh"

namespace weir::gen {

namespace {

constexpr std::uint64_t memory_bytes = std::uint64_t{128} << 20;
constexpr std::uint32_t receive_buffers = 4096, send_buffers = 2048, cache = 256;
constexpr std::uint16_t most_room = 9344;

EalOptions eal_options(const Options& options) {
    EalOptions eal;
    const bool huge = options.memory == "in-memory" ||
                      (options.memory == "auto" && free_hugepage_bytes() >= memory_bytes);
    eal.memory = huge ? EalOptions::Memory::in_memory : EalOptions::Memory::no_huge;
    eal.memory_bytes = memory_bytes;
    eal.lcores = fmt::format("0@{}", options.cpu);
    eal.file_prefix = fmt::format("weir-gen-{}", getpid());
    eal.devices = {options.device};
    eal.extra = options.eal;
    eal.extra.insert(eal.extra.begin(), {"--no-telemetry"});
    return eal;
}

}  // namespace

Result<Link> Link::open(const Options& given) {
    Options options = given;
    if (options.device.empty())
        options.device = fmt::format("net_memif0,role=client,id=0,socket={}", options.socket);
    if (auto started = eal_init(eal_arguments(eal_options(options))); !started)
        return started.error();
    Link link;
    PoolOptions pools;
    pools.mbufs = receive_buffers;
    pools.control_mbufs = 64;
    pools.room = std::max<std::uint16_t>(
        2176, static_cast<std::uint16_t>(std::min<unsigned>(most_room, options.size + 256u)));
    pools.prefix = "gen";
    auto created = MbufPools::create(pools);
    if (!created) return created.error();
    link.pools_ = std::move(created).value();
    PortOptions port;
    port.name = "generator";
    port.device = options.device;
    auto opened = Port::open(port, *link.pools_);
    if (!opened) return opened.error();
    link.port_ = std::move(opened).value();
    link.id_ = link.port_->id();
    return link;
}

Result<void> Link::fill(std::span<const std::uint8_t> frame) {
    length_ = static_cast<std::uint16_t>(frame.size());
    const auto room =
        static_cast<std::uint16_t>(std::max<std::size_t>(frame.size(), 256) + RTE_PKTMBUF_HEADROOM);
    filled_ = rte_pktmbuf_pool_create("gen_filled", send_buffers - 1, cache, 0, room,
                                      static_cast<int>(port_->node()));
    if (filled_ == nullptr) return Error{"no memory for the packets to send"};
    struct Filling {
        std::span<const std::uint8_t> frame;
    } filling{frame};
    rte_mempool_obj_iter(
        filled_,
        [](rte_mempool*, void* argument, void* object, unsigned) {
            const auto& bytes = static_cast<Filling*>(argument)->frame;
            auto* packet = static_cast<rte_mbuf*>(object);
            std::memcpy(static_cast<char*>(packet->buf_addr) + RTE_PKTMBUF_HEADROOM, bytes.data(),
                        bytes.size());
        },
        &filling);
    return {};
}

Result<void> Link::start(double wait_seconds) {
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

void Link::close() {
    port_.reset();
    rte_mempool_free(filled_);
    filled_ = nullptr;
    pools_.reset();
    eal_cleanup();
}

bool Link::allocate(std::span<rte_mbuf*> out) noexcept {
    if (rte_pktmbuf_alloc_bulk(filled_, out.data(), static_cast<unsigned>(out.size())) != 0)
        return false;
    for (rte_mbuf* packet : out)
        packet->data_len = length_, packet->pkt_len = length_;
    return true;
}

std::uint16_t Link::send(std::span<rte_mbuf*> packets) noexcept {
    return rte_eth_tx_burst(id_, 0, packets.data(), static_cast<std::uint16_t>(packets.size()));
}

std::uint16_t Link::receive(std::span<rte_mbuf*> packets) noexcept {
    return rte_eth_rx_burst(id_, 0, packets.data(), static_cast<std::uint16_t>(packets.size()));
}

}  // namespace weir::gen
