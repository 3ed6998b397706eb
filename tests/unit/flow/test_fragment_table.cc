// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include <catch2/catch.hpp>

#include "lib/flow/fragment_table.hh"
#include "tests/unit/flow/keys.hh"

using namespace weir;
using weir::test::fixed_secret;
using What = FragmentTable::What;

namespace {

constexpr FragmentPorts ports{1234, 53, proto_udp};

FlowWords datagram(std::uint32_t id, std::uint32_t source = 0x0700'12c6) {
    FlowWords words;
    words.source = source;
    words.destination = 0x0a71'00cb;
    words.rest = id | std::uint64_t{proto_udp} << 32 | std::uint64_t{4} << 40;
    return words;
}

struct Bench {
    std::unique_ptr<FragmentTable> table = std::make_unique<FragmentTable>(fixed_secret);
    Tick now{5000};

    FragmentTable::Answer admit(std::uint32_t id, std::uint32_t begin, std::uint32_t end, bool last,
                                const FragmentPorts& of = ports) {
        return table->admit({datagram(id), begin, end, last, begin == 0 ? &of : nullptr}, now);
    }
    What what(std::uint32_t id, std::uint32_t begin, std::uint32_t end, bool last) {
        return admit(id, begin, end, last).what;
    }
    // What became of those that waited, by slot.
    std::map<int, What> released() {
        std::map<int, What> result;
        for (const auto& one : table->released())
            REQUIRE(result.emplace(one.slot, one.what).second);
        return result;
    }
};

}  // namespace

TEST_CASE("fragments: in order, each passes by the ports of the first", "[flow][fragments]") {
    Bench bench;
    for (const auto& [begin, end, last] :
         {std::tuple{0u, 1480u, false}, {1480u, 2960u, false}, {2960u, 3000u, true}}) {
        const auto answer = bench.admit(1, begin, end, last);
        CHECK(answer.what == What::pass);
        CHECK(answer.ports == ports);
    }
    // The datagram is complete and forgotten: its identification may be used again at once.
    const FragmentPorts other{99, 53, proto_udp};
    CHECK(bench.admit(1, 0, 8, false, other).ports == other);
    CHECK_FALSE(bench.table->has_released());
}

TEST_CASE("fragments: those before the first one wait, and go in their order",
          "[flow][fragments]") {
    Bench bench;
    const auto last = bench.admit(1, 2960, 3000, true), middle = bench.admit(1, 1480, 2960, false);
    REQUIRE(last.what == What::wait);
    REQUIRE(middle.what == What::wait);
    CHECK(bench.table->waiting() == 2);
    CHECK_FALSE(bench.table->has_released());
    CHECK(bench.what(1, 0, 1480, false) == What::pass);
    const auto released = bench.table->released();
    REQUIRE(released.size() == 2);
    CHECK(released[0].slot == last.slot);
    CHECK(released[1].slot == middle.slot);
    for (const auto& one : released) {
        CHECK(one.what == What::pass);
        CHECK(one.ports == ports);
    }
    CHECK(bench.table->waiting() == 0);
}

TEST_CASE("fragments: datagrams differ by address, identification and protocol",
          "[flow][fragments]") {
    Bench bench;
    REQUIRE(bench.what(1, 0, 8, false) == What::pass);
    FlowWords other = datagram(1);
    SECTION("source") {
        other.source ^= 1;
    }
    SECTION("destination") {
        other.destination ^= 1;
    }
    SECTION("identification") {
        other.rest ^= 1;
    }
    SECTION("protocol") {
        other.rest ^= std::uint64_t{1} << 32;
    }
    SECTION("the rest of an IPv6 source") {
        other.source_rest ^= 1;
    }
    SECTION("the rest of an IPv6 destination") {
        other.destination_rest ^= 1;
    }
    CHECK(bench.table->admit({other, 8, 16, true, nullptr}, bench.now).what == What::wait);
}

TEST_CASE("fragments: datagrams with one hash are told apart", "[flow][fragments]") {
    // With this secret every IPv4 datagram has the same one.
    const auto table = std::make_unique<FragmentTable>(HashSecret{});
    const auto of = [](std::uint16_t id) { return FragmentPorts{id, 53, proto_udp}; };
    for (std::uint16_t id = 1; id <= 4; ++id) {
        const FragmentPorts own = of(id);
        CHECK(table->admit({datagram(id), 0, 800, false, &own}, Tick{5000}).what == What::pass);
    }
    for (std::uint16_t id = 1; id <= 4; ++id) {
        const auto answer = table->admit({datagram(id), 800, 1600, false, nullptr}, Tick{5000});
        CHECK(answer.what == What::pass);
        CHECK(answer.ports == of(id));
    }
    // A fifth one takes the place of the first, whose rest now waits, and of no other.
    const FragmentPorts fifth = of(5);
    CHECK(table->admit({datagram(5), 0, 800, false, &fifth}, Tick{5000}).what == What::pass);
    CHECK(table->admit({datagram(2), 1600, 2400, false, nullptr}, Tick{5000}).ports == of(2));
    CHECK(table->admit({datagram(1), 1600, 2400, false, nullptr}, Tick{5000}).what == What::wait);
}

TEST_CASE("fragments: what waits of a datagram that makes room is let go", "[flow][fragments]") {
    const auto table = std::make_unique<FragmentTable>(HashSecret{});  // one bucket for all
    const auto late = table->admit({datagram(1), 800, 1600, false, nullptr}, Tick{5000});
    REQUIRE(late.what == What::wait);
    for (std::uint32_t id = 2; id <= 5; ++id)
        CHECK(table->admit({datagram(id), 0, 800, false, &ports}, Tick{5000}).what == What::pass);
    const auto released = table->released();
    REQUIRE(released.size() == 1);
    CHECK(released[0].slot == late.slot);
    CHECK(released[0].what == What::full);
    CHECK(table->waiting() == 0);
}

TEST_CASE("fragments: what overlaps breaks the whole datagram (RFC 5722)", "[flow][fragments]") {
    Bench bench;
    const int held = bench.admit(1, 64, 128, false).slot;
    SECTION("into it") {
        REQUIRE(bench.what(1, 56, 72, false) == What::bad);
    }
    SECTION("out of it") {
        REQUIRE(bench.what(1, 120, 136, false) == What::bad);
    }
    SECTION("around it") {
        REQUIRE(bench.what(1, 56, 136, false) == What::bad);
    }
    SECTION("a first one") {
        REQUIRE(bench.what(1, 0, 72, false) == What::bad);
    }
    CHECK(bench.released() == std::map<int, What>{{held, What::bad}});
    CHECK(bench.what(1, 0, 8, false) == What::bad);
    CHECK(bench.what(1, 200, 208, true) == What::bad);
    // For as long as a datagram may take.
    bench.now = bench.now + FragmentTable::timeout;
    CHECK(bench.what(1, 0, 8, false) == What::pass);
}

TEST_CASE("fragments: a copy does not pass again and breaks nothing", "[flow][fragments]") {
    Bench bench;
    REQUIRE(bench.what(1, 0, 64, false) == What::pass);
    CHECK(bench.what(1, 0, 64, false) == What::bad);
    CHECK(bench.what(1, 8, 16, false) == What::bad);
    CHECK(bench.what(1, 64, 72, true) == What::pass);
}

TEST_CASE("fragments: what no sender makes breaks the datagram", "[flow][fragments]") {
    Bench bench;
    const auto breaks = [&](std::uint32_t begin, std::uint32_t end, bool last) {
        CHECK(bench.what(1, begin, end, last) == What::bad);
        CHECK(bench.what(1, 800, 808, false) == What::bad);
    };
    SECTION("without payload") {
        breaks(8, 8, false);
    }
    SECTION("not a multiple of eight bytes") {
        breaks(8, 17, false);
    }
    SECTION("behind 64 KiB") {
        breaks(65'528, 65'536, true);
    }
    SECTION("a first one without a whole header") {
        CHECK(bench.table->admit({datagram(1), 0, 8, false, nullptr}, bench.now).what == What::bad);
        CHECK(bench.what(1, 800, 808, false) == What::bad);
    }
    SECTION("two ends") {
        REQUIRE(bench.what(1, 64, 70, true) == What::wait);
        breaks(80, 90, true);
    }
    SECTION("behind the end") {
        REQUIRE(bench.what(1, 64, 70, true) == What::wait);
        breaks(72, 80, false);
    }
    SECTION("an end before what came") {
        REQUIRE(bench.what(1, 64, 72, false) == What::wait);
        breaks(8, 16, true);
    }
}

TEST_CASE("fragments: the greatest datagram is sound", "[flow][fragments]") {
    Bench bench;
    CHECK(bench.what(1, 0, 32'768, false) == What::pass);
    CHECK(bench.what(1, 32'768, 65'535, true) == What::pass);
    CHECK(bench.what(1, 8, 16, false) == What::wait);  // was complete
}

TEST_CASE("fragments: a second is all that a datagram gets", "[flow][fragments]") {
    Bench bench;
    const int held = bench.admit(1, 8, 16, false).slot;
    SECTION("by the sweep") {
        bench.table->sweep(FragmentTable::datagrams, bench.now + (FragmentTable::timeout - 1));
        CHECK(bench.released().empty());
        bench.table->sweep(FragmentTable::datagrams, bench.now + FragmentTable::timeout);
        CHECK(bench.released() == std::map<int, What>{{held, What::wait}});
    }
    SECTION("by the next of its fragments") {
        bench.now = bench.now + FragmentTable::timeout;
        CHECK(bench.what(1, 16, 24, false) == What::wait);
        CHECK(bench.released() == std::map<int, What>{{held, What::wait}});
    }
    SECTION("a clock that wraps does not matter") {
        Bench late;
        late.now = Tick{0xffff'fff0};
        REQUIRE(late.what(1, 0, 8, false) == What::pass);
        late.now = late.now + 100;
        CHECK(late.what(1, 8, 16, false) == What::pass);
        late.now = late.now + 900;
        CHECK(late.what(1, 16, 24, false) == What::wait);
    }
}

TEST_CASE("fragments: as many wait as there are slots, then frag_table_full",
          "[flow][fragments][fault-16]") {
    Bench bench;
    std::size_t waiting = 0, full = 0;
    for (std::uint32_t id = 0; id < 400; ++id) {
        const What what = bench.what(id, 8, 16, false);
        waiting += what == What::wait ? 1 : 0;
        full += what == What::full ? 1 : 0;
    }
    CHECK(waiting == FragmentTable::slots);
    CHECK(full == 400 - FragmentTable::slots);
    CHECK(bench.what(1000, 0, 8, false) == What::pass);  // a first one needs no slot
    bench.table->sweep(FragmentTable::datagrams, bench.now + FragmentTable::timeout);
    CHECK(bench.released().size() == FragmentTable::slots);
    CHECK(bench.table->waiting() == 0);
}

TEST_CASE("fragments: more holes than a datagram may have", "[flow][fragments]") {
    Bench bench;
    REQUIRE(bench.what(1, 0, 8, false) == What::pass);
    for (std::uint32_t i = 1; i < 16; ++i)
        REQUIRE(bench.what(1, i * 16, i * 16 + 8, false) == What::pass);
    CHECK(bench.what(1, 16 * 16, 16 * 16 + 8, false) == What::full);
    CHECK(bench.what(1, 8, 16, false) == What::pass);  // joins two of them
    CHECK(bench.what(1, 16 * 16, 16 * 16 + 8, false) == What::pass);
}

TEST_CASE("fragments: a flood of first fragments takes the places of the oldest",
          "[flow][fragments][fault-16]") {
    Bench bench;
    std::size_t lost = 0;
    for (std::uint32_t round = 0; round < 1000; ++round) {
        REQUIRE(bench.what(round, 0, 64, false) == What::pass);
        for (std::uint32_t i = 0; i < 200; ++i)
            REQUIRE(bench.what(0x10000 + round * 200 + i, 0, 64, false) == What::pass);
        // 200 of 2048 places later the datagram is still known, with few exceptions.
        lost += bench.what(round, 64, 72, true) == What::pass ? 0 : 1;
    }
    CHECK(lost < 20);
}

// Whole datagrams, cut at random, in any order, some at the same time.
TEST_CASE("fragments: every one of a sound datagram passes once, whatever the order",
          "[flow][fragments]") {
    struct Piece {
        std::uint32_t id, begin, end;
        bool last;
    };
    std::mt19937_64 random(20261121);
    Bench bench;
    std::uint32_t id = 0;
    for (int round = 0; round < 3000; ++round) {
        std::vector<Piece> pieces;
        const std::size_t datagrams = 1 + random() % 4;
        for (std::size_t i = 0; i < datagrams; ++i, ++id) {
            const std::uint32_t length = 16 + static_cast<std::uint32_t>(random() % 4000);
            const std::uint32_t step = (length / (1 + random() % 8) + 8) & ~7u;
            for (std::uint32_t at = 0; at < length; at += step)
                pieces.push_back({id, at, std::min(at + step, length), at + step >= length});
        }
        std::shuffle(pieces.begin(), pieces.end(), random);
        std::map<int, std::size_t> waiting;  // slot -> piece
        std::vector<int> passed(pieces.size(), 0);
        for (std::size_t i = 0; i < pieces.size(); ++i) {
            const Piece& piece = pieces[i];
            const FragmentPorts own{static_cast<std::uint16_t>(piece.id), 53, proto_udp};
            const auto answer = bench.admit(piece.id, piece.begin, piece.end, piece.last, own);
            if (answer.what == What::pass) {
                CHECK(answer.ports == own);
                ++passed[i];
            } else {
                REQUIRE(answer.what == What::wait);
                REQUIRE(waiting.emplace(answer.slot, i).second);
            }
            for (const auto& one : bench.table->released()) {
                REQUIRE(one.what == What::pass);
                CHECK(one.ports.source ==
                      static_cast<std::uint16_t>(pieces[waiting.at(one.slot)].id));
                ++passed[waiting.at(one.slot)];
                waiting.erase(one.slot);
            }
        }
        REQUIRE(waiting.empty());
        REQUIRE(std::all_of(passed.begin(), passed.end(), [](int count) { return count == 1; }));
        REQUIRE(bench.table->waiting() == 0);
    }
}
