// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/api_server.hh"

#include <csignal>
#include <cstdlib>
#include <list>
#include <map>
#include <optional>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <sys/queue.h>
#include <unistd.h>

#include "lib/control/connection_guard.hh"
#include "lib/control/listen_socket.hh"
#include "lib/control/log.hh"

namespace weir {
namespace {

struct EvhttpFree {
    void operator()(evhttp* http) const { evhttp_free(http); }
};

std::string method_name(evhttp_cmd_type command) {
    switch (command) {
        case EVHTTP_REQ_GET:
            return "GET";
        case EVHTTP_REQ_HEAD:
            return "HEAD";
        case EVHTTP_REQ_POST:
            return "POST";
        case EVHTTP_REQ_PUT:
            return "PUT";
        case EVHTTP_REQ_DELETE:
            return "DELETE";
        default:
            return "OTHER";
    }
}

std::string decoded_path(const evhttp_uri* uri) {
    const char* raw = uri != nullptr ? evhttp_uri_get_path(uri) : nullptr;
    if (raw == nullptr || *raw == '\0') return "/";
    std::size_t size = 0;
    char* text = evhttp_uridecode(raw, 0, &size);
    if (text == nullptr) return raw;
    std::string path(text, size);
    std::free(text);
    return path;
}

// nullopt: malformed, such as a name without '='.
std::optional<std::map<std::string, std::string>> decoded_query(const evhttp_uri* uri) {
    std::map<std::string, std::string> result;
    const char* raw = uri != nullptr ? evhttp_uri_get_query(uri) : nullptr;
    if (raw == nullptr || *raw == '\0') return result;
    evkeyvalq pairs{};
    TAILQ_INIT(&pairs);
    if (evhttp_parse_query_str(raw, &pairs) != 0) return std::nullopt;
    for (const evkeyval* pair = pairs.tqh_first; pair != nullptr; pair = pair->next.tqe_next) {
        result[pair->key] = pair->value;
    }
    evhttp_clear_headers(&pairs);
    return result;
}

void on_libevent_message(int severity, const char* text) {
    if (severity == EVENT_LOG_WARN || severity == EVENT_LOG_ERR) log_warning("libevent: {}", text);
}

}  // namespace

// One listening socket with its own evhttp, so that each has its own limits.
struct Listener {
    ApiServer::Impl* owner = nullptr;
    bool may_change = false;
    std::unique_ptr<evhttp, EvhttpFree> http;
    std::unique_ptr<ConnectionGuard> guard;

    ~Listener() { http.reset(); }  // before the guard: it frees its connections
};

struct ApiServer::Impl : std::enable_shared_from_this<ApiServer::Impl> {
    event_base* base = nullptr;
    ApiHandler handler;
    ApiLimits limits;
    std::string socket_path;
    std::uint16_t http_port = 0;
    std::list<Listener> listeners;

    ~Impl() {
        listeners.clear();
        if (!socket_path.empty()) ::unlink(socket_path.c_str());
    }

    Result<void> listen(int fd, bool may_change);
    void handle(Listener& listener, evhttp_request* request);
    static void send(Listener& listener, evhttp_request* request, bool head,
                     const ApiResponse& response);
};

Result<void> ApiServer::Impl::listen(int fd, bool may_change) {
    Listener& listener = listeners.emplace_back();
    listener.owner = this;
    listener.may_change = may_change;
    listener.http.reset(evhttp_new(base));
    evconnlistener* socket = evconnlistener_new(
        base, nullptr, nullptr, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    if (listener.http == nullptr || socket == nullptr) {
        return Error{"out of memory for the API server; give the machine more"};
    }
    evhttp* http = listener.http.get();
    evhttp_set_max_headers_size(http, static_cast<ev_ssize_t>(limits.header_bytes));
    evhttp_set_max_body_size(http, static_cast<ev_ssize_t>(limits.body_bytes));
    evhttp_set_allowed_methods(http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST |
                                         EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE);
    listener.guard = std::make_unique<ConnectionGuard>(base, http, limits);
    evhttp_set_gencb(
        http,
        [](evhttp_request* request, void* context) {
            auto* of = static_cast<Listener*>(context);
            of->owner->handle(*of, request);
        },
        &listener);
    evhttp_bind_listener(http, socket);
    return {};
}

void ApiServer::Impl::handle(Listener& listener, evhttp_request* request) {
    const evhttp_uri* uri = evhttp_request_get_evhttp_uri(request);
    ApiRequest asked;
    asked.method = method_name(evhttp_request_get_command(request));
    asked.path = decoded_path(uri);
    auto query = decoded_query(uri);
    asked.may_change = listener.may_change;
    const bool head = asked.method == "HEAD";
    if (head) asked.method = "GET";
    if (evhttp_connection* connection = evhttp_request_get_connection(request)) {
        listener.guard->hand_over(evhttp_connection_get_bufferevent(connection));
    }
    if (!query) {
        send(listener, request, head,
             {400, "application/json",
              "{\"error\":\"the query is malformed: write name=value&name=value\"}"});
        return;
    }
    asked.query = std::move(*query);
    // evhttp keeps the request for us when its client goes away, but not when the server does.
    handler(asked, [server = weak_from_this(), &listener, request, head,
                    done = std::make_shared<bool>(false)](const ApiResponse& response) {
        const auto self = server.lock();
        if (std::exchange(*done, true) || self == nullptr) return;
        const std::size_t unread = listener.guard->unread_bytes();
        if (unread > 0 && unread + response.body.size() > self->limits.unread_bytes) {
            send(listener, request, head,
                 {503, "application/json",
                  "{\"error\":\"too many answers wait to be read; ask again in a moment\"}"});
            return;
        }
        send(listener, request, head, response);
    });
}

void ApiServer::Impl::send(Listener& listener, evhttp_request* request, bool head,
                           const ApiResponse& response) {
    if (evhttp_connection* connection = evhttp_request_get_connection(request)) {
        listener.guard->answered(evhttp_connection_get_bufferevent(connection));
    }
    evkeyvalq* headers = evhttp_request_get_output_headers(request);
    evhttp_add_header(headers, "Content-Type", response.content_type.c_str());
    evhttp_add_header(headers, "Connection", "close");
    evhttp_add_header(headers, "Cache-Control", "no-store");
    evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
    evbuffer* body = evbuffer_new();
    if (body != nullptr && !head) {
        evbuffer_add(body, response.body.data(), response.body.size());
    }
    evhttp_send_reply(request, response.status, nullptr, body);
    if (body != nullptr) evbuffer_free(body);
}

ApiServer::ApiServer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
ApiServer::~ApiServer() = default;

std::uint16_t ApiServer::http_port() const {
    return impl_->http_port;
}

std::size_t ApiServer::connections() const {
    std::size_t sum = 0;
    for (const auto& listener : impl_->listeners)
        sum += listener.guard->size();
    return sum;
}

Result<std::unique_ptr<ApiServer>> ApiServer::create(event_base* base, const ApiConfig& config,
                                                     ApiHandler handler, ApiLimits limits) {
    std::signal(SIGPIPE, SIG_IGN);  // a client that left must not end the daemon
    event_set_log_callback(on_libevent_message);
    auto impl = std::make_shared<Impl>();
    impl->base = base;
    impl->handler = std::move(handler);
    impl->limits = limits;
    const auto socket = listen_unix(config.socket_path, config.socket_mode);
    if (!socket) return socket.error();
    impl->socket_path = config.socket_path;
    if (auto listening = impl->listen(socket.value(), true); !listening) return listening.error();
    if (config.http_host) {
        const auto tcp = listen_tcp(*config.http_host, config.http_port);
        if (!tcp) return tcp.error();
        impl->http_port = local_port(tcp.value());
        if (auto listening = impl->listen(tcp.value(), false); !listening) {
            return listening.error();
        }
    }
    return std::make_unique<ApiServer>(std::move(impl));
}

}  // namespace weir
