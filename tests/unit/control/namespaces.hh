// SPDX-License-Identifier: BSD-3-Clause
// Network namespaces without a name: each lives as long as its object.
#pragma once

#include <cstdlib>
#include <functional>
#include <string>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

namespace weir::test {

class Namespace {
public:
    Namespace() {
        std::thread([this] {
            if (unshare(CLONE_NEWNET) == 0) {
                fd_ = ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
            }
        }).join();
    }
    ~Namespace() {
        if (fd_ >= 0) close(fd_);
    }
    Namespace(const Namespace&) = delete;
    Namespace& operator=(const Namespace&) = delete;

    // False without the right to make one.
    [[nodiscard]] bool ok() const noexcept { return fd_ >= 0; }
    // For `ip link ... netns PATH`, from this process's children.
    [[nodiscard]] std::string path() const { return fmt::format("/proc/{}/fd/{}", getpid(), fd_); }

    // Runs `work` on a thread inside the namespace; sockets that it opens stay there.
    void inside(const std::function<void()>& work) const {
        std::thread([&] {
            if (setns(fd_, CLONE_NEWNET) == 0) work();
        }).join();
    }
    // A shell command inside. True when it succeeds.
    [[nodiscard]] bool run(const std::string& command) const {
        int status = -1;
        inside([&] { status = std::system(command.c_str()); });
        return status == 0;
    }

private:
    int fd_ = -1;
};

}  // namespace weir::test
