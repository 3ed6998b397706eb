// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <random>
#include <set>

#include <catch2/catch.hpp>

#include "lib/control/station_book.hh"

using namespace weir;
using namespace std::chrono_literals;
using Key = StationBook::Key;

namespace {

Key key(std::uint32_t number) {
    Key result{PortId{0}, {}};
    result.address.bytes = {10, static_cast<std::uint8_t>(number >> 16),
                            static_cast<std::uint8_t>(number >> 8),
                            static_cast<std::uint8_t>(number)};
    return result;
}

const StationBook::Time begin{1h};
const auto all = [](const Key&) { return true; };
const auto none = [](const Key&) { return false; };
constexpr StationBook::Limits small{4, 3, 3s, 60s};

}  // namespace

TEST_CASE("stations: one is asked for once, and known when the kernel answers",
          "[control][stations]") {
    StationBook book;
    CHECK(book.ask(key(1), begin));
    CHECK_FALSE(book.ask(key(1), begin + 1s));
    CHECK(book.contains(key(1)));
    CHECK_FALSE(book.knows(key(1)));
    CHECK_FALSE(book.answer(key(1), begin + 1s));
    CHECK(book.knows(key(1)));
    CHECK_FALSE(book.ask(key(1), begin + 2s));
    CHECK(book.known() == std::vector{key(1)});
    CHECK(book.asked().empty());
    book.forget(key(1));
    CHECK_FALSE(book.contains(key(1)));
    CHECK(book.ask(key(1), begin + 3s));
}

TEST_CASE("stations: one that nobody answers for is forgotten, and may be asked for again",
          "[control][stations]") {
    StationBook book;
    CHECK(book.ask(key(1), begin));
    CHECK(book.ask(key(2), begin + 1s));
    CHECK(book.expire(begin + 2999ms, none).empty());
    CHECK(book.expire(begin + 3s, none) == std::vector{key(1)});
    CHECK_FALSE(book.contains(key(1)));
    CHECK(book.contains(key(2)));
    CHECK(book.ask(key(1), begin + 3s));
}

TEST_CASE("stations: one that falls silent is kept for a while, one that answers for good",
          "[control][stations]") {
    StationBook book;
    for (const std::uint32_t number : {1u, 2u}) {
        CHECK(book.ask(key(number), begin));
        CHECK_FALSE(book.answer(key(number), begin));
    }
    const auto first = [](const Key& asked) { return asked == key(1); };
    StationBook::Time now = begin;
    for (int second = 0; second < 59; ++second)
        CHECK(book.expire(now += 1s, first).empty());
    CHECK(book.expire(now += 1s, first) == std::vector{key(2)});
    for (int hour = 0; hour < 100; ++hour)
        CHECK(book.expire(now += 1h, first).empty());
    CHECK(book.known() == std::vector{key(1)});
}

TEST_CASE("stations: forged ones displace none that answered, and are bounded",
          "[control][stations]") {
    StationBook book(small);
    for (const std::uint32_t number : {1u, 2u, 3u, 4u}) {
        CHECK(book.ask(key(number), begin));
        CHECK_FALSE(book.answer(key(number), begin));
    }
    StationBook::Time now = begin;
    unsigned asked = 0;
    for (std::uint32_t number = 100; number < 20'100; ++number) {
        now += 1ms;
        asked += book.ask(key(number), now) ? 1 : 0;
        if (number % 1000 == 0) (void)book.expire(now, all);
        REQUIRE(book.asked().size() <= 3);
    }
    CHECK(asked <= 3 * (20 / 3 + 1));
    CHECK(book.known() == std::vector{key(1), key(2), key(3), key(4)});
}

TEST_CASE("stations: the one silent for longest makes room, of equals the oldest",
          "[control][stations]") {
    StationBook book(small);
    StationBook::Time now = begin;
    for (const std::uint32_t number : {4u, 3u, 2u, 1u}) {
        now += 1s;
        CHECK(book.ask(key(number), now));
        CHECK_FALSE(book.answer(key(number), now));
    }
    CHECK(book.expire(now += 1s, [](const Key& one) { return one != key(2); }).empty());
    CHECK(book.ask(key(5), now));
    CHECK(book.answer(key(5), now) == key(2));
    CHECK(book.expire(now += 1s, all).empty());
    CHECK(book.ask(key(6), now));
    CHECK(book.answer(key(6), now) == key(4));
    CHECK_FALSE(book.answer(key(6), now));  // told again: another MAC
    CHECK(book.known() == std::vector{key(1), key(3), key(5), key(6)});
}

TEST_CASE("stations: the book stays within its bounds whatever happens",
          "[control][stations][property]") {
    std::mt19937 random(826);
    StationBook book(small);
    StationBook::Time now = begin;
    for (int step = 0; step < 20'000; ++step) {
        const Key one = key(static_cast<std::uint32_t>(random() % 12));
        now += std::chrono::milliseconds(random() % 400);
        switch (random() % 4) {
            case 0:
                (void)book.ask(one, now);
                break;
            case 1:
                if (book.contains(one)) (void)book.answer(one, now);
                break;
            case 2:
                if (random() % 16 == 0) book.forget(one);
                break;
            default:
                for (const Key& left : book.expire(now, [&](const Key& it) { return it < key(6); }))
                    REQUIRE_FALSE(book.contains(left));
        }
        const std::vector<Key> known = book.known(), asked = book.asked();
        REQUIRE(known.size() <= small.known);
        REQUIRE(asked.size() <= small.asked);
        for (const Key& it : asked)
            REQUIRE_FALSE(book.knows(it));
        REQUIRE(std::ranges::is_sorted(known));
    }
}
