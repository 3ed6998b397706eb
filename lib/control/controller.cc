// SPDX-License-Identifier: BSD-3-Clause
// The one way to change: whatever the cause, change `world_`, then publish() or publish_soon().
#include "lib/control/controller.hh"

#include <algorithm>
#include <chrono>
#include <deque>
#include <iterator>

#include <event2/event.h>
#include <fmt/format.h>
#include <unistd.h>

#include "lib/control/api_routes.hh"
#include "lib/control/flood_watch.hh"
#include "lib/control/flow_inspector.hh"
#include "lib/control/health_book.hh"
#include "lib/control/json.hh"
#include "lib/control/log.hh"
#include "lib/control/reload.hh"
#include "lib/control/route_follower.hh"
#include "lib/control/stations.hh"
#include "lib/control/timer.hh"
#include "lib/control/traffic_baseline.hh"
#include "lib/control/view_builder.hh"

namespace weir {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto coalesce = 5ms;
constexpr auto settle_poll = 500us;
// Nobody waits longer for a worker that does not turn; a loop that hangs is told by /healthz.
constexpr auto settle_limit = 1s;
constexpr std::size_t most_waiting_reloads = 64;
// Making views takes at most one part in so many of the time: with 100 000 backends one costs some
// 100 ms, and is then made every few seconds.
constexpr int view_share = 20;

class RunningController final : public Controller {
public:
    explicit RunningController(Setup setup);
    ~RunningController() override;

    Result<void> start(Config config);

    void reload(const std::string& path, std::function<void(const ReloadOutcome&)> done) override;
    void handle(const ApiRequest& request, ApiReply reply) override {
        route(actions_, request, std::move(reply));
    }
    [[nodiscard]] std::shared_ptr<const InstanceView> view(const ViewScope& scope) const override;

private:
    struct WaitingReload {
        std::string path;
        std::function<void(const ReloadOutcome&)> done;
    };

    // Every step that can fail; on failure nothing of the running state has changed.
    Result<void> prepare(const Config& next);
    void adopt(std::shared_ptr<const Config> next);
    void set_static_neighbors();
    void set_probes();

    ReloadOutcome reload_now(const std::string& path);
    ReloadOutcome refuse(std::vector<std::string> reasons);
    std::vector<std::string> clear_overrides();
    void next_reload();

    void publish();
    void publish_soon();
    void settle();
    void tick();
    void show_soon();
    void show();

    void on_probe(const ProbeResult& result);
    void on_neighbor(const Registry::NextHopKey& key, const MacAddress& mac);
    Result<void> watch_neighbors();
    Result<void> watch_routes();
    bool use_routes(const std::shared_ptr<const KernelRoutes>& next);
    void set_state(const std::string& service, const std::string& backend, BackendState state,
                   std::function<void()> done);
    ApiActions make_actions();

    Setup setup_;
    DataPlane& data_plane_;
    World world_;
    Changes changes_;  // of world_ since the last publication
    Registry registry_;
    HealthBook health_;
    TrafficBaseline service_baseline_, backend_baseline_;
    std::map<Registry::NextHopKey, MacAddress> learnt_;  // from the kernel
    mutable ViewBuilder views_;

    bool last_reload_ok_ = true;
    std::string last_reload_error_;
    std::deque<WaitingReload> reloads_;
    // What waits for the next publication, and then for every worker to have taken it.
    std::vector<std::function<void()>> after_publication_, after_settling_;
    Clock::time_point settle_until_{};
    const Clock::time_point started_ = Clock::now();
    const double start_timestamp_ =
        std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    Clock::time_point last_view_{};
    Clock::duration view_cost_{};
    FloodWatch flood_;

    Timer publish_timer_, settle_timer_, tick_timer_, reload_timer_, view_timer_;
    std::unique_ptr<FlowInspector> flows_;
    std::unique_ptr<NeighborMonitor> neighbors_;
    std::unique_ptr<Stations> stations_;     // where there are neighbours to watch
    std::unique_ptr<RouteFollower> routes_;  // there, too
    std::unique_ptr<Prober> prober_;
    ApiActions actions_;
};

RunningController::RunningController(Setup setup)
    : setup_(std::move(setup)),
      data_plane_(*setup_.data_plane),
      publish_timer_(setup_.base, [this] { publish(); }),
      settle_timer_(setup_.base, [this] { settle(); }),
      tick_timer_(setup_.base, [this] { tick(); }),
      reload_timer_(setup_.base, [this] { next_reload(); }),
      view_timer_(setup_.base, [this] { show(); }),
      actions_(make_actions()) {
    world_.ports = setup_.ports;
}

RunningController::~RunningController() {
    for (const auto& waiting : reloads_) {
        waiting.done({false, world_.generation, {"weir is stopping"}, true});
    }
    for (auto* list : {&after_settling_, &after_publication_})
        for (const auto& done : std::exchange(*list, {}))
            done();
}

Result<void> RunningController::start(Config config) {
    if (auto watched = watch_neighbors(); !watched) return watched;
    if (auto watched = watch_routes(); !watched) return watched;
    if (auto prepared = prepare(config); !prepared) return prepared;
    prober_ = std::make_unique<Prober>(setup_.base, setup_.ledger,
                                       [this](const ProbeResult& result) { on_probe(result); });
    adopt(std::make_shared<const Config>(std::move(config)));
    publish();
    flows_ = std::make_unique<FlowInspector>(FlowInspector::Setup{
        setup_.base, data_plane_.flow_mailboxes(), [this] { return data_plane_.now(); },
        [this](BackendId id) { return registry_.backend_name(id); },
        [this](EndpointId id) { return registry_.endpoint_key(id); }});
    tick_timer_.set(setup_.period);
    return {};
}

Result<void> RunningController::watch_neighbors() {
    using Key = Registry::NextHopKey;
    if (std::ranges::all_of(setup_.taps, &std::string::empty)) return {};
    auto monitor = NeighborMonitor::create(
        setup_.base, setup_.taps,
        [this](const Key& key, const MacAddress& mac) { on_neighbor(key, mac); });
    if (!monitor) return monitor.error();
    neighbors_ = std::move(monitor).value();
    Stations::Setup stations;
    stations.base = setup_.base;
    stations.mailboxes = data_plane_.station_mailboxes();
    stations.is_next_hop = [this](const Key& key) {
        return registry_.find_next_hop(key.port, key.address).has_value();
    };
    stations.want = [this](const Key& key) { neighbors_->want_one(key); };
    stations.forget = [this](const Key& key) { neighbors_->forget(key); };
    stations.is_usable = [this](const Key& key) { return neighbors_->is_usable(key); };
    stations.on_change = [this] {
        adopt_stations(stations_->known(), registry_, world_, changes_);
        publish_soon();
    };
    stations_ = std::make_unique<Stations>(std::move(stations));
    return {};
}

Result<void> RunningController::watch_routes() {
    if (neighbors_ == nullptr) return {};
    RouteFollower::Setup routes;
    routes.base = setup_.base;
    routes.unresolved = [this](const KernelRoutes& next) {
        return unresolved_hops(world_, next, setup_.taps);
    };
    routes.want = [this](const auto& key) { neighbors_->want_one(key); };
    routes.forget = [this](const auto& key) { neighbors_->forget(key); };
    routes.use = [this](const RouteFollower::Shared& next) { return use_routes(next); };
    routes_ = std::make_unique<RouteFollower>(std::move(routes));
    return routes_->watch(setup_.taps);
}

bool RunningController::use_routes(const std::shared_ptr<const KernelRoutes>& next) {
    if (!adopt_routes(next, registry_, world_)) return false;
    if (world_.config == nullptr) return true;  // at start: the first tables go by them
    set_static_neighbors();
    set_probes();
    publish();
    return true;
}

Result<void> RunningController::prepare(const Config& next) {
    if (auto adopted = registry_.adopt(next, *world_.routes); !adopted) return adopted;
    auto placed = data_plane_.set_vips(vips_of(next));
    if (placed || world_.config == nullptr) return placed;
    // Back to what runs: both succeeded with it before.
    const auto undone = data_plane_.set_vips(vips_of(*world_.config));
    if (!undone) log_error("reload: cannot restore the VIPs: {}", undone.error().message);
    if (auto back = registry_.adopt(*world_.config, *world_.routes); !back)
        log_error("{}", back.error().message);
    return placed;
}

void RunningController::adopt(std::shared_ptr<const Config> next) {
    world_.config = std::move(next);
    ++world_.generation;
    for (const auto& service : world_.config->services) {
        const auto id = registry_.service(service.name);
        if (!id) continue;
        service_baseline_.own(index(*id), service.name,
                              [&] { return data_plane_.service_traffic(*id); });
        for (const auto& backend : service.backends) {
            const auto of = registry_.backend(service.name, backend.name);
            if (!of) continue;
            backend_baseline_.own(index(*of), service.name + "/" + backend.name,
                                  [&] { return data_plane_.backend_traffic(*of); });
        }
    }
    set_static_neighbors();
    set_probes();
}

void RunningController::set_static_neighbors() {
    const Config& config = *world_.config;
    std::vector<Registry::NextHopKey> wanted;
    std::map<Registry::NextHopKey, MacAddress> learnt;
    world_.neighbors.clear();
    if (stations_ != nullptr) learnt_.insert(stations_->known().begin(), stations_->known().end());
    if (routes_ != nullptr) learnt_.insert(routes_->known().begin(), routes_->known().end());
    for (const auto& key : needed_next_hops(config, *world_.routes)) {
        if (stations_ != nullptr) stations_->give_up(key);
        const auto& fixed = config.ports[index(key.port)].neighbors;
        const auto at = std::ranges::find(fixed, key.address, &StaticNeighbor::address);
        if (at != fixed.end()) {
            world_.neighbors[key] = at->mac;
            continue;
        }
        wanted.push_back(key);
        const auto known = learnt_.find(key);
        if (known != learnt_.end()) world_.neighbors[key] = learnt[key] = known->second;
    }
    learnt_ = std::move(learnt);
    if (neighbors_ == nullptr) return;
    stations_->set_active(translates(config));
    std::ranges::copy(stations_->wanted(), std::back_inserter(wanted));
    std::ranges::copy(routes_->asked(), std::back_inserter(wanted));
    adopt_stations(stations_->known(), registry_, world_, changes_);
    std::erase_if(wanted, [this](const auto& key) { return setup_.taps[index(key.port)].empty(); });
    neighbors_->want(std::move(wanted));
}

void RunningController::set_probes() {
    const KernelRoutes& routes = *world_.routes;
    auto tasks = world_.overrides.empty()
                     ? probe_tasks(*world_.config, routes)
                     : probe_tasks(with_overrides(*world_.config, world_.overrides), routes);
    health_.set_tasks(tasks, Clock::now());
    world_.health = health_.liveness();
    prober_->set_tasks(std::move(tasks));
}

void RunningController::reload(const std::string& path,
                               std::function<void(const ReloadOutcome&)> done) {
    if (reloads_.size() >= most_waiting_reloads) {
        return done(
            {false,
             world_.generation,
             {fmt::format("{} reloads wait already; try again in a moment", most_waiting_reloads)},
             true});
    }
    reloads_.push_back({path, std::move(done)});
    if (!reload_timer_.pending()) reload_timer_.set(0us);
}

void RunningController::next_reload() {
    WaitingReload next = std::move(reloads_.front());
    reloads_.pop_front();
    if (!reloads_.empty()) reload_timer_.set(0us);
    ReloadOutcome outcome = reload_now(next.path.empty() ? world_.config->path : next.path);
    if (!outcome.ok) return next.done(outcome);
    after_settling_.push_back(
        [done = std::move(next.done), outcome = std::move(outcome)] { done(outcome); });
    settle();
}

ReloadOutcome RunningController::reload_now(const std::string& path) {
    Candidate candidate = judge(setup_.load(path), *world_.config);
    if (candidate.config == nullptr) return refuse(std::move(candidate.refusals));
    if (auto prepared = prepare(*candidate.config); !prepared) {
        return refuse({prepared.error().message});
    }
    auto messages = clear_overrides();
    adopt(std::move(candidate.config));
    last_reload_ok_ = true;
    last_reload_error_.clear();
    publish();
    log_info("reload: generation {} runs, from {}", world_.generation, path);
    return {true, world_.generation, std::move(messages)};
}

ReloadOutcome RunningController::refuse(std::vector<std::string> reasons) {
    last_reload_ok_ = false;
    last_reload_error_ = reasons.empty() ? "refused" : reasons.front();
    log_error("reload: refused, generation {} goes on: {}", world_.generation, last_reload_error_);
    return {false, world_.generation, std::move(reasons)};
}

// The file decides again: an operator who wants a state to last writes it there.
std::vector<std::string> RunningController::clear_overrides() {
    std::vector<std::string> messages;
    for (const auto& [key, state] : world_.overrides) {
        messages.push_back(fmt::format("{}/{} follows the file again; an operator had set it to {}",
                                       key.first, key.second, state_text(state)));
    }
    world_.overrides.clear();
    return messages;
}

void RunningController::publish_soon() {
    if (!publish_timer_.pending()) publish_timer_.set(coalesce);
}

void RunningController::publish() {
    publish_timer_.cancel();  // this one takes what was to come
    data_plane_.publish(
        compile(data_plane_.current(), world_, registry_, std::exchange(changes_, {})));
    if (after_settling_.empty()) settle_until_ = Clock::now() + settle_limit;
    std::ranges::move(std::exchange(after_publication_, {}), std::back_inserter(after_settling_));
    settle();
    show_soon();
}

// A worker that was interrupted in a burst still decides by older tables. Who asked for a change
// is answered when none does, so that a packet sent after the answer meets the change.
void RunningController::settle() {
    if (after_settling_.empty()) return;
    if (!data_plane_.settled()) {
        if (Clock::now() < settle_until_) return settle_timer_.set(settle_poll);
        log_warning("a worker still reads older tables {} s after a change; see weirctl worker",
                    settle_limit / 1s);
    }
    for (const auto& done : std::exchange(after_settling_, {}))
        done();
}

void RunningController::show_soon() {
    const bool affordable = Clock::now() - last_view_ >= view_share * view_cost_;
    if (affordable && !view_timer_.pending()) view_timer_.set(0us);
}

void RunningController::tick() {
    tick_timer_.set(setup_.period);
    process_log().flush();
    // Only when no worker reads older tables: then a retired id is named by flow entries alone.
    if (data_plane_.settled()) {
        registry_.release(
            [this](BackendId id) { return data_plane_.backend_traffic(id).active_flows != 0; });
    }
    show_soon();
}

void RunningController::show() {
    if (!setup_.on_view) return;
    const auto begin = Clock::now();
    const std::shared_ptr<const InstanceView> shown = view({});
    setup_.on_view(shown);
    last_view_ = Clock::now();
    view_cost_ = last_view_ - begin;
    tell_of_floods(flood_, *shown, last_view_, world_.config->conntrack.when_full);
}

std::shared_ptr<const InstanceView> RunningController::view(const ViewScope& scope) const {
    const auto now = Clock::now();
    auto result = std::make_shared<InstanceView>(
        views_.build({world_, registry_, health_, service_baseline_, backend_baseline_, data_plane_,
                      [this](const Registry::NextHopKey& key) {
                          return neighbors_ != nullptr ? neighbors_->state(key) : std::string();
                      },
                      now},
                     scope));
    result->version = setup_.version;
    result->dpdk_version = setup_.dpdk_version;
    result->pid = ::getpid();
    result->start_timestamp = start_timestamp_;
    result->uptime_seconds = std::chrono::duration<double>(now - started_).count();
    result->last_reload_ok = last_reload_ok_;
    result->last_reload_error = last_reload_error_;
    result->warnings.insert(result->warnings.begin(), setup_.warnings.begin(),
                            setup_.warnings.end());
    if (flood_.active()) {
        result->warnings.push_back(fmt::format("the connection tables are full: {}",
                                               meaning_of(world_.config->conntrack.when_full)));
    }
    if (!world_.overrides.empty()) {
        result->warnings.push_back(
            fmt::format("{} backends have a state that an operator set; the next reload clears it",
                        world_.overrides.size()));
    }
    return result;
}

void RunningController::on_probe(const ProbeResult& result) {
    const auto change = health_.record(result, Clock::now());
    if (!change) return;
    world_.health[{result.service, result.backend}] = change->to;
    changes_.services.insert(result.service);
    const auto line = fmt::format("health: {}/{} is {}, after {:.1f} s {}: {}", result.service,
                                  result.backend, liveness_text(change->to), change->seconds,
                                  liveness_text(change->from), result.detail);
    if (change->to == Liveness::down) {
        log_warning("{}", line);
    } else {
        log_info("{}", line);
    }
    // Unknown counts as up already.
    if (change->from != Liveness::unknown || change->to == Liveness::down) publish_soon();
}

void RunningController::on_neighbor(const Registry::NextHopKey& key, const MacAddress& mac) {
    routes_->learn(key, mac);
    if (stations_->learn(key, mac)) {
        return log_debug("neighbor: client {} on {} is {}", to_string(key.address),
                         world_.config->ports[index(key.port)].name, to_string(mac));
    }
    const auto& fixed = world_.config->ports[index(key.port)].neighbors;
    const bool is_static =
        std::ranges::find(fixed, key.address, &StaticNeighbor::address) != fixed.end();
    if (is_static || !registry_.find_next_hop(key.port, key.address)) return;
    const auto [at, fresh] = learnt_.try_emplace(key, mac);
    if (!fresh && at->second == mac) return;
    at->second = mac;
    world_.neighbors[key] = mac;
    changes_.next_hops.insert(key);
    log_info("neighbor: {} on {} is {}", to_string(key.address),
             world_.config->ports[index(key.port)].name, to_string(mac));
    publish_soon();
}

void RunningController::set_state(const std::string& service, const std::string& backend,
                                  BackendState state, std::function<void()> done) {
    const auto& services = world_.config->services;
    const auto in = std::ranges::find(services, service, &ServiceConfig::name);
    const auto of = std::ranges::find(in->backends, backend, &BackendConfig::name);
    const auto forced = world_.overrides.find({service, backend});
    const BackendState before = forced != world_.overrides.end() ? forced->second : of->state;
    if (of->state == state) {
        world_.overrides.erase({service, backend});
    } else {
        world_.overrides[{service, backend}] = state;
    }
    changes_.services.insert(service);
    log_info("operator: {}/{} is {} until the next reload", service, backend, state_text(state));
    constexpr auto disabled = BackendState::disabled;  // not probed
    if ((before == disabled) != (state == disabled)) set_probes();
    after_publication_.push_back(std::move(done));
    publish_soon();
}

ApiActions RunningController::make_actions() {
    ApiActions actions;
    actions.view = [this](const ViewScope& scope) { return view(scope); };
    actions.config = [this] { return world_.config; };
    actions.reload = [this](const std::string& path, auto done) { reload(path, std::move(done)); };
    actions.set_state = [this](const std::string& service, const std::string& backend,
                               BackendState state, std::function<void()> done) {
        set_state(service, backend, state, std::move(done));
    };
    actions.flows = [this](FlowQuery query, ApiReply reply) {
        flows_->ask(std::move(query), std::move(reply));
    };
    return actions;
}

}  // namespace

Result<std::unique_ptr<Controller>> Controller::create(Setup setup, Config config) {
    auto controller = std::make_unique<RunningController>(std::move(setup));
    if (auto started = controller->start(std::move(config)); !started) return started.error();
    return std::unique_ptr<Controller>(std::move(controller));
}

}  // namespace weir
