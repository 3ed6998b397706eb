// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dpdk/engine_builder.hh"

#include <algorithm>
#include <new>

#include <fmt/format.h>

#include "lib/dataplane/verdict.hh"
#include "lib/dpdk/mbuf_ports.hh"

namespace weir {
namespace {

constexpr std::size_t align_up(std::size_t bytes) noexcept {
    return (bytes + 63) & ~std::size_t{63};
}

}  // namespace

Engine::Builder::Builder(const EngineSetup& setup) : setup_(setup) {
    for (const LcorePlan& plan : setup.lcores) {
        if (plan.worker >= 0) ++workers_;
        if (plan.rx >= 0) ++pollers_;
    }
    direct_ = pollers_ == 0;
    if (direct_) pollers_ = workers_;
}

Result<std::unique_ptr<Engine>> Engine::Builder::build() {
    for (const auto step :
         {&Builder::place_lcores, &Builder::make_handover_rings, &Builder::make_fragment_rings,
          &Builder::make_punt_rings, &Builder::make_tx_rings}) {
        if (Result<void> done = (this->*step)(); !done) return done.error();
    }
    for (const auto& lcore : engine_->lcores_) {
        if (poller_of(lcore->plan) >= 0) equip_poller(*lcore);
        if (lcore->plan.worker >= 0) equip_worker(*lcore);
    }
    equip_control();
    return std::move(engine_);
}

Result<void> Engine::Builder::check() const {
    if (workers_ == 0) return Error{"no worker lcore: name one in [system] worker_lcores"};
    if (setup_.ports.empty()) return Error{"no port: add a [[port]]"};
    for (const EnginePort& port : setup_.ports) {
        if (port.rx_queues == 0 || port.tx_queues == 0)
            return Error{fmt::format("port {} has no RX or no TX queue", port.name)};
    }
    if (FlowTable::footprint(setup_.flow_sizes) == 0)
        return Error{fmt::format("[conntrack] entries_per_worker = {} is out of range (1 .. 2^28)",
                                 setup_.flow_sizes.narrow)};
    return {};
}

// Memory and an empty loop for each lcore, on its NUMA node.
Result<void> Engine::Builder::place_lcores() {
    if (Result<void> sound = check(); !sound) return sound;
    engine_.reset(new Engine(static_cast<unsigned>(setup_.lcores.size())));
    engine_->port_count_ = setup_.ports.size();
    unsigned reader = 0;
    for (const LcorePlan& plan : setup_.lcores) {
        if (plan.rx < 0 && plan.worker < 0) continue;  // control
        auto lcore = std::make_unique<Lcore>();
        lcore->plan = plan;
        lcore->node = node_of_cpu(plan.cpu);
        const bool works = plan.worker >= 0;
        const std::size_t traffic_at = align_up(sizeof(LcoreLoop));
        const std::size_t bytes = traffic_at + (works ? sizeof(WorkerTraffic) : 0);
        const int node = static_cast<int>(lcore->node);
        auto memory = NumaRegion::allocate(bytes, node, false);
        if (!memory) return memory.error();
        lcore->memory = std::move(memory).value();
        lcore->loop = new (lcore->memory.data())
            LcoreLoop(engine_->publisher_, reader++, engine_->clock_, engine_->stop_);
        lcore->loop->set_idle(setup_.idle);
        if (works) {
            auto region =
                NumaRegion::allocate(FlowTable::footprint(setup_.flow_sizes), node, setup_.hugetlb);
            if (!region) return region.error();
            lcore->flow_memory = std::move(region).value();
            lcore->flows.emplace(lcore->flow_memory.bytes(), setup_.flow_sizes, setup_.secret);
            if (auto done = place_nat(*lcore); !done) return done;
            lcore->traffic = new (lcore->memory.data() + traffic_at) WorkerTraffic;
        }
        engine_->lcores_.push_back(std::move(lcore));
    }
    return {};
}

Result<void> Engine::Builder::place_nat(Lcore& lcore) {
    const NatTable::Size size{setup_.nat_addresses, static_cast<std::uint32_t>(lcore.plan.worker),
                              workers_};
    if (size.addresses == 0) return {};
    auto region = NumaRegion::allocate(NatTable::footprint(size), static_cast<int>(lcore.node),
                                       setup_.hugetlb);
    if (!region) return region.error();
    lcore.nat_memory = std::move(region).value();
    lcore.nat.emplace(lcore.nat_memory.bytes(), size, setup_.secret);
    return {};
}

Result<MbufRing*> Engine::Builder::make_ring(std::string label, unsigned slots, unsigned node) {
    auto ring = MbufRing::create(std::move(label), slots, static_cast<int>(node));
    if (!ring) return ring.error();
    engine_->rings_.push_back(std::move(ring).value());
    return engine_->rings_.back().get();
}

Result<void> Engine::Builder::make_handover_rings() {
    handover_.assign(pollers_, std::vector<MbufRing*>(workers_, nullptr));
    for (unsigned poller = 0; poller < pollers_; ++poller) {
        if (queues_of(poller).empty()) continue;
        for (unsigned worker = 0; worker < workers_; ++worker) {
            if (direct_ && worker == poller) continue;
            auto ring =
                make_ring(fmt::format("{}{}-worker{}", direct_ ? "worker" : "rx", poller, worker),
                          setup_.handover_slots, node_of_worker(worker));
            if (!ring) return ring.error();
            handover_[poller][worker] = ring.value();
        }
    }
    return {};
}

Result<void> Engine::Builder::make_fragment_rings() {
    if (workers_ == 1) return {};
    if (Result<void> reserved = reserve_mbuf_ports(); !reserved) return reserved;
    fragments_.assign(workers_, std::vector<MbufRing*>(workers_, nullptr));
    for (unsigned from = 0; from < workers_; ++from) {
        for (unsigned to = 0; to < workers_; ++to) {
            if (from == to) continue;
            auto ring = make_ring(fmt::format("worker{}-fragments-worker{}", from, to),
                                  fragment_ring_slots, node_of_worker(to));
            if (!ring) return ring.error();
            fragments_[from][to] = ring.value();
        }
    }
    return {};
}

Result<void> Engine::Builder::make_punt_rings() {
    punt_.resize(workers_);
    for (unsigned worker = 0; worker < workers_; ++worker) {
        for (std::size_t i = 0; i < punt_class_count; ++i) {
            auto ring = make_ring(fmt::format("worker{}-punt-{}", worker, punt_class_names[i]),
                                  setup_.punt_slots, node_of_worker(worker));
            if (!ring) return ring.error();
            punt_[worker][i] = ring.value();
        }
    }
    return {};
}

Result<void> Engine::Builder::make_tx_rings() {
    to_owner_.assign(workers_ + 1, std::vector<MbufRing*>(setup_.ports.size(), nullptr));
    for (unsigned sender = 0; sender <= workers_; ++sender) {
        const std::string name = sender == workers_ ? "control" : fmt::format("worker{}", sender);
        for (std::size_t port = 0; port < setup_.ports.size(); ++port) {
            const TxRoute route = tx_route(sender, workers_, setup_.ports[port].tx_queues);
            if (route.owner) continue;
            auto ring = make_ring(fmt::format("{}-tx-{}", name, setup_.ports[port].name),
                                  setup_.tx_slots, node_of_worker(route.via));
            if (!ring) return ring.error();
            to_owner_[sender][port] = ring.value();
        }
    }
    return {};
}

std::vector<RxQueue> Engine::Builder::queues_of(unsigned poller) const {
    std::vector<RxQueue> queues;
    for (std::size_t port = 0; port < setup_.ports.size(); ++port)
        for (unsigned queue = poller; queue < setup_.ports[port].rx_queues; queue += pollers_)
            queues.push_back({setup_.ports[port].device, static_cast<std::uint16_t>(queue),
                              PortId{static_cast<std::uint8_t>(port)}});
    return queues;
}

unsigned Engine::Builder::node_of_worker(unsigned worker) const {
    for (const auto& lcore : engine_->lcores_)
        if (lcore->plan.worker == static_cast<int>(worker)) return lcore->node;
    return 0;
}

void Engine::Builder::equip_poller(Lcore& lcore) {
    const auto poller = static_cast<unsigned>(poller_of(lcore.plan));
    RxStep::Setup rx;
    rx.queues = queues_of(poller);
    lcore.polls = !rx.queues.empty();
    if (!lcore.polls) return;  // fed by its peers, or idle
    rx.owners = handover_[poller];
    rx.self = direct_ ? lcore.plan.worker : -1;
    rx.secret = setup_.secret;
    rx.pool = setup_.pool_on(lcore.node);
    lcore.loop->set_rx(std::move(rx));
}

void Engine::Builder::equip_worker(Lcore& lcore) {
    const auto worker = static_cast<unsigned>(lcore.plan.worker);
    WorkerStep::Setup step;
    for (unsigned poller = 0; poller < pollers_; ++poller)
        if (handover_[poller][worker] != nullptr) step.inputs.push_back(handover_[poller][worker]);
    if (workers_ > 1) {
        step.fragments_out = fragments_[worker];
        for (const std::vector<MbufRing*>& from : fragments_)
            step.fragments_in.push_back(from[worker]);
    }
    step.place = {setup_.secret, static_cast<std::uint8_t>(worker),
                  static_cast<std::uint8_t>(workers_)};
    step.punt_rings = punt_[worker];
    step.flows = &*lcore.flows;
    if (lcore.nat) step.nat = &*lcore.nat;
    step.traffic = lcore.traffic;
    step.pool = setup_.pool_on(lcore.node);
    lcore.loop->set_worker(tx_ports(worker), step);
}

std::vector<TxStage::PortSetup> Engine::Builder::tx_ports(unsigned sender) const {
    std::vector<TxStage::PortSetup> result;
    for (std::size_t i = 0; i < setup_.ports.size(); ++i) {
        const EnginePort& port = setup_.ports[i];
        const TxRoute route = tx_route(sender, workers_, port.tx_queues);
        TxStage::PortSetup tx;
        tx.device = port.device;
        tx.owner = route.owner;
        tx.queue = static_cast<std::uint16_t>(route.queue);
        tx.to_owner = to_owner_[sender][i];
        for (unsigned other = 0; other <= workers_; ++other) {
            const TxRoute theirs = tx_route(other, workers_, port.tx_queues);
            if (!theirs.owner && theirs.via == sender)
                tx.inbound.push_back({to_owner_[other][i], other == workers_});
        }
        result.push_back(std::move(tx));
    }
    return result;
}

void Engine::Builder::equip_control() {
    engine_->control_tx_ =
        std::make_unique<TxStage>(tx_ports(workers_), engine_->control_counters_, true);
    ExceptionPath::Setup path;
    for (const EnginePort& port : setup_.ports)
        path.ports.push_back({port.tap, port.vlan});
    path.punt_rings = punt_;
    path.pool = setup_.control_pool;
    path.tx = engine_->control_tx_.get();
    engine_->exception_path_ = std::make_unique<ExceptionPath>(std::move(path));
}

}  // namespace weir
