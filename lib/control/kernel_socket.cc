// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/kernel_socket.hh"

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include <event2/event.h>
#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

namespace weir {

namespace {
constexpr int reads_per_pass = 16;
// Room for a burst of messages; a full buffer only costs another reading.
constexpr int receive_buffer = 1 << 20;
}  // namespace

Result<std::vector<int>> interfaces_of(const std::vector<std::string>& taps,
                                       std::string_view what) {
    std::vector<int> interfaces;
    for (const std::string& tap : taps) {
        const int index = tap.empty() ? 0 : static_cast<int>(if_nametoindex(tap.c_str()));
        if (index == 0 && !tap.empty())
            return Error{
                fmt::format("cannot watch the {} of TAP {}: no such interface", what, tap)};
        interfaces.push_back(index);
    }
    return interfaces;
}

struct KernelSocket::Impl {
    Calls calls;
    mnl_socket* netlink = nullptr;
    event* readable = nullptr;

    explicit Impl(Calls told) : calls(std::move(told)) {}
    ~Impl() {
        if (readable != nullptr) event_free(readable);
        if (netlink != nullptr) mnl_socket_close(netlink);
    }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    bool read_some();
};

KernelSocket::KernelSocket(Calls calls) : impl_(std::make_unique<Impl>(std::move(calls))) {}
KernelSocket::~KernelSocket() = default;

Result<void> KernelSocket::open(event_base* base, std::string_view what, std::uint32_t groups) {
    const auto failed = [&](std::string_view step) {
        return Error{fmt::format("cannot {} the netlink socket for {}: {}", step, what,
                                 std::generic_category().message(errno))};
    };
    mnl_socket*& netlink = impl_->netlink;
    netlink = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (netlink == nullptr) return failed("open");
    if (mnl_socket_bind(netlink, groups, MNL_SOCKET_AUTOPID) != 0) return failed("bind");
    const int fd = mnl_socket_get_fd(netlink);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    impl_->readable = event_new(
        base, fd, EV_READ | EV_PERSIST,
        [](evutil_socket_t, short, void* self) { static_cast<KernelSocket*>(self)->read(); }, this);
    if (impl_->readable == nullptr || event_add(impl_->readable, nullptr) != 0)
        return Error{fmt::format("cannot add the netlink socket for {} to the event loop", what)};
    return {};
}

void KernelSocket::read() {
    for (int reads = 0; reads < reads_per_pass && impl_->read_some(); ++reads) {
    }
    if (impl_->calls.pass_over) impl_->calls.pass_over();
}

// One receive call. False when there is nothing more to read.
bool KernelSocket::Impl::read_some() {
    alignas(nlmsghdr) std::array<char, 32 * 1024> buffer;
    const ssize_t received = mnl_socket_recvfrom(netlink, buffer.data(), buffer.size());
    if (received < 0) {
        if (errno == EINTR) return true;
        if (errno != ENOBUFS && errno != ENOSPC) return false;
        calls.lost();
        return true;
    }
    const auto* message = reinterpret_cast<const nlmsghdr*>(buffer.data());
    for (int left = static_cast<int>(received); mnl_nlmsg_ok(message, left);
         message = mnl_nlmsg_next(message, &left)) {
        calls.message(*message);
    }
    return received > 0;
}

void KernelSocket::await(std::chrono::milliseconds most) {
    pollfd ready{mnl_socket_get_fd(impl_->netlink), POLLIN, 0};
    poll(&ready, 1, std::max(0, static_cast<int>(most.count())));
    read();
}

bool KernelSocket::send(const nlmsghdr& message) {
    return mnl_socket_sendto(impl_->netlink, &message, message.nlmsg_len) > 0;
}

bool KernelSocket::is_answer(const nlmsghdr& message) const {
    return message.nlmsg_pid == mnl_socket_get_portid(impl_->netlink);
}

}  // namespace weir
