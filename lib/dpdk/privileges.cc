// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dpdk/privileges.hh"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <vector>

#include <fmt/format.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace weir {

namespace {

// As the kernel takes them: 64 bits in two halves. Raw system calls, because the signal handler
// below may use nothing that allocates or locks.
using CapabilitySets = std::array<__user_cap_data_struct, 2>;

// Leaves the calling thread with those of `keep` that it has. 0 or an errno. Async-signal-safe.
int lay_down(std::uint64_t keep) noexcept {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    CapabilitySets sets{};
    if (syscall(SYS_capget, &header, sets.data()) != 0) return errno;
    // The bounding set first: it needs CAP_SETPCAP. Without that nothing is there to be gained by
    // exec either, since no_new_privs stands.
    for (int capability = 0; capability <= CAP_LAST_CAP; ++capability)
        if ((keep >> capability & 1) == 0) prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
    for (std::size_t half = 0; half < sets.size(); ++half) {
        const auto wanted = static_cast<std::uint32_t>(keep >> (32 * half));
        sets[half].permitted &= wanted;
        sets[half].effective = sets[half].permitted;
        sets[half].inheritable = 0;
    }
    return syscall(SYS_capset, &header, sets.data()) == 0 ? 0 : errno;
}

std::uint64_t mask_of(std::span<const int> keep) {
    std::uint64_t mask = 0;
    for (const int capability : keep)
        mask |= std::uint64_t{1} << capability;
    return mask;
}

// What the handler tells back. Only one drop_privileges() runs at a time.
std::atomic<unsigned> answered{0};
std::atomic<int> first_error{0};

void on_signal(int) {
    const int saved = errno;
    if (const int error = lay_down(0); error != 0) {
        int none = 0;
        first_error.compare_exchange_strong(none, error);
    }
    answered.fetch_add(1, std::memory_order_release);  // pairs with the load in wait_for()
    errno = saved;
}

std::vector<pid_t> other_threads() {
    std::vector<pid_t> threads;
    const pid_t own = gettid();
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task", none)) {
        const auto thread = static_cast<pid_t>(std::atoi(entry.path().filename().c_str()));
        if (thread != own) threads.push_back(thread);
    }
    return threads;
}

bool wait_for(unsigned count) {
    constexpr timespec pause{0, 100'000};
    for (int round = 0; round < 10'000; ++round) {
        if (answered.load(std::memory_order_acquire) >= count) return true;
        nanosleep(&pause, nullptr);
    }
    return false;
}

std::string privileged_threads() {
    std::string names;
    for (const pid_t thread : other_threads()) {
        if (effective_capabilities(thread) == "0000000000000000") continue;
        std::string name;
        std::ifstream(fmt::format("/proc/self/task/{}/comm", thread)) >> name;
        names += (names.empty() ? "" : ", ") + name;
    }
    return names;
}

}  // namespace

Result<void> keep_capabilities(std::span<const int> keep) {
    const int error = lay_down(mask_of(keep));
    if (error == 0) return {};
    return Error{fmt::format("capabilities cannot be laid down: {}", std::strerror(error))};
}

Result<void> drop_privileges(std::span<const int> keep) {
    const int signal_number = SIGRTMAX - 1;
    struct sigaction action {};
    struct sigaction before {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    sigfillset(&action.sa_mask);
    if (sigaction(signal_number, &action, &before) != 0)
        return Error{fmt::format("no signal handler: {}", std::strerror(errno))};
    answered.store(0);
    first_error.store(0);
    unsigned sent = 0;
    for (const pid_t thread : other_threads())
        if (syscall(SYS_tgkill, getpid(), thread, signal_number) == 0) ++sent;
    const bool all = wait_for(sent);
    // A late thread must find the handler, so it stays if one did not answer.
    if (all) sigaction(signal_number, &before, nullptr);
    auto own = keep_capabilities(keep);
    if (!own) return own;
    if (const std::string left = privileged_threads();
        !all || first_error.load() != 0 || !left.empty())
        return Error{fmt::format("threads keep capabilities that they do not need: {}",
                                 left.empty() ? std::strerror(first_error.load()) : left)};
    return {};
}

std::string effective_capabilities(int thread_id) {
    const auto path = thread_id == 0 ? std::string("/proc/thread-self/status")
                                     : fmt::format("/proc/self/task/{}/status", thread_id);
    std::ifstream file(path);
    for (std::string word; file >> word;)
        if (word == "CapEff:") {
            file >> word;
            return word;
        }
    return "0000000000000000";  // it has ended
}

}  // namespace weir
