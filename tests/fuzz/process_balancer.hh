// SPDX-License-Identifier: BSD-3-Clause
// Workers with their pipelines, driven as lib/dpdk/worker_step.cc drives them: steered packets in,
// fragments held, let go and handed over, exactly one fate for each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "lib/dataplane/process.hh"
#include "tests/fuzz/process_checks.hh"
#include "tests/fuzz/process_scenes.hh"

namespace weir::fuzz {

// Bytes on the heap at a multiple of 64, exactly as many as asked for.
class Region {
public:
    explicit Region(std::size_t size);
    [[nodiscard]] std::span<std::byte> bytes() const { return {first_.get(), size_}; }

private:
    struct Free {
        void operator()(std::byte* first) const;
    };
    std::size_t size_;
    std::unique_ptr<std::byte, Free> first_;
};

class Worker {
public:
    Worker(const Scene& scene, const WorkerPlace& place, Pipeline::Lanes lanes);

    // A burst, at most max_burst; `ports`: by flight, of fragments that process() does not see any
    // more, else empty.
    void run(const Tables& tables, std::vector<Flight> flights,
             std::span<const FragmentPorts> ports, Tick now);
    // What waits no longer, until nothing is to be done.
    void run_released(const Tables& tables, Tick now);
    void sweep(std::uint32_t lines, Tick now);
    void sweep_fragments(std::uint32_t count, Tick now);

    // Promises that hold between bursts; `scene`: as at construction.
    void check_counts(const Scene& scene) const;
    // No flow and no binding is there.
    [[nodiscard]] bool is_empty() const;
    // And when all timeouts have passed and everything was swept.
    void check_empty() const;

    struct Handed {
        std::uint8_t worker = 0;
        Flight flight;
        FragmentPorts ports;
    };
    std::vector<Flight> done;  // with their fates, in the order of them
    std::vector<Handed> handed;

    [[nodiscard]] const FlowTable& flows() const { return flows_; }
    [[nodiscard]] const WorkerTraffic& traffic() const { return traffic_; }
    [[nodiscard]] const LcoreCounters& counters() const { return counters_; }
    [[nodiscard]] std::uint32_t nat_size() const { return nat_.size(); }

private:
    void settle(Flight flight, const FragmentPorts& ports, bool is_known);

    WorkerPlace place_;
    Region flow_region_, nat_region_;
    FlowTable flows_;
    NatTable nat_;
    LcoreCounters counters_;
    WorkerTraffic& traffic_;
    Pipeline pipeline_;
    std::map<std::uint8_t, Flight> held_;  // by slot
};

// All workers of an instance. There may be one with lanes and its twin without at a time.
class Balancer {
public:
    Balancer(const Scene& scene, Pipeline::Lanes lanes);

    void run(const Tables& tables, std::span<const Frame> frames, Tick now);
    void sweep(const Tables& tables, std::uint32_t lines, Tick now);
    // Long after: every entry is gone, and with take_done() everything has its fate.
    void finish(const Tables& tables, Tick now);

    // Fates since the last call.
    [[nodiscard]] std::vector<Flight> take_done();
    // Each packet that came has one fate that was taken.
    [[nodiscard]] bool is_done() const { return done_ == received_; }
    [[nodiscard]] bool equals(const Balancer& twin) const;  // in what it counts

private:
    void drain(const Tables& tables, Tick now);

    const Scene& scene_;
    std::vector<Worker*> workers_;
    std::size_t received_ = 0, done_ = 0;
};

}  // namespace weir::fuzz
