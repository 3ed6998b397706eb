// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/flow_inspector.hh"

#include <algorithm>
#include <charconv>

#include <event2/event.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "lib/control/json.hh"

namespace weir {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t largest_limit = 10'000;
constexpr std::size_t entries_a_dump = 1024;

std::string protocol_name(std::uint8_t protocol) {
    switch (protocol) {
        case 1:
            return "icmp";
        case 6:
            return "tcp";
        case 17:
            return "udp";
        case 58:
            return "icmpv6";
        case 132:
            return "sctp";
        default:
            return fmt::format("{}", protocol);
    }
}

const char* state_name(FlowState state) {
    switch (state) {
        case FlowState::syn:
            return "syn";
        case FlowState::established:
            return "established";
        case FlowState::fin:
            return "fin";
        case FlowState::untracked:
            break;
    }
    return "untracked";
}

ApiResponse unavailable(const std::string& sentence) {
    return {503, "application/json", json_text({{"error", sentence}})};
}

}  // namespace

struct FlowInspector::Question {
    FlowQuery query;
    ApiReply reply;
    Clock::time_point asked = Clock::now();
    nlohmann::json flows = nlohmann::json::array();
    bool truncated = false;
};

Result<FlowQuery> parse_flow_query(const std::map<std::string, std::string>& query) {
    FlowQuery result;
    for (const auto& [name, value] : query) {
        if (name == "service") {
            result.service = value;
        } else if (name == "backend") {
            result.backend = value;
        } else if (name == "src") {
            result.source = parse_prefix(value);
            if (!result.source) {
                return Error{
                    fmt::format("src '{}' is not an address or prefix, such as "
                                "192.0.2.0/24",
                                value)};
            }
        } else if (name == "limit") {
            const auto [end, error] =
                std::from_chars(value.data(), value.data() + value.size(), result.limit);
            if (error != std::errc() || end != value.data() + value.size() || result.limit < 1 ||
                result.limit > largest_limit) {
                return Error{
                    fmt::format("limit '{}' is not a number from 1 to {}", value, largest_limit)};
            }
        } else {
            return Error{
                fmt::format("no filter '{}': there are service, backend, src, limit", name)};
        }
    }
    return result;
}

FlowInspector::FlowInspector(Setup setup) : setup_(std::move(setup)) {
    for (FlowMailbox* mailbox : setup_.mailboxes) {
        Worker& worker = workers_.emplace_back();
        worker.mailbox = mailbox;
        worker.dump = std::make_unique<FlowDump>();
    }
    timer_ = event_new(
        setup_.base, -1, EV_PERSIST,
        [](evutil_socket_t, short, void* self) { static_cast<FlowInspector*>(self)->step(); },
        this);
}

FlowInspector::~FlowInspector() {
    event_free(timer_);
    if (current_) waiting_.push_front(std::move(current_));
    for (const auto& question : waiting_)
        question->reply(unavailable("weir is stopping"));
    // A worker may still write into a dump that it holds: that one must outlive everybody.
    static std::vector<std::unique_ptr<FlowDump>> abandoned;
    for (auto& worker : workers_) {
        if (worker.posted && worker.mailbox->collect() == nullptr) {
            abandoned.push_back(std::move(worker.dump));
        }
    }
}

void FlowInspector::ask(FlowQuery query, ApiReply reply) {
    if (waiting_.size() >= most_waiting) {
        reply(unavailable("too many flow lists are being made; ask again in a moment"));
        return;
    }
    auto question = std::make_unique<Question>();
    question->query = std::move(query);
    question->reply = std::move(reply);
    waiting_.push_back(std::move(question));
    const timeval every{0, 1000};
    if (event_pending(timer_, EV_TIMEOUT, nullptr) == 0) event_add(timer_, &every);
}

void FlowInspector::step() {
    collect();
    if (!current_ && !waiting_.empty()) begin();
    if (current_) {
        const bool late = Clock::now() - current_->asked > setup_.deadline;
        if (current_->truncated || all_done() || late) {
            finish();
        } else {
            post();
        }
    }
    const bool outstanding = std::ranges::any_of(workers_, &Worker::posted);
    if (!current_ && waiting_.empty() && !outstanding) event_del(timer_);
}

void FlowInspector::begin() {
    current_ = std::move(waiting_.front());
    waiting_.pop_front();
    current_->asked = Clock::now();
    for (auto& worker : workers_) {
        worker.done = false;
        if (!worker.posted) worker.dump->cursor = 0;
    }
}

void FlowInspector::collect() {
    for (std::size_t number = 0; number < workers_.size(); ++number) {
        Worker& worker = workers_[number];
        if (!worker.posted || worker.mailbox->collect() == nullptr) continue;
        worker.posted = false;
        if (worker.stale) {
            worker.stale = false;
            worker.dump->cursor = 0;
            continue;
        }
        worker.done = worker.dump->end;
        if (current_) take(worker, number);
    }
}

void FlowInspector::post() {
    for (auto& worker : workers_) {
        if (worker.posted || worker.done) continue;
        worker.dump->entries.resize(entries_a_dump);
        worker.dump->filled = 0;
        worker.dump->end = false;
        worker.posted = true;
        worker.mailbox->post(worker.dump.get());
    }
}

void FlowInspector::take(const Worker& worker, std::size_t number) {
    const FlowQuery& query = current_->query;
    for (std::size_t i = 0; i < worker.dump->filled; ++i) {
        const FlowRecord& entry = worker.dump->entries[i];
        const std::int32_t left = elapsed(setup_.now(), entry.expires);
        if (left < 0) continue;
        const Registry::EndpointKey endpoint = setup_.endpoint(EndpointId{entry.endpoint});
        const IpAddress source{entry.client, endpoint.vip.family};
        if (query.source && !query.source->contains(source)) continue;
        const auto [service, backend] = setup_.backend_name(BackendId{entry.backend});
        if (!query.service.empty() && service != query.service) continue;
        if (!query.backend.empty() && backend != query.backend) continue;
        if (current_->flows.size() >= query.limit) {
            current_->truncated = true;
            return;
        }
        const std::uint8_t protocol = entry.protocol != 0 ? entry.protocol : endpoint.protocol;
        current_->flows.push_back({{"protocol", protocol_name(protocol)},
                                   {"source", to_string(source)},
                                   {"source_port", entry.client_port},
                                   {"destination", to_string(endpoint.vip)},
                                   {"destination_port", endpoint.first_port == endpoint.last_port
                                                            ? endpoint.first_port
                                                            : entry.destination_port},
                                   {"service", service},
                                   {"backend", backend},
                                   {"state", state_name(entry.state)},
                                   {"expires_ms", left},
                                   {"worker", fmt::format("worker{}", number)}});
    }
}

bool FlowInspector::all_done() const {
    return std::ranges::all_of(workers_, &Worker::done);
}

void FlowInspector::finish() {
    nlohmann::json silent = nlohmann::json::array();
    for (std::size_t number = 0; number < workers_.size(); ++number) {
        Worker& worker = workers_[number];
        if (!worker.done && !current_->truncated) silent.push_back(fmt::format("worker{}", number));
        worker.stale = worker.posted;
    }
    const auto question = std::move(current_);
    question->reply({200, "application/json",
                     json_text({{"flows", std::move(question->flows)},
                                {"truncated", question->truncated},
                                {"silent_workers", std::move(silent)}})});
}

}  // namespace weir
