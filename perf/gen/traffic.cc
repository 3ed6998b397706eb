// SPDX-License-Identifier: BSD-3-Clause
#include "perf/gen/traffic.hh"

#include <algorithm>
#include <fstream>

#include <fmt/format.h>
#include <rte_cycles.h>

namespace weir::gen {

namespace {

// Nanoseconds that a thread has run: the first number of its schedstat. 0 when it is gone.
std::uint64_t ran(const std::string& path) {
    std::uint64_t nanoseconds = 0;
    std::ifstream(path) >> nanoseconds;
    return nanoseconds;
}

std::vector<std::uint64_t> ran_all(const std::vector<unsigned>& threads) {
    std::vector<std::uint64_t> all{ran("/proc/thread-self/schedstat")};
    for (const unsigned thread : threads)
        all.push_back(ran(fmt::format("/proc/{}/schedstat", thread)));
    return all;
}

// Of 32-bit numbers spread evenly, this share lies below.
std::uint32_t threshold(double share) {
    return static_cast<std::uint32_t>(std::min(share * 4294967296.0, 4294967295.0));
}

constexpr unsigned least_receive = 64;

// Who does not look for longer finds packets that have waited for him.
constexpr double away_seconds = 4e-6;

}  // namespace

Counts Counts::operator-(const Counts& earlier) const noexcept {
    Counts result{offered - earlier.offered,
                  sent - earlier.sent,
                  returned - earlier.returned,
                  bursts - earlier.bursts,
                  full_bursts - earlier.full_bursts,
                  {},
                  {}};
    for (std::size_t i = 0; i < verdict_count; ++i)
        result.verdicts[i] = verdicts[i] - earlier.verdicts[i];
    result.fresh = {fresh.offered - earlier.fresh.offered, fresh.sent - earlier.fresh.sent,
                    fresh.returned - earlier.fresh.returned, fresh.right - earlier.fresh.right};
    return result;
}

Traffic::Traffic(Link& link, const Frames& frames, Checker& checker, const TrafficOptions& options)
    : link_(link),
      frames_(frames),
      checker_(checker),
      options_(options),
      hertz_(static_cast<double>(rte_get_tsc_hz())) {
    set_options(options);
    checker_.set_sent(options.flows);
}

void Traffic::set_options(const TrafficOptions& options) noexcept {
    options_ = options;
    if (options.syn >= 0) syn_threshold_ = threshold(options.syn);
    fresh_threshold_ = threshold(options.fresh);
}

// A share of SYNs is spread evenly: multiples of the golden ratio.
bool Traffic::is_syn(std::uint64_t number, bool first_pass) const noexcept {
    if (options_.syn < 0) return first_pass;
    if (options_.syn >= 1) return true;
    return static_cast<std::uint32_t>(number * 0x9e37'79b1u) < syn_threshold_;
}

// How many packets may be sent before others are back. What an earlier run lost is on no way.
double Traffic::room() const noexcept {
    const auto back = [](const Counts& counts) {
        return counts.returned - counts.of(Verdict::other);
    };
    const std::uint64_t sent = counts_.sent - before_.sent, came = back(counts_) - back(before_);
    const std::uint64_t away = sent > came ? sent - came : 0;
    return away < options_.most_away ? static_cast<double>(options_.most_away - away) : 0;
}

// How many packets the rate, and the last pass, allow now. A backlog of more than four bursts is
// given up: it counts as offered, not as sent. With latency of more than one: what would come in a
// heap after our CPU was taken waits for itself, and says nothing of the other end.
unsigned Traffic::due(std::uint64_t now) noexcept {
    double most = options_.burst;
    if (finished()) return 0;
    if (passes_ + 1 == options_.passes)
        most = std::min(most, static_cast<double>(options_.flows - flow_));
    if (options_.most_away != 0) most = std::min(most, room());
    if (options_.rate <= 0) return static_cast<unsigned>(most);
    tokens_ += options_.rate * static_cast<double>(now - last_due_) / hertz_;
    last_due_ = now;
    const double backlog = (options_.latency ? 1.0 : 4.0) * options_.burst;
    if (tokens_ > backlog) {
        const auto late = static_cast<std::uint64_t>(tokens_ - backlog);
        counts_.offered += late;
        tokens_ -= static_cast<double>(late);
    }
    return static_cast<unsigned>(std::min(tokens_, most));
}

void Traffic::send() noexcept {
    const unsigned wanted = due(rte_rdtsc());
    if (wanted == 0) return;
    std::uint8_t* frames[Link::most_burst];
    const unsigned room = link_.claim({frames, wanted});
    std::uint64_t flow = flow_, fresh_sent = next_fresh_;
    bool first_pass = passes_ == 0;
    const std::uint64_t stamp = options_.latency ? rte_rdtsc() : 0;
    for (unsigned i = 0; i < room; ++i) {
        if (is_fresh(counts_.sent + i)) {
            frames_.set_flow(frames[i], fresh_flow(fresh_sent++), true, stamp);
            continue;
        }
        frames_.set_flow(frames[i], static_cast<std::uint32_t>(flow),
                         is_syn(counts_.sent + i, first_pass), stamp);
        if (++flow == options_.flows) flow = 0, first_pass = false;
    }
    if (fresh_sent != next_fresh_) checker_.set_sent(options_.flows + fresh_sent);
    const unsigned taken = link_.send(room);
    const unsigned fresh_taken = count_fresh(taken);
    counts_.fresh.offered += count_fresh(wanted);
    counts_.offered += wanted;
    counts_.sent += taken;
    ++counts_.bursts;
    if (taken < wanted) ++counts_.full_bursts;  // the rest comes again, so no flow is left out
    next_fresh_ += fresh_taken;
    counts_.fresh.sent += fresh_taken;
    advance(taken - fresh_taken);
    if (options_.rate > 0) tokens_ -= wanted;
}

// Of the next `packets`.
unsigned Traffic::count_fresh(unsigned packets) const noexcept {
    if (!flooding_) return 0;
    unsigned count = 0;
    for (unsigned i = 0; i < packets; ++i)
        count += is_fresh(counts_.sent + i);
    return count;
}

// So many packets of the known flows were sent.
void Traffic::advance(unsigned known) noexcept {
    flow_ += known;
    while (flow_ >= options_.flows)
        flow_ -= options_.flows, ++passes_;
}

// Behind the known flows, and from the start again when 32 bits are used up.
std::uint32_t Traffic::fresh_flow(std::uint64_t number) const noexcept {
    const std::uint64_t all = (std::uint64_t{1} << 32) - options_.flows;
    return static_cast<std::uint32_t>(options_.flows + (number < all ? number : number % all));
}

void Traffic::time(std::uint64_t now, std::uint64_t stamp) noexcept {
    if (late_)
        ++untimed_;
    else
        latency_.add((now - stamp) & stamp_mask);
}

// When somebody else had our CPU, packets waited for us and not for the other end. What comes until
// the ring is empty again is not timed.
void Traffic::watch_ourselves(std::uint64_t now, unsigned received) noexcept {
    const auto most = static_cast<std::uint64_t>(hertz_ * away_seconds);
    if (last_poll_ != 0 && now - last_poll_ > most)
        late_ = true;
    else if (received == 0)
        late_ = false;
    last_poll_ = now;
}

unsigned Traffic::receive() noexcept {
    const std::span<Frame> frames(came_);
    const unsigned count = link_.receive(frames.first(std::max(options_.burst, least_receive)));
    const std::uint64_t now = options_.latency ? rte_rdtsc() : 0;
    if (options_.latency) watch_ourselves(now, count);
    for (unsigned i = 0; i < count; ++i) {
        if (i + asked_ahead < count) ask_for(frames[i + asked_ahead]);
        const Opened judged = checker_.judge(frames[i]);
        ++counts_.verdicts[static_cast<std::size_t>(judged.verdict)];
        const bool right = judged.verdict == Verdict::right;
        if (judged.flow >= options_.flows) {
            ++counts_.fresh.returned;
            counts_.fresh.right += right;
        }
        if (options_.latency && right) time(now, judged.stamp);
    }
    counts_.returned += count;
    link_.release();
    return count;
}

void Traffic::spin_until(std::uint64_t end, const std::atomic<bool>& stop) noexcept {
    while (rte_rdtsc() < end && !finished() && !stop.load(std::memory_order_relaxed)) {
        receive();
        send();
    }
}

// Until the time is over and every flow was sent, but 60 s at most.
void Traffic::warm_up(const std::atomic<bool>& stop) noexcept {
    if (options_.warmup <= 0) return;
    const std::uint64_t start = rte_rdtsc(), slice = static_cast<std::uint64_t>(hertz_ / 100);
    const auto least = static_cast<std::uint64_t>(options_.warmup * hertz_);
    const auto most = std::max(least, static_cast<std::uint64_t>(60 * hertz_));
    for (std::uint64_t past = 0; past < least || (!warm() && past < most);
         past = rte_rdtsc() - start) {
        if (stop.load(std::memory_order_relaxed)) return;
        spin_until(rte_rdtsc() + slice, stop);
    }
}

// Until nothing came for a while, but 2 s at most. The other end must take the last packets from
// the ring before we leave and the ring with us.
void Traffic::drain() noexcept {
    const auto quiet = static_cast<std::uint64_t>(hertz_ * options_.quiet);
    const std::uint64_t start = rte_rdtsc(), most = static_cast<std::uint64_t>(2 * hertz_);
    for (std::uint64_t last = start; rte_rdtsc() - last < quiet && rte_rdtsc() - start < most;)
        if (receive() != 0) last = rte_rdtsc();
}

void Traffic::run(const std::function<void(const Window&)>& told, const std::atomic<bool>& stop) {
    before_ = counts_;
    windows_.clear();
    flooding_ = late_ = false;
    untimed_ = last_poll_ = 0;
    tokens_ = 0;
    last_due_ = rte_rdtsc();
    warm_up(stop);
    flooding_ = options_.fresh > 0;
    latency_ = {};
    std::vector<std::uint64_t> at_before = checker_.packets();
    const auto length = static_cast<std::uint64_t>(hertz_ * options_.window);
    std::uint64_t begin = rte_rdtsc();
    const std::uint64_t end = begin + static_cast<std::uint64_t>(options_.seconds * hertz_);
    Counts before = counts_;
    auto ran_before = ran_all(options_.watch);
    while (begin + length / 20 < end && !finished() && !stop.load(std::memory_order_relaxed)) {
        spin_until(std::min(begin + length, end), stop);
        const std::uint64_t now = rte_rdtsc();
        const auto ran_now = ran_all(options_.watch);
        Window window{
            static_cast<double>(now - begin) / hertz_, counts_ - before, {}, latency_, {}};
        latency_ = {};
        for (std::size_t i = 0; i < at_before.size(); ++i)
            window.at_backends.push_back(checker_.packets()[i] - at_before[i]);
        at_before = checker_.packets();
        for (std::size_t i = 0; i < ran_now.size(); ++i)
            window.cpu_shares.push_back(static_cast<double>(ran_now[i] - ran_before[i]) / 1e9 /
                                        window.seconds);
        windows_.push_back(window);
        told(window);
        before = counts_;
        ran_before = ran_now;
        begin = now;
    }
    drain();
}

}  // namespace weir::gen
