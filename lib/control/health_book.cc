// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/health_book.hh"

#include "lib/control/metrics.hh"

namespace weir {
namespace {

double seconds_between(HealthBook::Time from, HealthBook::Time to) {
    return std::chrono::duration<double>(to - from).count();
}

bool same_check(const ProbeTask& left, const ProbeTask& right) {
    return left.address == right.address && left.port == right.port && left.check == right.check;
}

}  // namespace

std::string liveness_text(Liveness liveness) {
    switch (liveness) {
        case Liveness::up:
            return "up";
        case Liveness::down:
            return "down";
        case Liveness::unknown:
            break;
    }
    return "unknown";
}

void HealthBook::set_tasks(const std::vector<ProbeTask>& tasks, Time now) {
    std::map<Key, Record> next;
    for (const auto& task : tasks) {
        Key key{task.service, task.backend};
        const auto old = records_.find(key);
        if (old != records_.end() && same_check(old->second.task, task)) {
            next[std::move(key)] = std::move(old->second);
            continue;
        }
        Record& record = next[std::move(key)];
        record.task = task;
        record.buckets.assign(probe_duration_bounds.size() + 1, 0);
        record.since = now;
    }
    records_ = std::move(next);
}

std::optional<HealthBook::Change> HealthBook::record(const ProbeResult& result, Time now) {
    const auto found = records_.find({result.service, result.backend});
    if (found == records_.end()) return std::nullopt;
    Record& record = found->second;
    ++(result.success ? record.successes : record.failures);
    record.detail = result.detail;
    record.last_seconds = result.seconds;
    record.duration_sum += result.seconds;
    for (std::size_t i = 0; i < probe_duration_bounds.size(); ++i) {
        if (result.seconds <= probe_duration_bounds[i]) ++record.buckets[i];
    }
    ++record.buckets.back();
    const Liveness before = record.state.liveness();
    const HealthConfig& check = record.task.check;
    if (!record.state.record(result.success, check.rise, check.fall)) return std::nullopt;
    const Liveness after = record.state.liveness();
    const double spent = seconds_between(record.since, now);
    record.since = now;
    // Unknown counts as up, so only the first "up" changes nothing.
    if (before != Liveness::unknown || after == Liveness::down) ++record.transitions;
    return Change{before, after, spent};
}

std::map<HealthBook::Key, Liveness> HealthBook::liveness() const {
    std::map<Key, Liveness> result;
    for (const auto& [key, record] : records_)
        result[key] = record.state.liveness();
    return result;
}

const std::string& HealthBook::detail(const Key& key) const {
    static const std::string none;
    const auto found = records_.find(key);
    return found != records_.end() ? found->second.detail : none;
}

std::vector<HealthView> HealthBook::views(Time now) const {
    std::vector<HealthView> result;
    result.reserve(records_.size());
    for (const auto& [key, record] : records_) {
        HealthView& view = result.emplace_back();
        view.service = key.first;
        view.backend = key.second;
        view.check = record.task.check.name;
        view.detail = record.detail;
        view.state = liveness_text(record.state.liveness());
        view.streak = record.state.streak();
        view.successes = record.successes;
        view.failures = record.failures;
        view.transitions = record.transitions;
        view.last_seconds = record.last_seconds;
        view.since_seconds = seconds_between(record.since, now);
        view.duration_buckets = record.buckets;
        view.duration_sum = record.duration_sum;
    }
    return result;
}

}  // namespace weir
