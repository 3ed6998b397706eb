// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/dpdk/loops_support.hh"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include <fmt/format.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <sys/socket.h>
#include <unistd.h>

namespace weir::test {
namespace {

void require(bool holds, const char* what) {
    if (!holds) throw std::runtime_error(what);
}

std::string unique(const char* what) {
    static unsigned next = 0;
    return fmt::format("{}{}", what, next++);
}

}  // namespace

void need_eal() {
    static const bool started = [] {
        std::vector<std::string> words{"unit_dpdk_loops",
                                       "--no-huge",
                                       "--no-pci",
                                       "-m",
                                       "256",
                                       "--no-telemetry",
                                       "--lcores=(0-3)@(0-1)",
                                       "--main-lcore=0",
                                       "--log-level=lib.*:error",
                                       fmt::format("--file-prefix=loopsunit{}", getpid())};
        std::vector<char*> arguments;
        for (std::string& word : words)
            arguments.push_back(word.data());
        const bool ok = rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) >= 0;
        if (ok) {
            std::atexit([] {
                const std::string directory = rte_eal_get_runtime_dir();
                rte_eal_cleanup();
                std::error_code none;
                std::filesystem::remove_all(directory, none);
            });
        }
        return ok;
    }();
    require(started, "EAL does not start");
}

Pool::Pool(unsigned mbufs, std::uint16_t room) {
    need_eal();
    pool = rte_pktmbuf_pool_create(unique("pool").c_str(), mbufs, 0, 0, room, SOCKET_ID_ANY);
    require(pool != nullptr, "no mbuf pool");
}

Pool::~Pool() {
    rte_mempool_free(pool);
}

rte_mbuf* Pool::make(const Bytes& frame) const {
    rte_mbuf* mbuf = rte_pktmbuf_alloc(pool);
    require(mbuf != nullptr, "no mbuf");
    char* data = rte_pktmbuf_append(mbuf, static_cast<std::uint16_t>(frame.size()));
    require(data != nullptr, "the frame does not fit");
    std::copy(frame.begin(), frame.end(), reinterpret_cast<std::uint8_t*>(data));
    return mbuf;
}

rte_mbuf* Pool::make_chain(const std::vector<Bytes>& segments) const {
    rte_mbuf* head = make(segments.front());
    for (std::size_t i = 1; i < segments.size(); ++i)
        require(rte_pktmbuf_chain(head, make(segments[i])) == 0, "the chain is too long");
    return head;
}

unsigned Pool::in_use() const {
    return rte_mempool_in_use_count(pool);
}

Bytes bytes_of(const rte_mbuf* mbuf) {
    Bytes bytes;
    for (; mbuf != nullptr; mbuf = mbuf->next) {
        const auto* data = rte_pktmbuf_mtod(mbuf, const std::uint8_t*);
        bytes.insert(bytes.end(), data, data + mbuf->data_len);
    }
    return bytes;
}

RingPort::RingPort(unsigned rx_queues, unsigned tx_queues, rte_mempool* pool, unsigned slots) {
    need_eal();
    const auto ring = [slots] {
        rte_ring* made = rte_ring_create(unique("nic").c_str(), slots, SOCKET_ID_ANY, 0);
        require(made != nullptr, "no ring");
        return made;
    };
    for (unsigned i = 0; i < rx_queues; ++i)
        rx.push_back(ring());
    for (unsigned i = 0; i < tx_queues; ++i)
        tx.push_back(ring());
    const int made =
        rte_eth_from_rings(unique("port").c_str(), rx.data(), rx_queues, tx.data(), tx_queues, 0);
    require(made >= 0, "no port of rings");
    device = static_cast<std::uint16_t>(made);
    const rte_eth_conf configuration{};
    require(rte_eth_dev_configure(device, static_cast<std::uint16_t>(rx_queues),
                                  static_cast<std::uint16_t>(tx_queues), &configuration) == 0,
            "port not configured");
    for (unsigned i = 0; i < rx_queues; ++i)
        require(rte_eth_rx_queue_setup(device, static_cast<std::uint16_t>(i), 512, 0, nullptr,
                                       pool) == 0,
                "no RX queue");
    for (unsigned i = 0; i < tx_queues; ++i)
        require(rte_eth_tx_queue_setup(device, static_cast<std::uint16_t>(i), 512, 0, nullptr) == 0,
                "no TX queue");
    require(rte_eth_dev_start(device) == 0, "port not started");
}

RingPort::~RingPort() {
    rte_eth_dev_stop(device);
    rte_eth_dev_close(device);
    for (auto* rings : {&rx, &tx}) {
        for (rte_ring* ring : *rings) {
            void* mbuf = nullptr;
            while (rte_ring_dequeue(ring, &mbuf) == 0)
                rte_pktmbuf_free(static_cast<rte_mbuf*>(mbuf));
            rte_ring_free(ring);
        }
    }
}

bool RingPort::put(unsigned queue, rte_mbuf* mbuf) {
    return rte_ring_enqueue(rx[queue], mbuf) == 0;
}

rte_mbuf* RingPort::take(unsigned queue) {
    void* mbuf = nullptr;
    return rte_ring_dequeue(tx[queue], &mbuf) == 0 ? static_cast<rte_mbuf*>(mbuf) : nullptr;
}

unsigned RingPort::waiting(unsigned queue) const {
    return rte_ring_count(rx[queue]);
}

std::unique_ptr<const Tables> make_tables(std::uint16_t lan_vlan) {
    auto tables = std::make_unique<Tables>();
    auto service = std::make_shared<ServiceTable>();
    service->id = ServiceId{3};
    service->key = {*parse_ip("203.0.113.10"), ServiceProtocol::tcp, 80, 80};
    tables->ports = {{.mac = {wan_mac}, .vlan = 0, .mtu = 1500, .has_tap = true},
                     {.mac = {lan_mac}, .vlan = lan_vlan, .mtu = 1500, .has_tap = true}};
    for (std::uint32_t i = 0; i < 3; ++i) {
        BackendEntry entry;
        entry.id = BackendId{100 + i};
        entry.next_hop = NextHopId{i};
        entry.service = service->id;
        entry.keeps_flows = true;
        service->seats.push_back(entry);
        const MacAddress mac{{2, 0, 0, 0, 1, static_cast<std::uint8_t>(11 + i)}};
        tables->next_hops.push_back(make_next_hop(PortId{1}, tables->ports[1], &mac));
    }
    service->live.assign(3, true);
    for (std::size_t slot = 0; slot < 251; ++slot)
        service->slots.push_back(static_cast<Seat>(slot % 3));
    tables->backends.assign(200, nullptr);
    for (const BackendEntry& entry : service->seats)
        tables->backends[index(entry.id)] = &entry;
    tables->services = {service};
    const ServiceTable* pointer = service.get();
    const std::array own{*parse_ip("198.51.100.5"), *parse_ip("10.0.0.5")};
    const std::array probed{ProbeTarget{*parse_ip("10.0.0.11"), 8080}};
    tables->index = ServiceIndex::build({&pointer, 1}, own, probed);
    tables->hash_seed = 7;
    tables->version = 1;
    return tables;
}

Rig::Rig(const RigOptions& options) : pool(options.mbufs), tables(make_tables(options.lan_vlan)) {
    EngineSetup setup;
    for (unsigned i = 0; i < 2; ++i) {
        ports.push_back(std::make_unique<RingPort>(options.rx_queues, options.tx_queues, pool.pool,
                                                   options.nic_slots));
        require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, taps_[i].data()) == 0,
                "no socket pair");
        EnginePort port;
        port.name = i == 0 ? "wan0" : "lan0";
        port.device = ports[i]->device;
        port.rx_queues = static_cast<std::uint16_t>(options.rx_queues);
        port.tx_queues = static_cast<std::uint16_t>(options.tx_queues);
        port.vlan = i == 0 ? std::uint16_t{0} : options.lan_vlan;
        port.tap = taps_[i][0];
        setup.ports.push_back(port);
    }
    setup.lcores.push_back({.lcore = 0, .cpu = 0, .control = true});
    unsigned lcore = 1;
    for (unsigned i = 0; i < options.rx_lcores; ++i)
        setup.lcores.push_back({.lcore = lcore++, .cpu = 0, .rx = static_cast<int>(i)});
    for (unsigned i = 0; i < options.workers; ++i) {
        if (i == 0 && options.shared_cpu)
            setup.lcores[1].worker = 0;
        else
            setup.lcores.push_back({.lcore = lcore++, .cpu = 0, .worker = static_cast<int>(i)});
    }
    setup.flow_sizes = options.flow_entries;
    setup.secret = {{11, 22, 33, 44}};
    setup.pool_on = [this](unsigned) { return pool.pool; };
    setup.control_pool = pool.pool;
    setup.idle = options.idle;
    setup.hugetlb = false;
    setup.handover_slots = options.handover_slots;
    setup.punt_slots = options.punt_slots;
    setup.tx_slots = options.tx_slots;
    auto made = Engine::create(std::move(setup));
    require(made.ok(), made.ok() ? "" : made.error().message.c_str());
    engine = std::move(made).value();
}

Rig::~Rig() {
    engine.reset();
    ports.clear();
    for (const auto& pair : taps_)
        for (const int end : pair)
            close(end);
}

void Rig::receive(unsigned port, const Bytes& frame, unsigned queue) {
    require(ports[port]->put(queue, pool.make(frame)), "the NIC's queue is full");
}

bool Rig::turn_lcores() {
    bool busy = false;
    for (const auto& lcore : engine->lcores())
        if (lcore->loop->turn(*tables, now)) busy = true;
    return busy;
}

void Rig::settle() {
    for (bool busy = true; busy;) {
        busy = turn_lcores();
        if (engine->exception_path().run(*tables, now) != 0) busy = true;
    }
}

std::vector<Rig::Sent> Rig::sent() {
    std::vector<Sent> frames;
    for (unsigned port = 0; port < ports.size(); ++port) {
        for (unsigned queue = 0; queue < ports[port]->tx.size(); ++queue) {
            while (rte_mbuf* mbuf = ports[port]->take(queue)) {
                frames.push_back({port, queue, bytes_of(mbuf)});
                rte_pktmbuf_free(mbuf);
            }
        }
    }
    return frames;
}

std::vector<Bytes> Rig::kernel_got(unsigned port) {
    std::vector<Bytes> frames;
    Bytes buffer(65536);
    for (;;) {
        const ssize_t length = read(taps_[port][1], buffer.data(), buffer.size());
        if (length <= 0) return frames;
        frames.emplace_back(buffer.begin(), buffer.begin() + length);
    }
}

bool Rig::kernel_sends(unsigned port, const Bytes& frame) {
    return write(taps_[port][1], frame.data(), frame.size()) == static_cast<ssize_t>(frame.size());
}

Rig::Sums Rig::sums() const {
    Sums sums;
    const auto add = [&sums](const LcoreCounters& counters) {
        sums.received += counters.received.read();
        sums.sent += counters.sent.read();
        sums.injected += counters.injected.read();
        sums.fragmented += counters.fragmented.read();
        sums.handed_over += counters.handed_over.read();
        sums.handed_in += counters.handed_in.read();
        for (std::size_t i = 0; i < punt_class_count; ++i) {
            sums.punted += counters.punted[i].read();
            sums.punted_by_class[i] += counters.punted[i].read();
        }
        for (std::size_t i = 0; i < drop_reason_count; ++i) {
            sums.dropped += counters.dropped[i].read();
            sums.dropped_by_reason[i] += counters.dropped[i].read();
        }
        for (std::size_t i = 0; i < icmp_error_type_count; ++i)
            sums.icmp_errors_sent[i] += counters.icmp_errors_sent[i].read();
    };
    for (const auto& lcore : engine->lcores())
        add(lcore->loop->counters());
    add(engine->control_counters());
    return sums;
}

Bytes client_frame(std::uint16_t source_port, std::uint8_t flags, const std::string& source) {
    return Ethernet{.destination = "02:00:00:00:00:05", .source = "02:00:00:00:00:c1"} /
           (Ip4{.source = source, .destination = "203.0.113.10"} /
            (Tcp{.source = source_port, .flags = flags} / filled(10)));
}

Bytes arp_frame() {
    return Ethernet{
               .destination = "ff:ff:ff:ff:ff:ff", .source = "02:00:00:00:00:c1", .type = 0x0806} /
           filled(28);
}

Bytes ping_frame(const std::string& to) {
    return Ethernet{.destination = "02:00:00:00:00:05", .source = "02:00:00:00:00:c1"} /
           (Ip4{.destination = to, .protocol = 1} / icmp(8, 0, filled(20)));
}

}  // namespace weir::test
