// SPDX-License-Identifier: BSD-3-Clause
#include <atomic>
#include <thread>

#include <catch2/catch.hpp>

#include "lib/dpdk/publisher.hh"

using namespace weir;

namespace {

std::unique_ptr<const Tables> version(std::uint64_t number) {
    auto tables = std::make_unique<Tables>();
    tables->version = number;
    return tables;
}

// A worker on a thread of its own that does one step each time it is told to.
class Reader {
public:
    Reader(Publisher& publisher, unsigned number)
        : thread_([this, &publisher, number] {
              publisher.online(number);
              for (;;) {
                  const unsigned wanted = wanted_.load(std::memory_order_acquire);
                  if (wanted == done_.load(std::memory_order_relaxed)) {
                      std::this_thread::yield();
                      continue;
                  }
                  if (wanted == leave) break;
                  publisher.quiescent(number);
                  const Tables* tables = publisher.load();
                  seen_.store(tables == nullptr ? 0 : tables->version, std::memory_order_relaxed);
                  done_.store(wanted, std::memory_order_release);
              }
              publisher.offline(number);
          }) {
        step();
    }
    ~Reader() { stop(); }
    // One quiescent state and one look at the tables; answers their version.
    std::uint64_t step() {
        const unsigned wanted = done_.load(std::memory_order_relaxed) + 1;
        wanted_.store(wanted, std::memory_order_release);
        while (done_.load(std::memory_order_acquire) != wanted)
            std::this_thread::yield();
        return seen_.load(std::memory_order_relaxed);
    }
    void stop() {
        if (!thread_.joinable()) return;
        wanted_.store(leave, std::memory_order_release);
        thread_.join();
    }

private:
    static constexpr unsigned leave = 0xffffffff;
    std::atomic<unsigned> wanted_{0}, done_{0};
    std::atomic<std::uint64_t> seen_{0};
    std::thread thread_;
};

}  // namespace

TEST_CASE("publisher: a reader that is held back keeps its tables and holds up nobody",
          "[dpdk][publisher]") {
    Publisher publisher(2);
    publisher.publish(version(1));
    Reader running(publisher, 0);
    Reader held(publisher, 1);
    REQUIRE(held.step() == 1);
    const Tables* old = publisher.load();

    // Publication goes on and the other reader sees it; nothing is freed under the held reader.
    for (std::uint64_t number = 2; number <= 50; ++number) {
        publisher.publish(version(number));
        publisher.poll();
        REQUIRE(running.step() == number);
        REQUIRE_FALSE(publisher.settled());
        REQUIRE(publisher.retired() == number - 1);
    }
    REQUIRE(old->version == 1);  // AddressSanitizer sees it if it was freed
    REQUIRE(publisher.current()->version == 50);

    // Released: everything but the current tables goes at the next look.
    REQUIRE(held.step() == 50);
    running.step();
    REQUIRE(publisher.settled());
    REQUIRE(publisher.retired() == 0);
}

TEST_CASE("publisher: a reader that left or never came holds nothing back", "[dpdk][publisher]") {
    Publisher publisher(3);  // reader 2 never comes
    publisher.publish(version(1));
    {
        Reader first(publisher, 0);
        Reader second(publisher, 1);
        publisher.publish(version(2));
        REQUIRE_FALSE(publisher.settled());
        first.step();
        REQUIRE_FALSE(publisher.settled());
    }
    REQUIRE(publisher.settled());
}

TEST_CASE("publisher: there are no tables before the first publication", "[dpdk][publisher]") {
    Publisher publisher(1);
    CHECK(publisher.load() == nullptr);
    CHECK(publisher.current() == nullptr);
    CHECK(publisher.settled());
    publisher.publish(version(1));
    CHECK(publisher.load() == publisher.current());
    CHECK(publisher.settled());  // nothing older was ever published
}
