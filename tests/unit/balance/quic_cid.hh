// SPDX-License-Identifier: BSD-3-Clause
// The server's half of QUIC-LB, step by step as draft-ietf-quic-load-balancers-21 section 5.4 has
// it, for tests of the balancer's half.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include "lib/balance/quic_lb.hh"

namespace weir {

using CidBytes = std::vector<std::uint8_t>;

inline CidBytes from_hex(std::string_view text) {
    const auto digit = [](char c) {
        return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10);
    };
    CidBytes bytes;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2)
        bytes.push_back(static_cast<std::uint8_t>(digit(text[i]) << 4 | digit(text[i + 1])));
    return bytes;
}

inline Aes128::Block block_of(const CidBytes& bytes) {
    Aes128::Block block{};
    std::ranges::copy(bytes, block.begin());
    return block;
}

// Section 5.4.2.2: expand(), AES, truncate().
inline CidBytes quic_round(const Aes128& aes, std::size_t length, std::uint8_t pass,
                           const CidBytes& input) {
    Aes128::Block block = block_of(input);
    block[14] = static_cast<std::uint8_t>(length);
    block[15] = pass;
    const Aes128::Block output = aes.encrypt(block);
    return {output.begin(), output.begin() + static_cast<std::ptrdiff_t>(input.size())};
}

inline CidBytes quic_xor(CidBytes a, const CidBytes& b) {
    for (std::size_t i = 0; i < a.size(); ++i)
        a[i] ^= b[i];
    return a;
}

// Section 5.4.2.3, steps 2 to 12.
inline CidBytes quic_four_passes(const Aes128& aes, const CidBytes& plain) {
    const std::size_t length = plain.size(), half = (length + 1) / 2;
    const bool odd = length % 2 != 0;
    const auto middle = plain.begin() + static_cast<std::ptrdiff_t>(length / 2);
    CidBytes left(plain.begin(), plain.begin() + static_cast<std::ptrdiff_t>(half));
    CidBytes right(middle, plain.end());
    const auto clear = [&] {
        if (!odd) return;
        left.back() = static_cast<std::uint8_t>(left.back() & 0xf0);
        right.front() = static_cast<std::uint8_t>(right.front() & 0x0f);
    };
    clear();
    right = quic_xor(right, quic_round(aes, length, 1, left));
    clear();
    left = quic_xor(left, quic_round(aes, length, 2, right));
    clear();
    right = quic_xor(right, quic_round(aes, length, 3, left));
    clear();
    left = quic_xor(left, quic_round(aes, length, 4, right));
    clear();
    CidBytes cipher = left;
    if (odd) {
        cipher.back() = static_cast<std::uint8_t>(cipher.back() | right.front());
        right.erase(right.begin());
    }
    cipher.insert(cipher.end(), right.begin(), right.end());
    return cipher;
}

// The connection ID of a server, whose first octet says how long it is (section 3.3).
inline CidBytes make_cid(const QuicLbConfig& config, const CidBytes& server_id,
                         const CidBytes& nonce) {
    CidBytes both = server_id;
    both.insert(both.end(), nonce.begin(), nonce.end());
    if (config.key) {
        const Aes128 aes(*config.key);
        if (both.size() == 16) {
            const Aes128::Block cipher = aes.encrypt(block_of(both));
            both.assign(cipher.begin(), cipher.end());
        } else {
            both = quic_four_passes(aes, both);
        }
    }
    const std::size_t first = std::size_t{config.id} << 5 | both.size();
    both.insert(both.begin(), static_cast<std::uint8_t>(first));
    return both;
}

}  // namespace weir
