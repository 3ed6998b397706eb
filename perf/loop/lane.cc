// SPDX-License-Identifier: BSD-3-Clause
#include "perf/loop/lane.hh"

#include <cstring>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "perf/loop/many_flows.hh"

namespace weir::loop {

void Lane::watch_turn(std::uint64_t begin) noexcept {
    const unsigned watch = made_.watch.load(std::memory_order_relaxed);
    if (watch != made_.watched) {  // the turn that is ending began before
        made_.watched = watch;
        made_.longest.set(0);
        return;
    }
    if (made_.last_end == 0) return;
    const std::uint64_t turn =
        begin - made_.last_end - (returned_.cycles.read() - made_.last_send_cycles);
    if (turn > made_.longest.read()) made_.longest.set(turn);
}

Result<void> Lane::set_far() {
    constexpr unsigned slots = 2048;
    auto ring = MbufRing::create("far", slots, SOCKET_ID_ANY);
    if (!ring) return ring.error();
    polled_.far = std::move(ring).value();
    return {};
}

void Lane::make_far() noexcept {
    std::array<rte_mbuf*, 32> packets;
    const unsigned room = polled_.far->size() - polled_.far->used();
    if (!made_.open.load(std::memory_order_relaxed) || room < packets.size()) return;
    const std::uint16_t count = make(packets.data(), packets.size());
    (void)polled_.far->enqueue({packets.data(), count});  // there is room
}

std::uint16_t Lane::receive(rte_mbuf** out, std::uint16_t wanted) noexcept {
    if (polled_.far != nullptr) return take_far(out, wanted);
    if (!made_.open.load(std::memory_order_relaxed)) return 0;
    const std::uint64_t begin = rte_rdtsc();
    watch_turn(begin);
    if (make(out, wanted) == 0) return 0;
    const std::uint64_t end = rte_rdtsc();
    if (made_.watched != 0) {  // else the sender's line stays where it is
        made_.last_send_cycles = returned_.cycles.read();
        made_.last_end = end;
    }
    polled_.cycles.add(end - begin);
    return wanted;
}

// Writes what a driver does: the lengths, to the mbuf.
std::uint16_t Lane::take_far(rte_mbuf** out, std::uint16_t wanted) noexcept {
    const std::uint64_t begin = rte_rdtsc();
    const auto count = static_cast<std::uint16_t>(polled_.far->dequeue({out, wanted}));
    if (count == 0) return 0;
    for (std::uint16_t i = 0; i < count; ++i)
        __builtin_prefetch(out[i], 1);
    const auto length = static_cast<std::uint16_t>(made_.frames->blank().size());
    for (std::uint16_t i = 0; i < count; ++i) {
        out[i]->data_len = length;
        out[i]->pkt_len = length;
    }
    polled_.cycles.add(rte_rdtsc() - begin);
    return count;
}

std::uint16_t Lane::make(rte_mbuf** out, std::uint16_t wanted) noexcept {
    if (rte_pktmbuf_alloc_bulk(made_.pool, out, wanted) != 0) return 0;
    const std::span<const std::uint8_t> blank = made_.frames->blank();
    const auto length = static_cast<std::uint16_t>(blank.size());
    for (std::uint16_t i = 0; i < wanted; ++i) {
        auto* const frame = rte_pktmbuf_mtod(out[i], std::uint8_t*);
        std::memcpy(frame, blank.data(), length);
        made_.frames->set_flow(frame, made_.flows[made_.next], made_.first_pass);
        if (made_.many != nullptr) made_.many->address(frame, made_.flows[made_.next]);
        out[i]->data_len = length;
        out[i]->pkt_len = length;
        if (++made_.next == made_.flows.size()) {
            made_.next = 0;
            made_.first_pass = false;
        }
    }
    made_.packets.add(wanted);
    return wanted;
}

std::uint16_t Lane::send(rte_mbuf** packets, std::uint16_t count) noexcept {
    const std::uint64_t begin = rte_rdtsc();
    for (std::uint16_t i = 0; i < count; ++i) {
        const std::span<std::uint8_t> frame(rte_pktmbuf_mtod(packets[i], std::uint8_t*),
                                            packets[i]->data_len);
        const gen::Verdict verdict = packets[i]->nb_segs != 1 ? gen::Verdict::length
                                     : returned_.many != nullptr
                                         ? returned_.many->judge(returned_.checker, frame)
                                         : returned_.checker.check(frame);
        returned_.verdicts[static_cast<std::size_t>(verdict)].add(1);
    }
    rte_pktmbuf_free_bulk(packets, count);
    returned_.packets.add(count);
    returned_.cycles.add(rte_rdtsc() - begin);
    return count;
}

Result<LanePort> LanePort::open(std::uint16_t queues, const MbufPools& pools) {
    PortOptions options;
    options.name = "lane0";
    options.device = "net_null0";
    options.rx_queues = options.tx_queues = queues;
    auto opened = Port::open(options, pools);
    if (!opened) return opened.error();
    if (opened.value().rx_queues() < queues || opened.value().tx_queues() < queues)
        return Error{"net_null0 has too few queues"};
    LanePort port(std::move(opened).value());
    if (auto started = port.port_.start(); !started) return started.error();
    // net_null is there for its configuration alone. Its two functions and the queues that they get
    // are replaced where rte_eth_rx_burst() looks for them.
    auto& operations = rte_eth_fp_ops[port.device()];
    operations.rx_pkt_burst = [](void* lane, rte_mbuf** out, std::uint16_t wanted) {
        return static_cast<Lane*>(lane)->receive(out, wanted);
    };
    operations.tx_pkt_burst = [](void* lane, rte_mbuf** packets, std::uint16_t count) {
        return static_cast<Lane*>(lane)->send(packets, count);
    };
    operations.rxq.data = port.queues_->data();
    operations.txq.data = port.queues_->data();
    return port;
}

void LanePort::attach(std::span<const std::unique_ptr<Lane>> lanes) noexcept {
    for (std::size_t i = 0; i < lanes.size(); ++i)
        (*queues_)[i] = lanes[i].get();
}

}  // namespace weir::loop
