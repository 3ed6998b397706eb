// SPDX-License-Identifier: BSD-3-Clause
// The option that tells a client's address: its bytes, and that no client writes one itself.
#include <memory>
#include <random>

#include <catch2/catch.hpp>

#include "lib/wire/toa.hh"
#include "tests/unit/wire/frames.hh"

using namespace weir;
using namespace weir::test;

namespace {

// A TCP header with these options, padded by ends of the list, and a sum over all of it.
Bytes header(Bytes options) {
    while (options.size() % 4 != 0)
        options.push_back(0);
    Bytes bytes = tcp(40000, 80);
    append(bytes, options);
    bytes[12] = static_cast<std::uint8_t>(bytes.size() / 4 << 4);
    put16(bytes, 16, 0);
    put16(bytes, 16, checksum_finish(checksum_sum(bytes)));
    return bytes;
}

// In a heap buffer of exactly the size.
Bytes blanked(const Bytes& bytes) {
    const std::unique_ptr<std::uint8_t[]> copy(new std::uint8_t[bytes.size()]);
    std::copy(bytes.begin(), bytes.end(), copy.get());
    ChecksumChange change;
    blank_toa({copy.get(), bytes.size()}, change);
    change.apply(copy.get() + 16);
    return {copy.get(), copy.get() + bytes.size()};
}

}  // namespace

TEST_CASE("toa: kind, length, port and address, big-endian", "[wire][toa]") {
    Bytes four(8), six(20);
    write_toa(four.data(), {ip("198.18.0.7"), 0x1f90});
    CHECK(four == Bytes{254, 8, 0x1f, 0x90, 198, 18, 0, 7});
    write_toa(six.data(), {ip("2001:db8:7::9"), 0xabcd});
    CHECK(six ==
          Bytes{254, 20, 0xab, 0xcd, 0x20, 0x01, 0x0d, 0xb8, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9});
}

TEST_CASE("toa: a client's own is overwritten, at every place", "[wire][toa][property]") {
    for (std::size_t before = 0; before <= 32; ++before) {
        for (const std::uint8_t kind : {std::uint8_t{254}, std::uint8_t{253}}) {
            Bytes options(before, 1), expected(before, 1);
            append(options, {kind, 8, 1, 2, 3, 4, 5, 6});
            append(expected, Bytes(8, 1));
            INFO("behind " << before << " bytes");
            CHECK(blanked(header(options)) == header(expected));
        }
    }
    // All of several, of any length, and nothing else.
    CHECK(blanked(header(
              {2, 4, 5, 0xb4, 254, 2, 254, 4, 7, 7, 8, 10, 254, 8, 3, 4, 5, 6, 7, 8, 253, 3, 9})) ==
          header({2, 4, 5, 0xb4, 1, 1, 1, 1, 1, 1, 8, 10, 254, 8, 3, 4, 5, 6, 7, 8, 1, 1, 1}));
}

TEST_CASE("toa: what is no option stays", "[wire][toa]") {
    const auto stays = [](const Bytes& options) {
        return blanked(header(options)) == header(options);
    };
    CHECK(stays({}));
    CHECK(stays({0, 254, 8, 1, 2, 3, 4, 5}));  // behind the end of the list
    CHECK(stays({3, 0, 254, 2}));              // behind an option without a length
    CHECK(stays({254, 9, 1, 2, 3, 4, 5, 6}));  // past the header
    CHECK(stays({1, 1, 1, 254}));
    CHECK(stays({254, 0, 1, 1}));
}

TEST_CASE("toa: any bytes, nothing outside is touched, the sum holds", "[wire][toa][property]") {
    std::mt19937 random(1);
    for (int i = 0; i < 20'000; ++i) {
        Bytes options(random() % 11 * 4);
        for (std::uint8_t& byte : options)
            byte =
                static_cast<std::uint8_t>(random() % 3 == 0 ? 254 - random() % 2 : random() % 12);
        const Bytes after = blanked(header(options));
        REQUIRE(checksum_sum(after) == 0xffff);
        REQUIRE(blanked(after) == after);
    }
}
