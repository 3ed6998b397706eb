// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dpdk/log.hh"

#include <cstdio>
#include <mutex>
#include <string>
#include <utility>

#include <rte_log.h>
#include <unistd.h>

#include "lib/dpdk/output_capture.hh"

namespace weir {

namespace {

std::mutex sink_mutex;
DpdkLogSink sink_function;

void give_lines(unsigned level, std::string_view text) {
    const std::lock_guard lock(sink_mutex);
    while (!text.empty()) {
        const auto end = text.find('\n');
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (line.empty()) continue;
        if (sink_function) {
            sink_function(level, line);
        } else if (level <= RTE_LOG_WARNING) {
            std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
        }
    }
}

ssize_t take(void*, const char* text, std::size_t size) {
    // While output is captured, the log goes the same way, so that the order of lines is kept.
    if (OutputCapture::active()) return write(STDERR_FILENO, text, size);
    const int level = rte_log_cur_msg_loglevel();
    give_lines(level > 0 ? static_cast<unsigned>(level) : RTE_LOG_INFO, {text, size});
    return static_cast<ssize_t>(size);
}

}  // namespace

void set_dpdk_log_sink(DpdkLogSink sink) {
    {
        const std::lock_guard lock(sink_mutex);
        sink_function = std::move(sink);
    }
    // One stream for the life of the process: DPDK may log until its last thread is gone.
    static FILE* const stream = fopencookie(nullptr, "w", {nullptr, take, nullptr, nullptr});
    if (stream != nullptr) rte_openlog_stream(stream);
}

void log_captured(std::string_view text) {
    give_lines(RTE_LOG_DEBUG, text);
}

}  // namespace weir
