// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/probe_transfer.hh"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <unordered_map>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <curl/curl.h>
#include <event2/event.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace weir {

namespace {

std::string error_words(int error) {
    std::string words = std::generic_category().message(error);
    if (!words.empty() && words[0] >= 'A' && words[0] <= 'Z') {
        words[0] = static_cast<char>(words[0] - 'A' + 'a');
    }
    return words;
}

// One probe under way. Reused, never freed while the multi handle lives: a connection that is
// being closed still calls back into it.
struct Transfer {
    CURL* easy = nullptr;
    curl_slist* headers = nullptr;
    std::uint64_t tag = 0;
    ProbeTask task;
    std::string url;
    ProbeFlow flow;
    std::string socket_error;  // why the socket could not be made
    std::size_t header_bytes = 0, body_bytes = 0;

    [[nodiscard]] bool http() const noexcept { return task.check.type == HealthType::http; }
};

// The local port is known once connect() has been called; a bind() alone leaves it open, so that
// the kernel can choose one that is free towards this backend.
void note_local_port(Transfer& transfer, curl_socket_t fd) {
    if (transfer.flow.local_port != 0) return;
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return;
    ProbeFlow& flow = transfer.flow;
    if (address.ss_family == AF_INET) {
        sockaddr_in in{};
        std::memcpy(&in, &address, sizeof in);
        flow.local.family = Family::v4;
        std::memcpy(flow.local.bytes.data(), &in.sin_addr, 4);
        flow.local_port = ntohs(in.sin_port);
    } else if (address.ss_family == AF_INET6) {
        sockaddr_in6 in{};
        std::memcpy(&in, &address, sizeof in);
        flow.local.family = Family::v6;
        std::memcpy(flow.local.bytes.data(), &in.sin6_addr, 16);
        flow.local_port = ntohs(in.sin6_port);
    }
}

int bind_source(int fd, const IpAddress& source) {
    const int on = 1;
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (source.family == Family::v4) {
        sockaddr_in in{};
        in.sin_family = AF_INET;
        std::memcpy(&in.sin_addr, source.bytes.data(), 4);
        return bind(fd, reinterpret_cast<const sockaddr*>(&in), sizeof in);
    }
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    std::memcpy(&in.sin6_addr, source.bytes.data(), 16);
    return bind(fd, reinterpret_cast<const sockaddr*>(&in), sizeof in);
}

// Since Linux 5.7 a socket that is bound to no device yet may be bound to one without CAP_NET_RAW.
curl_socket_t open_socket(void* user, curlsocktype, curl_sockaddr* address) {
    auto& transfer = *static_cast<Transfer*>(user);
    const ProbeTask& task = transfer.task;
    const int fd = socket(address->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0) {
        transfer.socket_error = fmt::format("cannot open a socket: {}", error_words(errno));
        return CURL_SOCKET_BAD;
    }
    if (!task.interface.empty() &&
        setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, task.interface.c_str(),
                   static_cast<socklen_t>(task.interface.size() + 1)) != 0) {
        transfer.socket_error =
            fmt::format("cannot bind to TAP {}: {}", task.interface, error_words(errno));
    } else if (task.source.family == task.address.family && !is_unspecified(task.source) &&
               bind_source(fd, task.source) != 0) {
        transfer.socket_error =
            fmt::format("cannot bind to source {}: {}", to_string(task.source), error_words(errno));
    }
    if (transfer.socket_error.empty()) return fd;
    close(fd);
    return CURL_SOCKET_BAD;
}

int close_socket(void* user, curl_socket_t fd) {
    note_local_port(*static_cast<Transfer*>(user), fd);
    return close(fd);
}

std::size_t on_header(char*, std::size_t size, std::size_t count, void* user) {
    auto& transfer = *static_cast<Transfer*>(user);
    transfer.header_bytes += size * count;
    return transfer.header_bytes > probe_header_limit ? 0 : size * count;
}

std::size_t on_body(char*, std::size_t size, std::size_t count, void* user) {
    auto& transfer = *static_cast<Transfer*>(user);
    transfer.body_bytes += size * count;
    return transfer.body_bytes > probe_body_limit ? 0 : size * count;
}

std::string bracketed(const IpAddress& address) {
    const std::string text = to_string(address);
    return address.family == Family::v6 ? fmt::format("[{}]", text) : text;
}

// Every option is set anew: the handle was reset.
void set_options(Transfer& transfer) {
    const ProbeTask& task = transfer.task;
    CURL* easy = transfer.easy;
    transfer.url = fmt::format("http://{}:{}/", bracketed(task.address), task.port);
    const auto set = [easy](CURLoption option, auto value) {
        if (curl_easy_setopt(easy, option, value) != CURLE_OK) {
            throw std::runtime_error(fmt::format("libcurl refuses option {}", int{option}));
        }
    };
    set(CURLOPT_PRIVATE, static_cast<void*>(&transfer));
    set(CURLOPT_URL, transfer.url.c_str());
    set(CURLOPT_PROTOCOLS_STR, "http");
    set(CURLOPT_PROXY, "");
    set(CURLOPT_NOPROXY, "*");
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_FRESH_CONNECT, 1L);
    set(CURLOPT_FORBID_REUSE, 1L);
    set(CURLOPT_TIMEOUT_MS, static_cast<long>(task.check.timeout));
    set(CURLOPT_OPENSOCKETFUNCTION, &open_socket);
    set(CURLOPT_OPENSOCKETDATA, static_cast<void*>(&transfer));
    set(CURLOPT_CLOSESOCKETFUNCTION, &close_socket);
    set(CURLOPT_CLOSESOCKETDATA, static_cast<void*>(&transfer));
    if (!transfer.http()) {
        set(CURLOPT_CONNECT_ONLY, 1L);
        return;
    }
    const std::string host = task.check.host.empty()
                                 ? fmt::format("{}:{}", bracketed(task.address), task.port)
                                 : task.check.host;
    for (const std::string& line : {fmt::format("Host: {}", host), std::string("User-Agent: weir"),
                                    std::string("Connection: close")}) {
        transfer.headers = curl_slist_append(transfer.headers, line.c_str());
    }
    set(CURLOPT_HTTPGET, 1L);
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(CURLOPT_REQUEST_TARGET, task.check.path.c_str());
    set(CURLOPT_HTTPHEADER, transfer.headers);
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set(CURLOPT_HEADERFUNCTION, &on_header);
    set(CURLOPT_HEADERDATA, static_cast<void*>(&transfer));
    set(CURLOPT_WRITEFUNCTION, &on_body);
    set(CURLOPT_WRITEDATA, static_cast<void*>(&transfer));
}

long info(CURL* easy, CURLINFO what) {
    long value = 0;
    curl_easy_getinfo(easy, what, &value);
    return value;
}

double info_seconds(CURL* easy, CURLINFO what) {
    curl_off_t microseconds = 0;
    curl_easy_getinfo(easy, what, &microseconds);
    return static_cast<double>(microseconds) / 1e6;
}

std::string timeout_detail(const Transfer& transfer) {
    const bool connected = info_seconds(transfer.easy, CURLINFO_CONNECT_TIME_T) > 0;
    const char* missing = !connected                   ? "no connection"
                          : transfer.header_bytes == 0 ? "no answer"
                                                       : "answer unfinished";
    return fmt::format("timeout after {} ms ({})", transfer.task.check.timeout, missing);
}

std::string failure_detail(const Transfer& transfer, CURLcode code) {
    const int error = static_cast<int>(info(transfer.easy, CURLINFO_OS_ERRNO));
    switch (code) {
        case CURLE_OPERATION_TIMEDOUT:
            return timeout_detail(transfer);
        case CURLE_COULDNT_CONNECT:
            if (!transfer.socket_error.empty()) return transfer.socket_error;
            return error != 0 ? error_words(error) : "no connection";
        case CURLE_GOT_NOTHING:
            return "connection closed without an answer";
        case CURLE_RECV_ERROR:
        case CURLE_SEND_ERROR:
            return error != 0 ? error_words(error) : "connection reset by peer";
        case CURLE_PARTIAL_FILE:
            return "answer cut short";
        case CURLE_UNSUPPORTED_PROTOCOL:
        case CURLE_WEIRD_SERVER_REPLY:
            return "the answer is not HTTP";
        case CURLE_WRITE_ERROR:
            return fmt::format("answer with more than {} bytes of headers", probe_header_limit);
        default:
            return fmt::format("probe failed: {}", curl_easy_strerror(code));
    }
}

TransferOutcome outcome_of(const Transfer& transfer, CURLcode code) {
    TransferOutcome outcome;
    outcome.flow = transfer.flow;
    outcome.seconds = info_seconds(transfer.easy, CURLINFO_TOTAL_TIME_T);
    outcome.timed_out = code == CURLE_OPERATION_TIMEDOUT;
    const bool cut = code == CURLE_WRITE_ERROR && transfer.body_bytes > probe_body_limit;
    if (code != CURLE_OK && !cut) {
        outcome.detail = failure_detail(transfer, code);
    } else if (!transfer.http()) {
        outcome.success = true;
        outcome.detail = "connected";
    } else {
        const int status = static_cast<int>(info(transfer.easy, CURLINFO_RESPONSE_CODE));
        const std::vector<int>& expected = transfer.task.check.expect_status;
        outcome.success = std::ranges::find(expected, status) != expected.end();
        outcome.detail = http_status_detail(status, expected);
    }
    return outcome;
}

}  // namespace

std::string http_status_detail(int status, const std::vector<int>& expected) {
    if (std::ranges::find(expected, status) != expected.end())
        return fmt::format("HTTP {}", status);
    return fmt::format("HTTP {}, expected {}", status, fmt::join(expected, " or "));
}

struct ProbeTransfers::Impl {
    OnDone on_done;
    std::function<void()> before_events;
    event_base* base;
    CURLM* multi;
    event* timer;
    std::unordered_map<curl_socket_t, event*> sockets;
    std::unordered_map<std::uint64_t, Transfer*> running;
    std::vector<std::unique_ptr<Transfer>> all;
    std::vector<Transfer*> idle;

    Impl(event_base* event_loop, OnDone done, std::function<void()> before)
        : on_done(std::move(done)), before_events(std::move(before)), base(event_loop) {
        static const CURLcode initialised = curl_global_init(CURL_GLOBAL_NOTHING);
        multi = initialised == CURLE_OK ? curl_multi_init() : nullptr;
        timer = event_new(base, -1, 0, &Impl::on_timer, this);
        if (multi == nullptr || timer == nullptr) throw std::bad_alloc();
        curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, &Impl::watch_socket);
        curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, this);
        curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, &Impl::set_timer);
        curl_multi_setopt(multi, CURLMOPT_TIMERDATA, this);
    }

    ~Impl() {
        for (const auto& [tag, transfer] : running)
            curl_multi_remove_handle(multi, transfer->easy);
        curl_multi_cleanup(multi);
        for (const auto& transfer : all) {
            curl_easy_cleanup(transfer->easy);
            curl_slist_free_all(transfer->headers);
        }
        for (const auto& [fd, watch] : sockets)
            event_free(watch);
        event_free(timer);
    }

    // libcurl -> libevent: which sockets to watch, when to come back.
    static int watch_socket(CURL* easy, curl_socket_t fd, int what, void* user, void*) {
        auto& self = *static_cast<Impl*>(user);
        auto& watch = self.sockets[fd];
        if (watch != nullptr) event_free(watch);
        if (what == CURL_POLL_REMOVE) {
            self.sockets.erase(fd);
            return 0;
        }
        char* transfer = nullptr;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
        if (transfer != nullptr) {
            note_local_port(*static_cast<Transfer*>(static_cast<void*>(transfer)), fd);
        }
        const int interest = ((what & CURL_POLL_IN) != 0 ? EV_READ : 0) |
                             ((what & CURL_POLL_OUT) != 0 ? EV_WRITE : 0) | EV_PERSIST;
        watch = event_new(self.base, fd, static_cast<short>(interest), &Impl::on_socket, user);
        return watch != nullptr && event_add(watch, nullptr) == 0 ? 0 : -1;
    }

    static int set_timer(CURLM*, long milliseconds, void* user) {
        auto& self = *static_cast<Impl*>(user);
        if (milliseconds < 0) return event_del(self.timer);
        const timeval delay{milliseconds / 1000, (milliseconds % 1000) * 1000};
        return event_add(self.timer, &delay);
    }

    // libevent -> libcurl.
    static void on_socket(evutil_socket_t fd, short what, void* user) {
        const int ready = ((what & EV_READ) != 0 ? CURL_CSELECT_IN : 0) |
                          ((what & EV_WRITE) != 0 ? CURL_CSELECT_OUT : 0);
        static_cast<Impl*>(user)->advance(fd, ready);
    }
    static void on_timer(evutil_socket_t, short, void* user) {
        static_cast<Impl*>(user)->advance(CURL_SOCKET_TIMEOUT, 0);
    }

    void advance(curl_socket_t fd, int ready) {
        before_events();
        int still_running = 0;
        curl_multi_socket_action(multi, fd, ready, &still_running);
        int left = 0;
        while (const CURLMsg* message = curl_multi_info_read(multi, &left)) {
            if (message->msg != CURLMSG_DONE) continue;
            const CURLcode code = message->data.result;
            char* transfer = nullptr;
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
            finish(*static_cast<Transfer*>(static_cast<void*>(transfer)), code);
        }
    }

    void finish(Transfer& transfer, CURLcode code) {
        running.erase(transfer.tag);
        curl_multi_remove_handle(multi,
                                 transfer.easy);  // closes: the port is known at the latest now
        const TransferOutcome outcome = outcome_of(transfer, code);
        const std::uint64_t tag = transfer.tag;
        idle.push_back(&transfer);
        on_done(tag, outcome);
    }

    Transfer& take_idle() {
        if (idle.empty()) {
            auto transfer = std::make_unique<Transfer>();
            transfer->easy = curl_easy_init();
            if (transfer->easy == nullptr) throw std::bad_alloc();
            idle.push_back(transfer.get());
            all.push_back(std::move(transfer));
        }
        Transfer& transfer = *idle.back();
        idle.pop_back();
        curl_easy_reset(transfer.easy);
        curl_slist_free_all(transfer.headers);
        transfer.headers = nullptr;
        transfer.flow = {};
        transfer.socket_error.clear();
        transfer.header_bytes = transfer.body_bytes = 0;
        return transfer;
    }
};

ProbeTransfers::ProbeTransfers(event_base* base, OnDone on_done,
                               std::function<void()> before_events)
    : impl_(std::make_unique<Impl>(base, std::move(on_done), std::move(before_events))) {}

ProbeTransfers::~ProbeTransfers() = default;

void ProbeTransfers::start(std::uint64_t tag, const ProbeTask& task) {
    Transfer& transfer = impl_->take_idle();
    transfer.tag = tag;
    transfer.task = task;
    transfer.flow.remote = task.address;
    transfer.flow.remote_port = task.port;
    set_options(transfer);
    impl_->running.emplace(tag, &transfer);
    curl_multi_add_handle(impl_->multi, transfer.easy);
}

ProbeFlow ProbeTransfers::cancel(std::uint64_t tag) {
    const auto found = impl_->running.find(tag);
    if (found == impl_->running.end()) return {};
    Transfer& transfer = *found->second;
    impl_->running.erase(found);
    curl_multi_remove_handle(impl_->multi, transfer.easy);
    impl_->idle.push_back(&transfer);
    return transfer.flow;
}

std::size_t ProbeTransfers::running() const noexcept {
    return impl_->running.size();
}

}  // namespace weir
