// SPDX-License-Identifier: BSD-3-Clause
// AES-128 against FIPS 197 and against itself.
#include <random>

#include <catch2/catch.hpp>

#include "lib/balance/aes128.hh"
#include "tests/unit/balance/quic_cid.hh"

using namespace weir;

TEST_CASE("aes128: the examples of FIPS 197", "[balance][quic]") {
    struct Example {
        const char *key, *plain, *cipher;
    };
    const Example examples[] = {
        // Appendix B
        {"2b7e151628aed2a6abf7158809cf4f3c", "3243f6a8885a308d313198a2e0370734",
         "3925841d02dc09fbdc118597196a0b32"},
        // Appendix C.1
        {"000102030405060708090a0b0c0d0e0f", "00112233445566778899aabbccddeeff",
         "69c4e0d86a7b0430d8cdb78070b4c55a"},
    };
    for (const Example& example : examples) {
        const Aes128 aes(block_of(from_hex(example.key)));
        CHECK(aes.encrypt(block_of(from_hex(example.plain))) == block_of(from_hex(example.cipher)));
        CHECK(aes.decrypt(block_of(from_hex(example.cipher))) == block_of(from_hex(example.plain)));
    }
}

TEST_CASE("aes128: what was encrypted is decrypted", "[balance][quic][property]") {
    std::mt19937 random(197);
    const auto block = [&] {
        Aes128::Block bytes;
        for (std::uint8_t& byte : bytes)
            byte = static_cast<std::uint8_t>(random());
        return bytes;
    };
    for (int i = 0; i < 1000; ++i) {
        const Aes128 aes(block());
        const Aes128::Block plain = block();
        REQUIRE(aes.decrypt(aes.encrypt(plain)) == plain);
    }
}
