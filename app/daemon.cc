// SPDX-License-Identifier: BSD-3-Clause
#include "app/daemon.hh"

#include <atomic>
#include <chrono>
#include <csignal>
#include <memory>
#include <optional>
#include <thread>

#include <event2/event.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <nlohmann/json.hpp>
#include <systemd/sd-daemon.h>

#include "app/data_plane.hh"
#include "app/hardware.hh"
#include "app/version.hh"
#include "lib/control/api_server.hh"
#include "lib/control/controller.hh"
#include "lib/control/heap_trim.hh"
#include "lib/control/json.hh"
#include "lib/control/log.hh"
#include "lib/control/pace.hh"
#include "lib/control/plan.hh"
#include "lib/dpdk/privileges.hh"
#include "lib/dpdk/telemetry.hh"

namespace weir {
namespace {

// Members in the order in which they start; the destructor stops them the other way round.
class Daemon {
public:
    explicit Daemon(Config config) : config_(std::move(config)), plan_(make_plan(config_)) {}
    ~Daemon();

    Result<void> start(const std::vector<std::string>& eal_extra);
    // Turns the control loop until a signal asks to stop.
    void run();
    // True when every lcore stopped in time.
    bool stop();

private:
    Result<void> listen();
    Result<void> start_engine(const std::vector<std::string>& eal_extra);
    Result<void> start_control();
    Result<void> start_telemetry();
    Result<void> wait_until_polling();
    Result<void> drop_root();
    void on_signal(int signal);
    Result<void> watch_taps();
    unsigned turn();
    void wait(Pace::Wait time);

    struct FreeBase {
        void operator()(event_base* base) const noexcept { event_base_free(base); }
    };
    struct FreeEvent {
        void operator()(event* one) const noexcept { event_free(one); }
    };

    Config config_;
    Plan plan_;
    std::unique_ptr<event_base, FreeBase> base_{event_base_new()};
    std::vector<std::unique_ptr<event, FreeEvent>> signals_;
    std::vector<std::unique_ptr<event, FreeEvent>> taps_;  // end a wait when frames are there
    std::unique_ptr<event, FreeEvent> alarm_;              // ends one in any case
    std::unique_ptr<ApiServer> server_;
    bool eal_ = false;
    std::unique_ptr<Hardware> hardware_;
    std::unique_ptr<Engine> engine_;
    std::unique_ptr<RunningDataPlane> data_plane_;
    // The last view, for DPDK's telemetry threads.
    std::atomic<std::shared_ptr<const InstanceView>> view_;
    std::unique_ptr<Controller> controller_;
    std::optional<HeapTrim> heap_trim_;
    bool stopping_ = false;
};

// The order matters: clients first, then what they ask, then what carries the packets.
Daemon::~Daemon() {
    if (eal_) set_telemetry_provider({});
    taps_.clear();  // before their descriptors close
    controller_.reset();
    server_.reset();
    data_plane_.reset();
    engine_.reset();
    hardware_.reset();
    if (eal_) eal_cleanup();
}

Result<void> Daemon::listen() {
    for (const int number : {SIGTERM, SIGINT, SIGHUP}) {
        event* one = evsignal_new(
            base_.get(), number,
            [](evutil_socket_t signal, short, void* self) {
                static_cast<Daemon*>(self)->on_signal(signal);
            },
            this);
        event_add(one, nullptr);
        signals_.emplace_back(one);
    }
    auto server = ApiServer::create(
        base_.get(), config_.api, [this](const ApiRequest& request, ApiReply reply) {
            if (controller_ != nullptr) return controller_->handle(request, std::move(reply));
            reply({.status = 503, .body = R"({"error": "weir is starting"})"});
        });
    if (!server) return server.error();
    server_ = std::move(server).value();
    return {};
}

Result<void> Daemon::start_engine(const std::vector<std::string>& eal_extra) {
    auto prepared = prepare_ports(config_);
    if (!prepared) return prepared.error();
    const EalOptions options = eal_options(config_, plan_, prepared.value(), eal_extra);
    if (auto enough = check_hugepages(options.memory, options.memory_bytes); !enough) return enough;
    const std::vector<std::string> arguments = eal_arguments(options);
    log_info("EAL: {}", fmt::join(arguments, " "));
    if (auto started = eal_init(arguments); !started) return started;
    eal_ = true;

    auto hardware = Hardware::open(config_, plan_, prepared.value());
    if (!hardware) return hardware.error();
    hardware_ = std::move(hardware).value();
    EngineSetup setup;
    setup.ports = hardware_->engine_ports(config_);
    setup.lcores = plan_.lcores;
    setup.flow_sizes = flow_sizes(config_);
    setup.nat_addresses = nat_size(config_, 0).addresses;
    setup.secret = random_hash_secret();
    setup.pool_on = [this](unsigned node) { return hardware_->pools().on(node); };
    setup.control_pool = hardware_->pools().control();
    setup.idle = config_.system.idle_pause ? Idle::pause : Idle::busy;
    setup.hugetlb = config_.system.memory.mode != MemoryMode::no_huge;
    auto engine = Engine::create(std::move(setup));
    if (!engine) return engine.error();
    engine_ = std::move(engine).value();
    return {};
}

Result<void> Daemon::start_control() {
    data_plane_ = std::make_unique<RunningDataPlane>(*engine_, *hardware_, config_);
    Controller::Setup setup;
    setup.base = base_.get();
    setup.data_plane = data_plane_.get();
    setup.ledger = &engine_->exception_path().ledger();
    for (std::size_t number = 0; number < config_.ports.size(); ++number) {
        const auto& tap = hardware_->tap(number);
        setup.ports.push_back(
            {.mac = hardware_->ports()[number].mac(), .has_tap = tap.has_value()});
        setup.taps.push_back(tap ? tap->name() : "");
    }
    setup.version = weir_version;
    setup.dpdk_version = dpdk_version_text();
    setup.warnings = plan_.warnings;
    setup.warnings.insert(setup.warnings.end(), hardware_->warnings().begin(),
                          hardware_->warnings().end());
    setup.on_view = [this](std::shared_ptr<const InstanceView> view) {
        view_.store(std::move(view));
    };
    auto controller = Controller::create(std::move(setup), config_);
    if (!controller) return controller.error();
    controller_ = std::move(controller).value();
    return {};
}

Result<void> Daemon::start_telemetry() {
    std::vector<TelemetryEntry> commands;
    for (std::size_t i = 0; i < telemetry_command_count; ++i)
        commands.push_back({telemetry_commands[i].name, telemetry_commands[i].help});
    return register_telemetry(commands, [this](std::string_view command, std::string_view words) {
        const std::shared_ptr<const InstanceView> view = view_.load();
        if (view == nullptr) return nlohmann::json{{"error", "weir is starting"}};
        return telemetry_json(*view, command, words);
    });
}

Result<void> Daemon::watch_taps() {
    const auto nothing = [](evutil_socket_t, short, void*) {};  // the next turn reads the frames
    alarm_.reset(evtimer_new(base_.get(), nothing, nullptr));
    for (std::size_t number = 0; number < config_.ports.size(); ++number) {
        const auto& tap = hardware_->tap(number);
        if (!tap) continue;
        // Edges: frames that stay because there is no buffer for them must not end every wait.
        event* one =
            event_new(base_.get(), tap->fd(), EV_READ | EV_PERSIST | EV_ET, nothing, nullptr);
        if (one == nullptr || event_add(one, nullptr) != 0)
            return Error{fmt::format("TAP '{}' cannot be waited for", tap->name())};
        taps_.emplace_back(one);
    }
    return {};
}

Result<void> Daemon::wait_until_polling() {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!engine_->polling()) {
        if (std::chrono::steady_clock::now() > deadline)
            return Error{"not every lcore began to poll within 10 s; is its CPU free?"};
        if (turn() == 0) std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    return {};
}

// Closing devices and VIP addresses of a reload need CAP_NET_ADMIN; the other threads need nothing.
Result<void> Daemon::drop_root() {
    constexpr int keep[] = {CAP_NET_ADMIN};
    return drop_privileges(keep);
}

Result<void> Daemon::start(const std::vector<std::string>& eal_extra) {
    process_log().set_level(config_.system.log_level);
    if (auto done = listen(); !done) return done;
    if (auto done = start_engine(eal_extra); !done) return done;
    if (auto done = start_control(); !done) return done;  // the first tables are published
    if (auto done = start_telemetry(); !done) return done;
    if (auto done = watch_taps(); !done) return done;
    if (auto done = hardware_->start(); !done) return done;
    if (auto done = engine_->start(); !done) return done;
    if (auto done = wait_until_polling(); !done) return done;
    heap_trim_.emplace(base_.get());
    if (auto done = drop_root(); !done) log_warning("privileges kept: {}", done.error().message);
    for (const std::string& warning : plan_.warnings)
        log_warning("{}", warning);
    for (const std::string& warning : hardware_->warnings())
        log_warning("{}", warning);
    fmt::print(stderr, "weir: ready\n");
    std::fflush(stderr);
    sd_notify(0, "READY=1");
    return {};
}

unsigned Daemon::turn() {
    event_base_loop(base_.get(), EVLOOP_NONBLOCK);
    return engine_->control_turn();
}

// libevent's timers count milliseconds. Below, a plain sleep is what keeps the time.
void Daemon::wait(Pace::Wait time) {
    if (time < std::chrono::milliseconds(1)) {
        std::this_thread::sleep_for(time);
        return;
    }
    const timeval end{0, static_cast<suseconds_t>(time.count())};
    event_add(alarm_.get(), &end);
    event_base_loop(base_.get(), EVLOOP_ONCE);
}

void Daemon::run() {
    Pace pace;
    while (!stopping_) {
        const Pace::Wait time = pace.after(turn() != 0);
        if (time != Pace::Wait::zero()) wait(time);
    }
}

bool Daemon::stop() {
    log_info("stopping");
    const auto stopped = engine_->stop();
    if (!stopped) log_error("{}", stopped.error().message);
    return stopped.ok();
}

void Daemon::on_signal(int signal) {
    if (signal != SIGHUP) {
        sd_notify(0, "STOPPING=1");
        stopping_ = true;
        return;
    }
    if (controller_ == nullptr) return;
    sd_notify(0, "RELOADING=1");
    controller_->reload("", [](const ReloadOutcome& outcome) {
        for (const std::string& message : outcome.messages)
            log_warning("reload: {}", message);
        if (!outcome.ok) log_error("reload failed; the running configuration stays");
        sd_notify(0, "READY=1");
    });
}

}  // namespace

int run_daemon(const Options& options, Config config) {
    std::signal(SIGPIPE, SIG_IGN);
    Daemon daemon(std::move(config));
    if (const auto started = daemon.start(options.eal); !started) {
        fmt::print(stderr, "weir: {}\n", started.error().message);
        return 1;
    }
    daemon.run();
    return daemon.stop() ? 0 : 1;
}

}  // namespace weir
