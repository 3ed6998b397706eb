// SPDX-License-Identifier: BSD-3-Clause
// The header of the PROXY protocol, byte by byte as its specification has it.
#include <catch2/catch.hpp>

#include "lib/wire/proxy_v2.hh"
#include "tests/unit/wire/frames.hh"

using namespace weir;
using namespace weir::test;

TEST_CASE("proxy v2: TCP over IPv4", "[wire][proxy_v2]") {
    Bytes header(proxy_v2_length(Family::v4) + 1, 0x77);
    write_proxy_v2(header.data(), {ip("198.18.0.7"), 0x1267}, {ip("203.0.113.10"), 443});
    CHECK(header == Bytes{0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49,
                          0x54, 0x0a, 0x21, 0x11, 0x00, 12,   198,  18,   0,    7,
                          203,  0,    113,  10,   0x12, 0x67, 0x01, 0xbb, 0x77});
}

TEST_CASE("proxy v2: TCP over IPv6", "[wire][proxy_v2]") {
    Bytes header(proxy_v2_length(Family::v6) + 1, 0x77);
    write_proxy_v2(header.data(), {ip("2001:db8:7::9"), 0xabcd}, {ip("2001:db8:443::10"), 80});
    CHECK(header == Bytes{0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54,
                          0x0a, 0x21, 0x21, 0x00, 36,   0x20, 0x01, 0x0d, 0xb8, 0,    7,
                          0,    0,    0,    0,    0,    0,    0,    0,    0,    9,    0x20,
                          0x01, 0x0d, 0xb8, 0x04, 0x43, 0,    0,    0,    0,    0,    0,
                          0,    0,    0,    0x10, 0xab, 0xcd, 0x00, 80,   0x77});
}
