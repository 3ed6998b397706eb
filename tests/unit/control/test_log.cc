// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <array>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <unistd.h>

#include "lib/control/log.hh"

using namespace weir;
using namespace std::chrono_literals;

namespace {

// Blocking on the writing end, as stderr is.
struct Pipe {
    std::array<int, 2> ends{-1, -1};
    Pipe() {
        REQUIRE(::pipe(ends.data()) == 0);
        REQUIRE(::fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
    }
    ~Pipe() {
        ::close(ends[0]);
        ::close(ends[1]);
    }
    std::string drain() const {
        std::string text;
        std::array<char, 65536> bytes;
        for (ssize_t n; (n = ::read(ends[0], bytes.data(), bytes.size())) > 0;) {
            text.append(bytes.data(), static_cast<std::size_t>(n));
        }
        return text;
    }
};

const Log::Clock::time_point start = Log::Clock::time_point() + 100s;

}  // namespace

TEST_CASE("log: one line a message, without control characters", "[control][log]") {
    Pipe pipe;
    Log log(pipe.ends[1], false);
    log.write(LogLevel::info, "a\nb\x1b[31mc", start);
    log.write(LogLevel::debug, "not wanted", start);
    log.set_level(LogLevel::debug);
    log.write(LogLevel::debug, "wanted", start);
    CHECK(pipe.drain() == "info: a?b?[31mc\ndebug: wanted\n");
}

TEST_CASE("log: a flood is cut at 200 lines a second and then told", "[control][log]") {
    Pipe pipe;
    Log log(pipe.ends[1], false);
    for (int i = 0; i < 1000; ++i)
        log.write(LogLevel::info, "x", start);
    std::string text = pipe.drain();
    CHECK(std::ranges::count(text, '\n') == 200);
    log.flush(start + 999ms);
    CHECK(pipe.drain().empty());
    log.write(LogLevel::info, "next", start + 1s);
    CHECK(pipe.drain() == "warning: 800 log lines were left out\ninfo: next\n");
    log.flush(start + 3s);
    CHECK(pipe.drain().empty());
    CHECK(log.suppressed() == 800);
}

TEST_CASE("log: a full pipe never blocks; the loss is told when it drains", "[control][log]") {
    Pipe pipe;
    Log log(pipe.ends[1], false);
    const std::string longest(10'000, 'x');
    for (int i = 0; i < 100; ++i)
        log.write(LogLevel::info, longest, start);
    CHECK(log.suppressed() > 50);
    const std::string text = pipe.drain();
    CHECK(text.size() <= 65536);
    CHECK(text.ends_with("x\n"));  // no line was cut by the pipe
    log.flush(start + 1s);
    CHECK(pipe.drain().find("log lines were left out") != std::string::npos);
}
