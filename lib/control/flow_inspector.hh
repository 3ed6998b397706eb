// SPDX-License-Identifier: BSD-3-Clause
// FlowInspector: lists flows by asking the workers through their mailboxes (dataplane/inspect.hh),
// without touching a connection table. Questions are answered one after the other; a timer of 1 ms
// looks for answers, so nothing waits. Control thread only.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/balance/ids.hh"
#include "lib/control/api.hh"
#include "lib/control/registry.hh"
#include "lib/dataplane/inspect.hh"
#include "lib/wire/address.hh"
#include "lib/wire/result.hh"

struct event;
struct event_base;

namespace weir {

struct FlowQuery {
    std::string service, backend;    // empty: any
    std::optional<IpPrefix> source;  // of the client
    std::size_t limit = 100;         // 1 .. 10000
};
// From ?service=&backend=&src=&limit=. Fails on unknown names and malformed values.
Result<FlowQuery> parse_flow_query(const std::map<std::string, std::string>& query);

class FlowInspector {
public:
    static constexpr std::size_t most_waiting = 16;

    struct Setup {
        event_base* base = nullptr;
        std::vector<FlowMailbox*> mailboxes;  // by worker
        std::function<Tick()> now;
        std::function<Registry::BackendName(BackendId)> backend_name;
        std::function<Registry::EndpointKey(EndpointId)> endpoint;
        std::chrono::milliseconds deadline{5000};  // of one question
    };
    explicit FlowInspector(Setup setup);
    // Answers what still waits with 503.
    ~FlowInspector();
    FlowInspector(const FlowInspector&) = delete;
    FlowInspector& operator=(const FlowInspector&) = delete;

    // Answers {"flows": [...], "truncated": bool, "silent_workers": [...]}: truncated when the
    // limit ended the list, silent_workers when the deadline did. 503 when too many questions wait.
    void ask(FlowQuery query, ApiReply reply);
    // Questions that are not with the workers yet.
    [[nodiscard]] std::size_t waiting() const noexcept { return waiting_.size(); }

private:
    struct Question;
    struct Worker {
        FlowMailbox* mailbox = nullptr;
        std::unique_ptr<FlowDump> dump;
        bool posted = false;  // the dump belongs to the worker
        bool stale = false;   // posted for a question that was answered meanwhile
        bool done = false;
    };
    void step();
    void begin();
    void collect();
    void post();
    void take(const Worker& worker, std::size_t number);
    void finish();
    [[nodiscard]] bool all_done() const;

    Setup setup_;
    std::vector<Worker> workers_;
    std::deque<std::unique_ptr<Question>> waiting_;
    std::unique_ptr<Question> current_;
    event* timer_ = nullptr;
};

}  // namespace weir
