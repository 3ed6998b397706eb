// SPDX-License-Identifier: BSD-3-Clause
#include <atomic>
#include <cstring>
#include <thread>

#include <catch2/catch.hpp>

#include "lib/dataplane/station_mailbox.hh"

using namespace weir;

namespace {

UnknownStation station(std::uint32_t number) {
    UnknownStation one{PortId{static_cast<std::uint8_t>(number % 3)}, {}};
    std::memcpy(one.address.bytes.data(), &number, sizeof number);
    return one;
}

}  // namespace

TEST_CASE("station mailbox: the oldest comes first, each once", "[dataplane][stations]") {
    StationMailbox mailbox;
    CHECK_FALSE(mailbox.take());
    for (int again = 0; again < 3; ++again) {
        for (std::uint32_t i = 0; i < 5; ++i)
            mailbox.leave(station(i));
    }
    for (std::uint32_t i = 0; i < 5; ++i)
        CHECK(mailbox.take() == station(i));
    CHECK_FALSE(mailbox.take());
    // The same address on another port is another station.
    UnknownStation other = station(0);
    other.port = PortId{7};
    mailbox.leave(station(0));
    mailbox.leave(other);
    CHECK(mailbox.take() == station(0));
    CHECK(mailbox.take() == other);
}

TEST_CASE("station mailbox: a full one takes nothing more, and then goes on",
          "[dataplane][stations]") {
    StationMailbox mailbox;
    for (std::uint32_t round = 0; round < 10; ++round) {
        const std::uint32_t first = round * 1000;
        for (std::uint32_t i = 0; i < 3 * StationMailbox::capacity; ++i)
            mailbox.leave(station(first + i));
        for (std::uint32_t i = 0; i < StationMailbox::capacity; ++i)
            CHECK(mailbox.take() == station(first + i));
        CHECK_FALSE(mailbox.take());
    }
}

TEST_CASE("station mailbox: what a worker leaves meanwhile arrives whole and in order",
          "[dataplane][stations]") {
    StationMailbox mailbox;
    constexpr std::uint32_t last = 200'000;
    std::atomic<bool> heard{false};
    std::thread worker([&] {
        for (std::uint32_t i = 1; i < last; ++i)
            mailbox.leave(station(i));
        while (!heard.load(std::memory_order_relaxed))
            mailbox.leave(station(last));
    });
    std::uint32_t before = 0, out_of_order = 0, broken = 0;
    while (before != last) {
        const auto one = mailbox.take();
        if (!one) continue;
        std::uint32_t number = 0;
        std::memcpy(&number, one->address.bytes.data(), sizeof number);
        broken += *one == station(number) ? 0 : 1;
        out_of_order += number > before ? 0 : 1;
        before = number;
    }
    heard.store(true, std::memory_order_relaxed);
    worker.join();
    CHECK(broken == 0);
    CHECK(out_of_order == 0);
}
