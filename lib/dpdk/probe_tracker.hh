// SPDX-License-Identifier: BSD-3-Clause
// ProbeTracker: counts the packets of our health probes that cross the ports, per TCP connection.
//
// A connection is known from the SYN that our kernel sends to a watched remote, so that nobody
// outside can make entries; it is forgotten by take() or after 60 s. Bounded; control thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>

#include "lib/balance/service_index.hh"
#include "lib/control/prober.hh"
#include "lib/flow/tick.hh"

namespace weir {

class ProbeTracker final : public ProbeLedger {
public:
    // More probes than these under way at once are not counted, and so fail.
    static constexpr std::size_t max_flows = 65'536;
    static constexpr std::int32_t lifetime = 60'000;  // milliseconds since the SYN

    // A frame from TAP to port, and from port to TAP; untagged, headers contiguous. `frame_length`
    // as for parse(). True when it belongs to a probe. Cost: a parse and a map lookup.
    bool saw_out(std::span<const std::uint8_t> frame, std::uint32_t frame_length,
                 const ServiceIndex& index, Tick now);
    bool saw_in(std::span<const std::uint8_t> frame, std::uint32_t frame_length);

    // Forgets what is too old; amortised O(1). Call once a turn.
    void expire(Tick now);

    Crossed take(const ProbeFlow& flow) override;

    [[nodiscard]] std::size_t size() const noexcept { return flows_.size(); }

private:
    struct Entry {
        Crossed crossed;
        std::uint64_t serial = 0;
    };
    struct Birth {
        ProbeFlow flow;
        Tick at{};
        std::uint64_t serial = 0;  // of the entry; another one may have taken the flow since
    };
    void forget_oldest();

    std::map<ProbeFlow, Entry> flows_;
    std::deque<Birth> births_;  // oldest first; at most max_flows
    std::uint64_t next_serial_ = 0;
};

}  // namespace weir
