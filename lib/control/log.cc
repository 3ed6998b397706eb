// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/log.hh"

#include <array>
#include <cstdlib>
#include <ctime>

#include <poll.h>
#include <unistd.h>

namespace weir {
namespace {

constexpr std::array<std::string_view, 4> level_names{"error", "warning", "info", "debug"};

std::string timestamp() {
    std::timespec now{};
    std::timespec_get(&now, TIME_UTC);
    std::tm parts{};
    gmtime_r(&now.tv_sec, &parts);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z ", parts.tm_year + 1900,
                       parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                       now.tv_nsec / 1'000'000);
}

}  // namespace

void Log::write(LogLevel level, std::string_view text, Clock::time_point now) {
    if (!wants(level)) return;
    flush(now);
    if (in_second_ == 0) second_ = now;
    // Counted before the attempt: a reader that is stuck costs at most so many polls a second.
    if (in_second_ >= lines_per_second || (++in_second_, !put(level, text))) {
        ++suppressed_;
        ++suppressed_total_;
    }
}

void Log::flush(Clock::time_point now) {
    if (now - second_ < std::chrono::seconds(1)) return;
    in_second_ = 0;
    second_ = now;
    if (suppressed_ == 0) return;
    const auto line = fmt::format("{} log lines were left out", suppressed_);
    if (put(LogLevel::warning, line)) suppressed_ = 0;
}

bool Log::put(LogLevel level, std::string_view text) {
    std::string line = stamped_ ? timestamp() : std::string();
    line += level_names[static_cast<std::size_t>(level)];
    line += ": ";
    const std::size_t head = line.size();
    line += text.substr(0, longest_line - head);
    for (std::size_t i = head; i < line.size(); ++i) {
        const auto byte = static_cast<unsigned char>(line[i]);
        if (byte < 0x20 || byte == 0x7f) line[i] = '?';
    }
    line += '\n';
    // O_NONBLOCK would change the descriptor for everybody who shares it, so ask first: a pipe that
    // polls writable takes PIPE_BUF bytes without blocking.
    pollfd ready{fd_, POLLOUT, 0};
    if (::poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0) return false;
    return ::write(fd_, line.data(), line.size()) == static_cast<ssize_t>(line.size());
}

Log& process_log() {
    static Log log(STDERR_FILENO, std::getenv("JOURNAL_STREAM") == nullptr);
    return log;
}

}  // namespace weir
