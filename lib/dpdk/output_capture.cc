// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dpdk/output_capture.hh"

#include <array>
#include <atomic>
#include <cstdio>
#include <utility>

#include <sys/mman.h>
#include <unistd.h>

namespace weir {

namespace {

std::atomic<bool> capturing{false};

}  // namespace

bool OutputCapture::active() noexcept {
    return capturing.load(std::memory_order_relaxed);
}

OutputCapture::OutputCapture() {
    memory_ = memfd_create("weir-output", MFD_CLOEXEC);
    if (memory_ < 0) return;  // then it goes to the terminal: ugly, but nothing is lost
    capturing.store(true, std::memory_order_relaxed);
    std::fflush(stdout);
    std::fflush(stderr);
    stdout_ = dup(STDOUT_FILENO);
    stderr_ = dup(STDERR_FILENO);
    dup2(memory_, STDOUT_FILENO);
    dup2(memory_, STDERR_FILENO);
}

OutputCapture::~OutputCapture() {
    stop();
}

const std::string& OutputCapture::stop() {
    if (memory_ < 0) return text_;
    capturing.store(false, std::memory_order_relaxed);
    std::fflush(stdout);
    std::fflush(stderr);
    const auto restore = [](int& saved, int descriptor) {
        if (saved < 0) {
            close(descriptor);  // it was closed before
        } else {
            dup2(saved, descriptor);
            close(std::exchange(saved, -1));
        }
    };
    restore(stdout_, STDOUT_FILENO);
    restore(stderr_, STDERR_FILENO);
    lseek(memory_, 0, SEEK_SET);
    std::array<char, 4096> buffer;
    for (ssize_t got; (got = read(memory_, buffer.data(), buffer.size())) > 0;)
        text_.append(buffer.data(), static_cast<std::size_t>(got));
    close(std::exchange(memory_, -1));
    return text_;
}

namespace {

// "EAL: FATAL: x" -> "x"; "eth_dev_close(): x" stays, the function's name helps a search.
std::string_view without_prefix(std::string_view line) {
    for (const std::string_view prefix :
         {"EAL: ", "FATAL: ", "ERROR: ", "Error: ", "PMD: ", "VDEV: ", "vdev_probe(): "})
        if (line.starts_with(prefix)) line.remove_prefix(prefix.size());
    while (!line.empty() && (line.back() == '.' || line.back() == ' '))
        line.remove_suffix(1);
    return line;
}

bool complains(std::string_view line) {
    for (const std::string_view word :
         {"nrecogni", "annot", "ouldn't", "nknown", "ailed", "rror", "nvalid", "nable", "denied",
          "unsupported", "not supported", "FATAL", "No such", "not found", "missing", "busy",
          "exceed", "larger", "already"})
        if (line.find(word) != std::string_view::npos) return true;
    return false;
}

}  // namespace

std::string first_complaint(std::string_view output) {
    std::string_view fallback;  // libxdp and libbpf complain about what does not matter
    while (!output.empty()) {
        const auto end = output.find('\n');
        const auto line = output.substr(0, end);
        output.remove_prefix(end == std::string_view::npos ? output.size() : end + 1);
        if (!complains(line)) continue;
        if (!line.starts_with("libxdp") && !line.starts_with("libbpf"))
            return std::string(without_prefix(line));
        if (fallback.empty()) fallback = line;
    }
    return std::string(without_prefix(fallback));
}

}  // namespace weir
