// SPDX-License-Identifier: BSD-3-Clause
// HealthBook: what the probes said of each (service, backend), and since when. Pure: time is an
// argument. Control thread only.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/control/health.hh"
#include "lib/control/prober.hh"
#include "lib/control/view.hh"

namespace weir {

class HealthBook {
public:
    using Time = std::chrono::steady_clock::time_point;
    using Key = std::pair<std::string, std::string>;  // (service, backend)

    // Who is probed from now on. A backend whose address and check did not change keeps its record;
    // any other begins unknown; who is not listed is forgotten.
    void set_tasks(const std::vector<ProbeTask>& tasks, Time now);

    struct Change {
        Liveness from, to;
        double seconds;  // spent in `from`
    };
    // Answers the change of liveness that this result makes. Results for backends that are not
    // listed are ignored.
    std::optional<Change> record(const ProbeResult& result, Time now);

    [[nodiscard]] std::map<Key, Liveness> liveness() const;
    // The detail of the last probe, empty before the first.
    [[nodiscard]] const std::string& detail(const Key& key) const;
    // By service and backend name.
    [[nodiscard]] std::vector<HealthView> views(Time now) const;

private:
    struct Record {
        ProbeTask task;
        HealthState state;
        std::string detail;
        std::uint64_t successes = 0, failures = 0;
        std::uint64_t transitions = 0;  // between up and down; the first "up" is none
        double last_seconds = 0, duration_sum = 0;
        std::vector<std::uint64_t> buckets;  // cumulative
        Time since;
    };
    std::map<Key, Record> records_;
};

std::string liveness_text(Liveness liveness);  // "unknown", "up", "down"

}  // namespace weir
