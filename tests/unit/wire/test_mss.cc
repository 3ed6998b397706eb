// SPDX-License-Identifier: BSD-3-Clause
// The MSS of a SYN is lowered, never raised, and its checksum follows.
#include <memory>
#include <random>

#include <catch2/catch.hpp>

#include "lib/wire/mss.hh"
#include "tests/unit/wire/frames.hh"

using namespace weir;
using namespace weir::test;

namespace {

// A segment whose sum over everything is right (the pseudo header does not change).
Bytes segment(const Bytes& options, std::uint8_t flags = tcp_syn, std::size_t payload = 3) {
    Bytes bytes = tcp(40000, 80, flags);
    append(bytes, options);
    while (bytes.size() % 4 != 0)
        bytes.push_back(0);
    bytes[12] = static_cast<std::uint8_t>(bytes.size() / 4 << 4);
    bytes.resize(bytes.size() + payload, 0x77);
    put16(bytes, 16, 0);
    put16(bytes, 16, checksum_finish(checksum_sum(bytes)));
    return bytes;
}

// In a heap buffer of exactly the size.
Bytes clamped(const Bytes& bytes, std::uint16_t most) {
    const std::unique_ptr<std::uint8_t[]> copy(new std::uint8_t[bytes.size()]);
    std::copy(bytes.begin(), bytes.end(), copy.get());
    const bool changed = clamp_mss({copy.get(), bytes.size()}, most);
    Bytes result(copy.get(), copy.get() + bytes.size());
    CHECK(changed == (result != bytes));
    return result;
}

}  // namespace

TEST_CASE("mss: lowered, never raised", "[wire][mss]") {
    const Bytes wants_1460 = segment({2, 4, 0x05, 0xb4});
    CHECK(clamped(wants_1460, 1400) == segment({2, 4, 0x05, 0x78}));
    CHECK(clamped(wants_1460, 1459) == segment({2, 4, 0x05, 0xb3}));
    CHECK(clamped(wants_1460, 1460) == wants_1460);
    CHECK(clamped(wants_1460, 9000) == wants_1460);
    CHECK(clamped(segment({2, 4, 0xff, 0xff}), 536) == segment({2, 4, 0x02, 0x18}));
}

TEST_CASE("mss: at every place among the options, odd ones too", "[wire][mss][property]") {
    for (std::size_t before = 0; before <= 36; ++before) {
        Bytes options(before, 1), expected(before, 1);
        append(options, {2, 4, 0x05, 0xb4});
        append(expected, {2, 4, 0x05, 0x78});
        INFO("behind " << before << " bytes");
        CHECK(clamped(segment(options), 1400) == segment(expected));
    }
    // As Linux and Windows send them: MSS, SACK permitted, time stamps, window scale.
    const Bytes rest{4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7};
    Bytes options{2, 4, 0x05, 0xb4}, expected{2, 4, 0x05, 0x78};
    append(options, rest);
    append(expected, rest);
    CHECK(clamped(segment(options), 1400) == segment(expected));
}

TEST_CASE("mss: only in a SYN, and only a sound option", "[wire][mss]") {
    const auto stays = [](const Bytes& bytes) { return clamped(bytes, 1400) == bytes; };
    CHECK(stays(segment({2, 4, 0x05, 0xb4}, tcp_ack)));
    CHECK_FALSE(stays(segment({2, 4, 0x05, 0xb4}, tcp_syn | tcp_ack)));
    CHECK(stays(segment({})));
    CHECK(stays(segment({0, 0, 0, 0, 2, 4, 0x05, 0xb4})));  // behind the end of the list
    CHECK(stays(segment({2, 3, 0x05, 1, 1, 1, 1, 1})));     // another length
    CHECK(stays(segment({1, 1, 2, 4})));                    // past the header
    CHECK(stays(segment({3, 0, 2, 4, 0x05, 0xb4, 0, 0})));  // an option without length
    CHECK(stays(segment({3, 1, 2, 4, 0x05, 0xb4, 0, 0})));
    CHECK(stays(segment({3, 200, 2, 4, 0x05, 0xb4, 0, 0})));
    CHECK(stays(segment({1, 1, 1, 2})));  // no room for a length
    Bytes short_header = segment({2, 4, 0x05, 0xb4});
    short_header[12] = 0x40;  // 16 bytes
    CHECK(stays(short_header));
}

TEST_CASE("mss: whatever the bytes are, only the header is written and the sum stays right",
          "[wire][mss][property]") {
    std::mt19937 random(815);
    int changes = 0;
    for (int round = 0; round < 200'000; ++round) {
        Bytes options(random() % 40);
        for (std::uint8_t& byte : options)
            byte = static_cast<std::uint8_t>(random() % 3 == 0 ? random() : random() % 6);
        const Bytes before = segment(options, tcp_syn, random() % 5);
        const Bytes cut(before.begin(), before.begin() + static_cast<std::ptrdiff_t>(
                                                             random() % (before.size() + 1)));
        static_cast<void>(clamped(cut, 100));
        const Bytes after = clamped(before, 100);
        changes += after != before ? 1 : 0;
        const std::uint16_t sum = checksum_sum(after);
        REQUIRE(sum == 0xffff);
        const std::size_t header = (before[12] >> 4) * 4u;
        REQUIRE(std::equal(before.begin() + static_cast<std::ptrdiff_t>(header), before.end(),
                           after.begin() + static_cast<std::ptrdiff_t>(header)));
    }
    CHECK(changes > 1000);
}

TEST_CASE("mss: reduced by what segments will grow, not below what fits everywhere",
          "[wire][mss]") {
    const auto reduced = [](Bytes bytes, std::uint16_t by) {
        const Bytes before = bytes;
        const bool changed = reduce_mss(bytes, by);
        CHECK(changed == (bytes != before));
        return bytes;
    };
    const auto with = [](unsigned mss) {
        return segment(
            {1, 2, 4, static_cast<std::uint8_t>(mss >> 8), static_cast<std::uint8_t>(mss)});
    };
    CHECK(reduced(with(1460), 8) == with(1452));
    CHECK(reduced(with(1440), 52) == with(1388));
    CHECK(reduced(with(0xffff), 28) == with(0xffff - 28));
    CHECK(reduced(with(589), 52) == with(537));
    CHECK(reduced(with(588), 52) == with(536));
    CHECK(reduced(with(540), 8) == with(536));
    CHECK(reduced(with(536), 8) == with(536));
    CHECK(reduced(with(0), 8) == with(0));
    const Bytes no_syn = segment({2, 4, 0x05, 0xb4}, tcp_ack);
    CHECK(reduced(no_syn, 8) == no_syn);
}
