// SPDX-License-Identifier: BSD-3-Clause
#include "perf/gen/report.hh"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <rte_cycles.h>

namespace weir::gen {

namespace {

using nlohmann::json;

constexpr std::size_t listed_backends = 20;

double mpps(std::uint64_t packets, double seconds) {
    return seconds > 0 ? static_cast<double>(packets) / seconds / 1e6 : 0;
}

double percent(std::uint64_t part, std::uint64_t whole) {
    return whole == 0 ? 0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

// More came back than was sent: copies.
std::uint64_t surplus(const Counts& counts) {
    const std::uint64_t ours = counts.returned - counts.of(Verdict::other);
    return ours > counts.sent ? ours - counts.sent : 0;
}

std::uint64_t lost(const Counts& counts) {
    const std::uint64_t ours = counts.returned - counts.of(Verdict::other);
    return counts.sent > ours ? counts.sent - ours : 0;
}

std::string wrong_by_kind(const Counts& counts) {
    std::string text;
    for (std::size_t i = 2; i < verdict_count; ++i)
        if (counts.verdicts[i] != 0)
            text += fmt::format("  {} {}", name_of(static_cast<Verdict>(i)), counts.verdicts[i]);
    return text;
}

// Known flows: all but the fresh ones.
json parts_json(const Counts& counts) {
    const auto part = [](std::uint64_t offered, std::uint64_t sent, std::uint64_t returned,
                         std::uint64_t right) -> json {
        return {{"offered", offered},        {"sent", sent},
                {"returned", returned},      {"right", right},
                {"wrong", returned - right}, {"lost", sent > returned ? sent - returned : 0}};
    };
    const Counts::Fresh& fresh = counts.fresh;
    return {{"established", part(counts.offered - fresh.offered, counts.sent - fresh.sent,
                                 counts.returned - counts.of(Verdict::other) - fresh.returned,
                                 counts.of(Verdict::right) - fresh.right)},
            {"new", part(fresh.offered, fresh.sent, fresh.returned, fresh.right)}};
}

double nanoseconds(double cycles) {
    return cycles * 1e9 / static_cast<double>(rte_get_tsc_hz());
}

json latency_json(const Histogram& latency) {
    return {{"packets", latency.count()},
            {"p50_ns", nanoseconds(latency.quantile(0.5))},
            {"p90_ns", nanoseconds(latency.quantile(0.9))},
            {"p99_ns", nanoseconds(latency.quantile(0.99))},
            {"p999_ns", nanoseconds(latency.quantile(0.999))},
            {"max_ns", nanoseconds(static_cast<double>(latency.most()))}};
}

std::string latency_words(const Histogram& latency) {
    return fmt::format("  us away: p50 {:.2f} p99 {:.2f} max {:.1f}",
                       nanoseconds(latency.quantile(0.5)) / 1e3,
                       nanoseconds(latency.quantile(0.99)) / 1e3,
                       nanoseconds(static_cast<double>(latency.most())) / 1e3);
}

std::string parts_words(const Counts& counts) {
    const json parts = parts_json(counts);
    std::string text;
    for (const char* part : {"established", "new"}) {
        const json& one = parts[part];
        text += fmt::format("{}: {} sent, {} returned, {} right, {} wrong, {} lost\n", part,
                            one["sent"].get<std::uint64_t>(), one["returned"].get<std::uint64_t>(),
                            one["right"].get<std::uint64_t>(), one["wrong"].get<std::uint64_t>(),
                            one["lost"].get<std::uint64_t>());
    }
    return text;
}

json counts_json(const Counts& counts) {
    json wrong = json::object();
    for (std::size_t i = 2; i < verdict_count; ++i)
        wrong[std::string(name_of(static_cast<Verdict>(i)))] = counts.verdicts[i];
    return {{"offered", counts.offered},
            {"sent", counts.sent},
            {"returned", counts.returned},
            {"right", counts.of(Verdict::right)},
            {"other", counts.of(Verdict::other)},
            {"wrong", counts.wrong()},
            {"wrong_by_kind", std::move(wrong)},
            {"full_share", percent(counts.full_bursts, counts.bursts) / 100}};
}

Window sum_of(const std::vector<Window>& windows) {
    Window sum;
    for (const Window& window : windows) {
        sum.seconds += window.seconds;
        sum.counts.offered += window.counts.offered;
        sum.counts.sent += window.counts.sent;
        sum.counts.returned += window.counts.returned;
        sum.counts.bursts += window.counts.bursts;
        sum.counts.full_bursts += window.counts.full_bursts;
        sum.latency.add(window.latency);
        for (std::size_t i = 0; i < verdict_count; ++i)
            sum.counts.verdicts[i] += window.counts.verdicts[i];
    }
    return sum;
}

}  // namespace

bool held(const Counts& counts, Forwarding forwarding) {
    if (forwarding == Forwarding::junk) return counts.sent > 0;
    return counts.wrong() == 0 && surplus(counts) == 0 && counts.of(Verdict::right) > 0;
}

std::string heading() {
    return fmt::format("{:>9} {:>9} {:>9} {:>9} {:>9} {:>7} {:>5}\n", "offered", "sent", "returned",
                       "right", "wrong", "full %", "CPU %");
}

std::string line_of(const Window& window) {
    const Counts& c = window.counts;
    const double s = window.seconds;
    const double share = window.cpu_shares.empty() ? 0 : window.cpu_shares.front();
    return fmt::format(
        "{:9.3f} {:9.3f} {:9.3f} {:9.3f} {:9.3f} {:7.1f} {:5.0f}{}\n", mpps(c.offered, s),
        mpps(c.sent, s), mpps(c.returned, s), mpps(c.of(Verdict::right), s), mpps(c.wrong(), s),
        percent(c.full_bursts, c.bursts), 100 * share,
        (window.latency.count() != 0 ? latency_words(window.latency) : "") + wrong_by_kind(c));
}

std::string summary(const Traffic& traffic, const Checker& checker,
                    const Expectation& expectation) {
    const Counts all = traffic.counts();
    const Window sum = sum_of(traffic.windows());
    std::string text = fmt::format(
        "packets in all: {} offered, {} sent, {} returned, {} lost ({:.4f} %)\n"
        "{} right, {} wrong, {} other (ARP, ND and the like)\n",
        all.offered, all.sent, all.returned, lost(all), percent(lost(all), all.sent),
        all.of(Verdict::right), all.wrong(), all.of(Verdict::other));
    if (all.wrong() != 0) text += fmt::format("wrong by kind:{}\n", wrong_by_kind(all));
    if (surplus(all) != 0)
        text += fmt::format("{} packets more came back than were sent\n", surplus(all));
    text += fmt::format(
        "rates over {:.1f} s: {:.3f} Mpps sent, {:.3f} Mpps right; the link was full in {:.1f} % "
        "of bursts\n",
        sum.seconds, mpps(sum.counts.sent, sum.seconds),
        mpps(sum.counts.of(Verdict::right), sum.seconds),
        percent(sum.counts.full_bursts, sum.counts.bursts));
    if (all.fresh.offered != 0) text += parts_words(all);
    if (checker.rehomed() != 0)
        text += fmt::format("{} flows left a backend that may leave\n", checker.rehomed());
    if (sum.latency.count() != 0)
        text += fmt::format("{} packets timed, {} not, as we were away ourselves;{}\n",
                            sum.latency.count(), traffic.untimed(), latency_words(sum.latency));
    const auto flows = checker.flows();
    for (std::size_t i = 0; i < flows.size() && i < listed_backends; ++i)
        text += fmt::format("  {}: {} flows, {} packets\n", expectation.backends[i].name, flows[i],
                            checker.packets()[i]);
    if (flows.size() > listed_backends)
        text += fmt::format("  and {} more backends\n", flows.size() - listed_backends);
    const bool good = held(all, expectation.forwarding);
    return text + (good                          ? "ok\n"
                   : all.of(Verdict::right) == 0 ? "FAILED: nothing right came back\n"
                                                 : "FAILED: see above\n");
}

std::string json_summary(const Traffic& traffic, const Checker& checker,
                         const Expectation& expectation) {
    json windows = json::array();
    for (const Window& window : traffic.windows()) {
        json one = counts_json(window.counts);
        one["seconds"] = window.seconds;
        one["right_mpps"] = mpps(window.counts.of(Verdict::right), window.seconds);
        one["sent_mpps"] = mpps(window.counts.sent, window.seconds);
        one["cpu_shares"] = window.cpu_shares;
        one["at_backends"] = window.at_backends;
        if (window.latency.count() != 0) one["latency"] = latency_json(window.latency);
        windows.push_back(std::move(one));
    }
    json backends = json::array();
    const auto flows = checker.flows();
    for (std::size_t i = 0; i < flows.size(); ++i)
        backends.push_back({{"name", expectation.backends[i].name},
                            {"flows", flows[i]},
                            {"packets", checker.packets()[i]}});
    json result = counts_json(traffic.counts());
    result["ok"] = held(traffic.counts(), expectation.forwarding);
    result["lost"] = lost(traffic.counts());
    result["surplus"] = surplus(traffic.counts());
    result["rehomed"] = checker.rehomed();
    result.update(parts_json(traffic.counts()));
    if (const Window sum = sum_of(traffic.windows()); sum.latency.count() != 0) {
        result["latency"] = latency_json(sum.latency);
        result["latency"]["untimed"] = traffic.untimed();
    }
    result["windows"] = std::move(windows);
    result["backends"] = std::move(backends);
    return result.dump() + "\n";
}

}  // namespace weir::gen
