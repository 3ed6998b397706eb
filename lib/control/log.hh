// SPDX-License-Identifier: BSD-3-Clause
// Log: one line a message to stderr, for people and for journald. Never blocks: a line that stderr
// cannot take at once is dropped and counted. At most 200 lines a second; then one line says how
// many were left out. Cold code of the control thread only; workers never log.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "lib/control/config.hh"

namespace weir {

class Log {
public:
    using Clock = std::chrono::steady_clock;
    static constexpr unsigned lines_per_second = 200;
    static constexpr std::size_t longest_line =
        4000;  // below PIPE_BUF, so that a pipe takes it whole

    // Writes to `fd`, which the caller owns. `stamped`: each line begins with the time (UTC); leave
    // it out where journald adds its own.
    Log(int fd, bool stamped) : fd_(fd), stamped_(stamped) {}

    void set_level(LogLevel level) noexcept { level_ = level; }
    [[nodiscard]] bool wants(LogLevel level) const noexcept { return level <= level_; }

    // Writes one line; control characters in `text` become '?'. Cost: one poll, one write.
    void write(LogLevel level, std::string_view text, Clock::time_point now = Clock::now());
    // Tells of suppressed lines when their second is over; call once a second.
    void flush(Clock::time_point now = Clock::now());

    [[nodiscard]] std::uint64_t suppressed() const noexcept { return suppressed_total_; }

private:
    bool put(LogLevel level, std::string_view text);

    int fd_;
    bool stamped_;
    LogLevel level_ = LogLevel::info;
    Clock::time_point second_{};
    unsigned in_second_ = 0;
    std::uint64_t suppressed_ = 0, suppressed_total_ = 0;
};

// The process's log, on stderr.
Log& process_log();

template <typename... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
    process_log().write(LogLevel::error, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
    if (process_log().wants(LogLevel::warning))
        process_log().write(LogLevel::warning, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
    if (process_log().wants(LogLevel::info))
        process_log().write(LogLevel::info, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) {
    if (process_log().wants(LogLevel::debug))
        process_log().write(LogLevel::debug, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace weir
