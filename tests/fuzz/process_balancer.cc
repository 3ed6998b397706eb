// SPDX-License-Identifier: BSD-3-Clause
#include "tests/fuzz/process_balancer.hh"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <new>

#include "lib/dataplane/fragments.hh"
#include "lib/dataplane/steer.hh"
#include "tests/fuzz/require.hh"

namespace weir::fuzz {

namespace {

constexpr HashSecret table_secret{{11, 22, 33, 44}}, steer_secret{{5, 6, 7, 8}};

NatTable::Size nat_size_of(const WorkerPlace& place) {
    return {pool_addresses_at_most, place.worker, nat_workers};
}

// Of two workers with lanes and their twins without.
std::size_t place_of(const WorkerPlace& place, Pipeline::Lanes lanes) {
    return place.worker + (lanes == Pipeline::Lanes::never ? std::size_t{2} : 0);
}

// Megabytes each, so they are made once, and only what a scene counts is set to 0.
WorkerTraffic& clear_traffic(const Scene& scene, const WorkerPlace& place, Pipeline::Lanes lanes) {
    static std::array<std::unique_ptr<WorkerTraffic>, 4> all;
    auto& traffic = all[place_of(place, lanes)];
    if (!traffic) traffic = std::make_unique<WorkerTraffic>();
    const auto clear = [](TrafficCounters& counters) {
        for (Counter* counter :
             {&counters.packets, &counters.bytes, &counters.new_flows, &counters.active_flows})
            counter->set(0);
    };
    for (std::uint32_t i = 0; i < scene.services; ++i)
        clear(traffic->services[i]);
    for (std::uint32_t i = 0; i < scene.backends; ++i) {
        clear(traffic->backends[i]);
        traffic->service_of_backend[i] = 0;
    }
    return *traffic;
}

std::vector<std::uint64_t> counts_of(const Worker& worker, const Scene& scene) {
    std::vector<std::uint64_t> all{worker.flows().size(), worker.nat_size(),
                                   worker.counters().flow_insert_failed.read()};
    const auto add = [&](const TrafficCounters& counters) {
        for (const Counter* counter :
             {&counters.packets, &counters.bytes, &counters.new_flows, &counters.active_flows})
            all.push_back(counter->read());
    };
    for (std::uint32_t i = 0; i < scene.services; ++i)
        add(worker.traffic().services[i]);
    for (std::uint32_t i = 0; i < scene.backends; ++i)
        add(worker.traffic().backends[i]);
    return all;
}

}  // namespace

Region::Region(std::size_t size)
    : size_(size), first_(static_cast<std::byte*>(operator new (size, std::align_val_t{64}))) {}

void Region::Free::operator()(std::byte* first) const {
    operator delete (first, std::align_val_t{64});
}

Worker::Worker(const Scene& scene, const WorkerPlace& place, Pipeline::Lanes lanes)
    : place_(place),
      flow_region_(FlowTable::footprint(scene.flow_entries)),
      nat_region_(NatTable::footprint(nat_size_of(place))),
      flows_(flow_region_.bytes(), scene.flow_entries, table_secret),
      nat_(nat_region_.bytes(), nat_size_of(place), table_secret),
      traffic_(clear_traffic(scene, place, lanes)),
      pipeline_(flows_, counters_, traffic_, lanes, place, &nat_) {}

void Worker::run(const Tables& tables, std::vector<Flight> flights,
                 std::span<const FragmentPorts> ports, Tick now) {
    if (flights.empty()) return;
    std::array<Packet, max_burst> packets;
    std::array<Verdict, max_burst> verdicts;
    std::memset(static_cast<void*>(verdicts.data()), 0xee, sizeof verdicts);
    for (std::size_t i = 0; i < flights.size(); ++i)
        packets[i] = flights[i].packet;
    const std::span all = std::span(packets).first(flights.size());
    if (ports.empty())
        pipeline_.process(tables, all, verdicts, now);
    else
        pipeline_.process_fragments(tables, all, ports, verdicts, now);
    for (std::size_t i = 0; i < flights.size(); ++i) {
        flights[i].packet = packets[i];
        flights[i].verdict = verdicts[i];
        settle(std::move(flights[i]), ports.empty() ? pipeline_.ports_of(i) : ports[i],
               !ports.empty());
    }
}

void Worker::settle(Flight flight, const FragmentPorts& ports, bool is_known) {
    const Verdict verdict = flight.verdict;
    require(verdict.action <= Action::hand_over || verdict.action == Action::send_in_pieces,
            "each packet gets a verdict");
    if (verdict.action == Action::hold) {
        require(!is_known, "nobody waits for what is known");
        require(held_.emplace(verdict.slot(), std::move(flight)).second, "a slot holds one");
        return;
    }
    flight.ports = ports;
    if (verdict.action == Action::hand_over) {
        require(verdict.worker() != place_.worker && verdict.worker() < place_.workers,
                "a fragment is handed to another worker");
        handed.push_back({verdict.worker(), std::move(flight), ports});
        return;
    }
    done.push_back(std::move(flight));
}

void Worker::run_released(const Tables& tables, Tick now) {
    while (pipeline_.has_released()) {
        const auto released = pipeline_.released();
        const std::vector<FragmentTable::Released> all(released.begin(), released.end());
        std::vector<Flight> flights;
        std::vector<FragmentPorts> ports;
        const auto run_known = [&] {
            run(tables, std::exchange(flights, {}), ports, now);
            ports.clear();
        };
        for (const FragmentTable::Released& one : all) {
            auto node = held_.extract(one.slot);
            require(!node.empty(), "only what waits is let go");
            Flight& flight = node.mapped();
            if (one.what != FragmentTable::What::pass) {
                flight.verdict = Verdict::dropped(reason_of(one.what));
                done.push_back(std::move(flight));
                continue;
            }
            flights.push_back(std::move(flight));
            ports.push_back(one.ports);
            if (flights.size() == max_burst) run_known();
        }
        run_known();
    }
}

void Worker::sweep(std::uint32_t lines, Tick now) {
    pipeline_.sweep(lines, now);
    nat_.sweep(lines, now);
}

void Worker::sweep_fragments(std::uint32_t count, Tick now) {
    pipeline_.sweep_fragments(count, now);
}

void Worker::check_counts(const Scene& scene) const {
    std::uint64_t by_service = 0, by_backend = 0;
    for (std::uint32_t i = 0; i < scene.services; ++i)
        by_service += traffic_.services[i].active_flows.read();
    for (std::uint32_t i = 0; i < scene.backends; ++i)
        by_backend += traffic_.backends[i].active_flows.read();
    require(by_service == flows_.size() && by_backend == flows_.size(),
            "each entry counts for one service and one backend");
    require(flows_.size() <= flows_.capacity(), "there are no more entries than places");
}

bool Worker::is_empty() const {
    return flows_.size() == 0 && nat_.size() == 0;
}

void Worker::check_empty() const {
    require(held_.empty() && handed.empty(), "no fragment waits for ever");
    require(is_empty(), "nothing lives for ever");
}

// A worker is large, so its place is used again.
static Worker& make_worker(const Scene& scene, const WorkerPlace& place, Pipeline::Lanes lanes) {
    static std::array<std::optional<Worker>, 4> all;
    return all[place_of(place, lanes)].emplace(scene, place, lanes);
}

Balancer::Balancer(const Scene& scene, Pipeline::Lanes lanes) : scene_(scene) {
    for (std::uint8_t i = 0; i < scene.workers; ++i)
        workers_.push_back(&make_worker(scene, {steer_secret, i, scene.workers}, lanes));
}

void Balancer::run(const Tables& tables, std::span<const Frame> frames, Tick now) {
    std::vector<std::vector<Flight>> bursts(workers_.size());
    for (const Frame& frame : frames) {
        Flight flight(frame, received_++);
        const std::uint32_t owner = steer(tables, flight.packet, scene_.workers, steer_secret);
        require(owner < workers_.size(), "each packet has an owner");
        bursts[owner].push_back(std::move(flight));
    }
    for (std::size_t i = 0; i < workers_.size(); ++i)
        workers_[i]->run(tables, std::move(bursts[i]), {}, now);
    drain(tables, now);
}

// What was handed over is for its worker and for no other.
void Balancer::drain(const Tables& tables, Tick now) {
    for (Worker* worker : workers_)
        worker->run_released(tables, now);
    std::vector<Worker::Handed> all;
    for (Worker* worker : workers_)
        std::ranges::move(std::exchange(worker->handed, {}), std::back_inserter(all));
    for (Worker::Handed& one : all) {
        std::vector<Flight> flights;
        flights.push_back(std::move(one.flight));
        workers_[one.worker]->run(tables, std::move(flights), {&one.ports, 1}, now);
    }
    for (Worker* worker : workers_) {
        require(worker->handed.empty(), "the owner of a flow keeps its fragments");
        worker->check_counts(scene_);
    }
}

void Balancer::sweep(const Tables& tables, std::uint32_t lines, Tick now) {
    for (Worker* worker : workers_) {
        worker->sweep(lines, now);
        worker->sweep_fragments(lines, now);
    }
    drain(tables, now);
}

void Balancer::finish(const Tables& tables, Tick now) {
    for (Worker* worker : workers_) {
        if (!worker->is_empty()) worker->sweep(4096, now);
        worker->sweep_fragments(FragmentTable::datagrams, now);
    }
    drain(tables, now);
    for (const Worker* worker : workers_)
        worker->check_empty();
}

std::vector<Flight> Balancer::take_done() {
    std::vector<Flight> all;
    for (Worker* worker : workers_) {
        done_ += worker->done.size();
        std::ranges::move(worker->done, std::back_inserter(all));
        worker->done.clear();
    }
    return all;
}

bool Balancer::equals(const Balancer& twin) const {
    for (std::size_t i = 0; i < workers_.size(); ++i)
        if (counts_of(*workers_[i], scene_) != counts_of(*twin.workers_[i], scene_)) return false;
    return true;
}

}  // namespace weir::fuzz
