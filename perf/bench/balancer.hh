// SPDX-License-Identifier: BSD-3-Clause
// Balancer: a worker's pipeline with its tables, as the program has them, made from a configuration
// of a service for each family and mode, and where the mode allows it for backends of the other
// family, too; of 16 backends each.
// All that the pipeline benchmarks ask of Weir's libraries is asked here, so that a change of their
// interfaces is followed in one place.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lib/balance/tables.hh"
#include "lib/control/forward_mode.hh"
#include "lib/dataplane/classify.hh"
#include "lib/dataplane/process.hh"
#include "lib/flow/table.hh"
#include "perf/bench/memory.hh"
#include "perf/gen/check.hh"

namespace weir::bench {

struct Case {
    Family family = Family::v4;
    Forward forward = Forward::ipip;
    std::uint16_t frame_bytes = 0;  // with FCS; 0: the least
    bool to_other_family = false;   // its backends are of the other one; may_change_family()

    [[nodiscard]] Family backend_family() const noexcept {
        if (!to_other_family) return family;
        return family == Family::v4 ? Family::v6 : Family::v4;
    }
};
// The modes that there are services of.
inline constexpr Forward modes[] = {Forward::dsr_l2, Forward::ipip, Forward::gre,     Forward::gue,
                                    Forward::l3dsr,  Forward::nat,  Forward::full_nat};
[[nodiscard]] constexpr bool may_change_family(Forward forward) noexcept {
    return is_tunnel(forward) || forward == Forward::full_nat;
}

// Immutable: what the services and their packets look like.
class Setting {
public:
    Setting();  // throws std::runtime_error when the configuration is refused

    [[nodiscard]] const Tables& tables() const noexcept { return *tables_; }
    [[nodiscard]] gen::FrameOptions frames(const Case& which, std::uint64_t flows) const;
    [[nodiscard]] gen::Expectation expectation(const Case& which) const;
    // Whose ports full-nat packets come from.
    [[nodiscard]] static IpAddress pool(const Case& which);
    // Which backend the packet must go to, in the order of the expectation. `frame`: as the client
    // sent it. Every backend is up, so the table of the service says it all.
    [[nodiscard]] std::uint16_t backend_of(std::span<const std::uint8_t> frame) const;

private:
    std::unique_ptr<const Tables> tables_;
};

// What lookup() needs of a packet, made by sort() beforehand.
struct Sorted {
    Classified packet;
    PacketMeta meta;
    FlowKey key;
    FlowName name;
    const BackendEntry* backend = nullptr;
};

class Balancer {
public:
    // `memory`: footprint(entries) bytes at least.
    Balancer(const Setting& setting, std::span<std::byte> memory, std::uint32_t entries);
    [[nodiscard]] static std::size_t footprint(std::uint32_t entries);

    void process(std::span<Packet> packets, std::span<Verdict> verdicts, Tick now) noexcept {
        pipeline_.process(setting_.tables(), packets, verdicts, now);
    }
    [[nodiscard]] std::uint32_t flows() const noexcept { return table_.size(); }

    // The stages of process() one by one, each over a burst. What they answer is only there so that
    // the compiler does not leave them out.
    [[nodiscard]] std::uint64_t plain_only(std::span<const Packet> packets) const noexcept;
    [[nodiscard]] std::uint64_t service_only(std::span<const Sorted> sorted) const noexcept;
    [[nodiscard]] std::uint64_t parse_only(std::span<const Packet> packets) const noexcept;
    [[nodiscard]] std::uint64_t classify_only(std::span<const Packet> packets) const noexcept;
    void name_only(std::span<const Packet> packets, std::span<Sorted> sorted) const noexcept;
    [[nodiscard]] std::uint64_t lookup_only(std::span<const Sorted> sorted, Tick now) noexcept;
    void forward_only(std::span<const Sorted> sorted, std::span<Packet> packets) const noexcept;
    void count_only(std::span<const Sorted> sorted) noexcept;
    // Of two workers, as where there are no nat services.
    [[nodiscard]] std::uint64_t owners_only(std::span<const Packet> packets) const noexcept;
    void sort(std::span<const Packet> packets, std::span<Sorted> sorted) const noexcept;
    std::uint32_t sweep(std::uint32_t entries, Tick now) noexcept;

private:
    const Setting& setting_;
    HashSecret secret_ = random_hash_secret();
    FlowTable table_;
    Region nat_memory_;
    NatTable nat_;
    LcoreCounters counters_;
    std::unique_ptr<WorkerTraffic> traffic_ = std::make_unique<WorkerTraffic>();
    Pipeline pipeline_;
};

}  // namespace weir::bench
