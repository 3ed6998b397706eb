// SPDX-License-Identifier: BSD-3-Clause
// KernelSocket: a routing netlink socket (libmnl) in the event loop, which hands out one by one the
// kernel's notifications of some groups and its answers to what was sent. Owner's thread only.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/wire/result.hh"

struct event_base;
struct nlmsghdr;

namespace weir {

// The kernel's interface index of each TAP; 0 where the name is empty. `taps`: by PortId. `what`
// stands in the error when one is not there: "neighbours", "routes".
Result<std::vector<int>> interfaces_of(const std::vector<std::string>& taps, std::string_view what);

class KernelSocket {
public:
    // None may destroy the socket; all may send.
    struct Calls {
        std::function<void(const nlmsghdr&)> message;
        // Messages were lost, notifications or answers: what is mirrored is to be read anew.
        std::function<void()> lost;
        // After each pass of the loop that read something; may be empty.
        std::function<void()> pass_over;
    };
    explicit KernelSocket(Calls calls);
    ~KernelSocket();
    KernelSocket(const KernelSocket&) = delete;
    KernelSocket& operator=(const KernelSocket&) = delete;

    // In the network namespace of the process, before anything else is called, once. `groups`: a
    // mask of RTMGRP_*. `base` must outlive the socket. Fails with the reason, which names `what`.
    Result<void> open(event_base* base, std::string_view what, std::uint32_t groups);

    // The loop calls it. At most 16 receive calls, so that a flood of messages stops nobody else.
    void read();
    // The same, after waiting for something to read, but not longer than `most`.
    void await(std::chrono::milliseconds most);
    // False when the kernel did not take it, so that no answer will come.
    [[nodiscard]] bool send(const nlmsghdr& message);
    // Whether it answers something that this socket sent, and is not a notification.
    [[nodiscard]] bool is_answer(const nlmsghdr& message) const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace weir
