// SPDX-License-Identifier: BSD-3-Clause
// Capabilities cannot be taken up again, so each case runs in a child process.
#include <array>
#include <atomic>
#include <thread>

#include <catch2/catch.hpp>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/dpdk/privileges.hh"
#include "tests/unit/dpdk/support.hh"

using namespace weir;

namespace {

constexpr const char* none = "0000000000000000";

std::string one_thread_lays_down() {
    std::string other;
    if (auto kept = keep_capabilities({}); !kept) return kept.error().message;
    if (effective_capabilities() != none) return "it kept some";
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return "exec could gain some";
    if (socket(AF_PACKET, SOCK_RAW, 0) >= 0) return "a raw socket without capability";
    return {};
}

std::string all_threads_lay_down() {
    std::atomic<bool> stop{false};
    std::atomic<int> polling_id{0}, sleeping_id{0};
    std::thread polling([&] {
        polling_id = gettid();
        while (!stop) {
        }
    });
    std::thread sleeping([&] {
        sleeping_id = gettid();
        while (!stop)
            usleep(1000);
    });
    while (polling_id == 0 || sleeping_id == 0)
        usleep(100);
    const std::array keep{CAP_NET_ADMIN};
    const auto dropped = drop_privileges(keep);
    const std::string own = effective_capabilities();
    const std::string first = effective_capabilities(polling_id);
    const std::string second = effective_capabilities(sleeping_id);
    stop = true;
    polling.join();
    sleeping.join();
    if (!dropped) return dropped.error().message;
    if (own != "0000000000001000") return "the caller has " + own;
    if (first != none) return "a polling thread has " + first;
    if (second != none) return "a sleeping thread has " + second;
    // Once more, with less: also fine.
    if (auto again = drop_privileges({}); !again) return again.error().message;
    return effective_capabilities() == none ? "" : "not final";
}

}  // namespace

TEST_CASE("privileges: a thread keeps what it names, exec gains nothing", "[dpdk]") {
    CHECK(test::in_private_network(one_thread_lays_down) == "");
}

TEST_CASE("privileges: every thread of the process lays down its capabilities", "[dpdk]") {
    CHECK(test::in_private_network(all_threads_lay_down) == "");
}
