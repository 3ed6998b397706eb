// SPDX-License-Identifier: BSD-3-Clause
// The destination connection ID of QUIC packets (RFC 8999), in buffers of exact size.
#include <algorithm>
#include <memory>
#include <vector>

#include <catch2/catch.hpp>

#include "lib/wire/quic.hh"

using namespace weir;

namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes destination_in(const Bytes& payload) {
    const auto exact = std::make_unique<std::uint8_t[]>(payload.size());
    std::ranges::copy(payload, exact.get());
    const auto id = quic_destination({exact.get(), payload.size()});
    return {id.begin(), id.end()};
}

// Long header of some version, `length` said and `there` bytes behind it.
Bytes long_header(std::uint8_t length, std::size_t there, std::uint8_t first = 0xc3) {
    Bytes payload{first, 0x6b, 0x33, 0x43, 0xcf, length};
    for (std::size_t i = 0; i < there; ++i)
        payload.push_back(static_cast<std::uint8_t>(i + 1));
    return payload;
}

Bytes counting(std::size_t count) {
    Bytes bytes;
    for (std::size_t i = 0; i < count; ++i)
        bytes.push_back(static_cast<std::uint8_t>(i + 1));
    return bytes;
}

}  // namespace

TEST_CASE("quic: a long header says how long its connection ID is", "[wire][quic]") {
    for (const std::size_t length : {0u, 1u, 8u, 20u, 21u, 255u}) {
        const auto said = static_cast<std::uint8_t>(length);
        CHECK(destination_in(long_header(said, length)) == counting(length));
        CHECK(destination_in(long_header(said, length + 40)) == counting(length));
    }
    // All but the first bit of the first byte is up to the version.
    CHECK(destination_in(long_header(4, 4, 0x80)) == counting(4));
    CHECK(destination_in(long_header(4, 4, 0xff)) == counting(4));
}

TEST_CASE("quic: a long header that promises more than is there has none", "[wire][quic]") {
    for (std::size_t there = 0; there < 20; ++there)
        CHECK(destination_in(long_header(20, there)).empty());
    CHECK(destination_in(long_header(255, 254)).empty());
    const Bytes whole = long_header(1, 1);
    for (std::size_t size = 0; size < whole.size(); ++size)
        CHECK(destination_in({whole.begin(), whole.begin() + static_cast<long>(size)}).empty());
}

TEST_CASE("quic: a short header's connection ID begins behind its first byte", "[wire][quic]") {
    for (const std::uint8_t first : Bytes{0x00, 0x40, 0x7f}) {
        for (std::size_t length = 0; length <= 64; ++length) {
            Bytes payload = counting(length);
            payload.insert(payload.begin(), first);
            CHECK(destination_in(payload) == counting(std::min<std::size_t>(length, 20)));
        }
    }
}
