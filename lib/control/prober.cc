// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/prober.hh"

#include <algorithm>
#include <map>
#include <new>
#include <set>
#include <unordered_map>
#include <utility>

#include <event2/event.h>
#include <fmt/format.h>

#include "lib/control/probe_transfer.hh"

namespace weir {

using std::chrono::milliseconds;
using Time = std::chrono::steady_clock::time_point;

namespace {

// FNV-1a: spreads the names over the interval, the same in every run and on every machine.
std::uint64_t hash_of(const ProbeTask& task) noexcept {
    std::uint64_t hash = 0xcbf29ce484222325;
    const auto add = [&hash](std::string_view text) {
        for (const char c : text)
            hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
        hash = (hash ^ '/') * 0x100000001b3;
    };
    add(task.service);
    add(task.backend);
    return hash ^ (hash >> 29);
}

// How often the loop is looked at for gaps, and how many probes one pass of the loop starts: a
// start costs some 50 us, and the same loop serves the exception path.
constexpr milliseconds heartbeat{50};
constexpr unsigned starts_per_pass = 16;
// A loop that never keeps time must not silence a check for ever.
constexpr unsigned voids_in_a_row = 3;

timeval to_timeval(std::chrono::nanoseconds delay) noexcept {
    const auto us =
        std::max<std::int64_t>(0, std::chrono::ceil<std::chrono::microseconds>(delay).count());
    return {us / 1'000'000, us % 1'000'000};
}

}  // namespace

ProbePhase ProbePhase::of(const ProbeTask& task) {
    const std::uint32_t interval = std::max(task.check.interval, 1u);
    return {milliseconds(interval), milliseconds(hash_of(task) % interval)};
}

Time ProbePhase::next(Time after) const {
    const auto since = after.time_since_epoch() - phase;
    const auto rounds = std::chrono::floor<milliseconds>(since).count() / interval.count() + 1;
    return Time(phase + rounds * interval);
}

struct Prober::Impl {
    struct Entry {
        ProbeTask task;
        ProbePhase phase;
        Time due;      // of the next round, while none is under way
        Time started;  // the round under way
        bool running = false;
        std::chrono::nanoseconds longest_gap{0};  // of the loop, while under way
        unsigned voids = 0;                       // in a row
    };

    ProbeLedger* ledger;
    OnResult on_result;
    Clock clock;
    event* round_timer;
    event* beat_timer;
    ProbeTransfers transfers;
    Time last_seen;
    std::uint64_t next_tag = 1;
    std::unordered_map<std::uint64_t, Entry> entries;  // by tag
    std::map<std::pair<std::string, std::string>, std::uint64_t> by_name;
    std::set<std::pair<Time, std::uint64_t>> waiting;  // (due, tag)

    Impl(event_base* base, ProbeLedger* probe_ledger, OnResult result, Clock now)
        : ledger(probe_ledger),
          on_result(std::move(result)),
          clock(std::move(now)),
          round_timer(event_new(
              base, -1, 0,
              [](evutil_socket_t, short, void* self) { static_cast<Impl*>(self)->rounds(); },
              this)),
          beat_timer(event_new(
              base, -1, EV_PERSIST,
              [](evutil_socket_t, short, void* self) { static_cast<Impl*>(self)->observe(); },
              this)),
          transfers(
              base,
              [this](std::uint64_t tag, const TransferOutcome& outcome) { finish(tag, outcome); },
              [this] { observe(); }),
          last_seen(clock()) {
        const timeval period = to_timeval(heartbeat);
        if (round_timer == nullptr || beat_timer == nullptr ||
            event_add(beat_timer, &period) != 0) {
            throw std::bad_alloc();
        }
    }

    ~Impl() {
        event_free(round_timer);
        event_free(beat_timer);
    }

    // Every way from the event loop into this class begins here, so that a pause of the loop is
    // known before its first consequence is looked at.
    void observe() {
        const Time now = clock();
        const auto gap = now - last_seen;
        last_seen = now;
        if (gap <= 2 * heartbeat) return;
        for (auto& [tag, entry] : entries)
            entry.longest_gap = std::max(entry.longest_gap, gap);
    }

    // A pause of an interval makes any result old; a pause of half the timeout makes a timeout
    // our own fault.
    static bool is_void(const Entry& entry, const TransferOutcome& outcome) {
        if (entry.voids >= voids_in_a_row) return false;
        const milliseconds timeout(entry.task.check.timeout);
        return entry.longest_gap > entry.phase.interval ||
               (outcome.timed_out && entry.longest_gap > timeout / 2);
    }

    void schedule(std::uint64_t tag, Time due) {
        entries.at(tag).due = due;
        waiting.emplace(due, tag);
        arm();
    }

    void arm() {
        if (waiting.empty() || transfers.running() >= max_running) return;
        const timeval delay = to_timeval(waiting.begin()->first - clock());
        event_add(round_timer, &delay);
    }

    void rounds() {
        observe();
        const Time now = clock();
        for (unsigned started = 0; started < starts_per_pass; ++started) {
            if (waiting.empty() || waiting.begin()->first > now) break;
            if (transfers.running() >= max_running) break;
            const std::uint64_t tag = waiting.begin()->second;
            waiting.erase(waiting.begin());
            start(tag, entries.at(tag));
        }
        arm();
    }

    void start(std::uint64_t tag, Entry& entry) {
        entry.running = true;
        entry.started = clock();
        entry.longest_gap = {};
        transfers.start(tag, entry.task);
    }

    void finish(std::uint64_t tag, const TransferOutcome& outcome) {
        Entry& entry = entries.at(tag);
        entry.running = false;
        ProbeResult result{entry.task.service, entry.task.backend, outcome.success, outcome.detail,
                           outcome.seconds};
        const bool crossed = forget(outcome.flow);
        if (result.success && !crossed) {
            result.success = false;
            result.detail = fmt::format("probe did not cross port (TAP {})", entry.task.interface);
        }
        if (is_void(entry, outcome)) {
            ++entry.voids;
            schedule(tag, clock());
            return;
        }
        entry.voids = 0;
        // A round that came due while this one was under way starts at once: a backend that never
        // answers is known after `fall` intervals even if its timeout is as long as the interval.
        schedule(tag, entry.phase.next(entry.started + entry.phase.interval / 4));
        on_result(result);
    }

    // Frees the ledger's entry. True when the port saw packets both ways, or nobody counts.
    [[nodiscard]] bool forget(const ProbeFlow& flow) {
        if (ledger == nullptr) return true;
        if (flow.local_port == 0) return false;
        const ProbeLedger::Crossed crossed = ledger->take(flow);
        return crossed.out > 0 && crossed.in > 0;
    }

    void remove(std::uint64_t tag) {
        const auto found = entries.find(tag);
        const Entry& entry = found->second;
        if (entry.running) {
            static_cast<void>(forget(transfers.cancel(tag)));
        } else {
            waiting.erase({entry.due, tag});
        }
        entries.erase(found);
    }

    void add(ProbeTask task) {
        const std::uint64_t tag = next_tag++;
        by_name[{task.service, task.backend}] = tag;
        const ProbePhase phase = ProbePhase::of(task);
        const milliseconds jitter(hash_of(task) % static_cast<std::uint64_t>(first_within.count()));
        entries.emplace(tag, Entry{std::move(task), phase, {}, {}, false, {}, 0});
        schedule(tag, clock() + jitter);
    }
};

Prober::Prober(event_base* base, ProbeLedger* ledger, OnResult on_result, Clock clock)
    : impl_(std::make_unique<Impl>(base, ledger, std::move(on_result), std::move(clock))) {}

Prober::~Prober() = default;

void Prober::set_tasks(std::vector<ProbeTask> tasks) {
    std::map<std::pair<std::string, std::string>, ProbeTask> wanted;
    for (ProbeTask& task : tasks)
        wanted.insert_or_assign({task.service, task.backend}, std::move(task));
    for (auto it = impl_->by_name.begin(); it != impl_->by_name.end();) {
        const auto found = wanted.find(it->first);
        if (found != wanted.end() && found->second == impl_->entries.at(it->second).task) {
            wanted.erase(found);
            ++it;
        } else {
            impl_->remove(it->second);
            it = impl_->by_name.erase(it);
        }
    }
    for (auto& [name, task] : wanted)
        impl_->add(std::move(task));
}

}  // namespace weir
