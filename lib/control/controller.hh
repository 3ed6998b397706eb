// SPDX-License-Identifier: BSD-3-Clause
// Controller: owns configuration, registry, health and neighbours; turns every change into one
// compile and one publication (at most one per 5 ms; bursts coalesce), and answers the API.
// Control thread only; nothing here blocks.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lib/balance/tables.hh"
#include "lib/control/api.hh"
#include "lib/control/compile.hh"
#include "lib/control/config.hh"
#include "lib/control/neighbors.hh"
#include "lib/control/prober.hh"
#include "lib/control/view.hh"
#include "lib/dataplane/inspect.hh"
#include "lib/dataplane/station_mailbox.hh"
#include "lib/wire/result.hh"

struct event_base;

namespace weir {

// What the controller needs of the running data plane; app/ implements it over lib/dpdk.
class DataPlane {
public:
    virtual ~DataPlane() = default;
    // Takes ownership; workers read it from their next burst on. Never waits: older tables are
    // freed when their grace period has passed.
    virtual void publish(std::unique_ptr<const Tables> tables) = 0;
    // Published tables, for comparison; never null after the first publish().
    [[nodiscard]] virtual const Tables* current() const = 0;
    // True when no worker can still read tables older than the current ones.
    [[nodiscard]] virtual bool settled() const = 0;
    // Fills workers, ports, drops, pools, rings, totals, punted_by_class and icmp_errors_sent of
    // the view.
    virtual void fill(InstanceView& view) const = 0;
    // Sums over all workers.
    [[nodiscard]] virtual TrafficView service_traffic(ServiceId id) const = 0;
    [[nodiscard]] virtual TrafficView backend_traffic(BackendId id) const = 0;
    // Flow mailboxes, one per worker.
    [[nodiscard]] virtual std::vector<FlowMailbox*> flow_mailboxes() = 0;
    // One per worker: clients on ports' networks without a known MAC address.
    [[nodiscard]] virtual std::vector<StationMailbox*> station_mailboxes() = 0;
    // VIPs that must stand on every TAP; called with each new configuration.
    virtual Result<void> set_vips(const std::vector<IpAddress>& vips) = 0;
    [[nodiscard]] virtual Tick now() const = 0;
};

struct ReloadOutcome {
    bool ok = false;
    std::uint64_t generation = 0;       // running after the reload
    std::vector<std::string> messages;  // errors; of a success: what the operator should know
    bool busy = false;                  // refused unread: too many reloads wait
};

class Controller {
public:
    struct Setup {
        event_base* base = nullptr;
        DataPlane* data_plane = nullptr;
        ProbeLedger* ledger = nullptr;
        std::vector<PortFacts> ports;
        std::vector<std::string> taps;  // by PortId, empty: none
        std::string version, dpdk_version;
        std::vector<std::string> warnings;  // of start-up, for `status`
        // How often ids are given back and a view is made without other cause.
        std::chrono::milliseconds period{1000};
        // Text to configuration; tests give their own.
        std::function<ConfigResult(const std::string& path)> load = load_config;
        // Called with each fresh view (once a second and after each publication), for telemetry.
        std::function<void(std::shared_ptr<const InstanceView>)> on_view;
    };
    // Publishes the first tables before it returns. `base` and `data_plane` must outlive it.
    static Result<std::unique_ptr<Controller>> create(Setup setup, Config config);
    virtual ~Controller() = default;

    // Reads `path` (empty: the file of the running configuration), checks, swaps whole; `done` is
    // called once, when the error is known or every worker reads the new tables (one that hangs is
    // waited for a second, and logged). Reloads run one after
    // the other, one a turn of the loop; at most 64 wait. On an error nothing changes. A success
    // counts one generation, and clears the states that operators set (its messages name them).
    virtual void reload(const std::string& path,
                        std::function<void(const ReloadOutcome&)> done) = 0;
    // The API of api.hh.
    virtual void handle(const ApiRequest& request, ApiReply reply) = 0;
    // A fresh view; what is out of `scope` is left empty.
    [[nodiscard]] virtual std::shared_ptr<const InstanceView> view(
        const ViewScope& scope) const = 0;
    [[nodiscard]] std::shared_ptr<const InstanceView> view() const { return view({}); }
};

}  // namespace weir
