// SPDX-License-Identifier: BSD-3-Clause
#include "tests/packet/case.hh"

#include <algorithm>

#include <fmt/format.h>

namespace weir::test {
namespace {

// Sets the entropy bits of `sent` to those expected, and the IPv4 checksum of the outer header to
// what it then must be; a checksum that was wrong before stays wrong.
Bytes without_entropy(const Expect& expect, Bytes sent) {
    if (sent.size() != expect.frame.size()) return sent;
    const std::size_t port = expect.port_entropy_at;
    if (port != 0 && sent.at(port) >= 0xc0)
        std::copy_n(expect.frame.begin() + static_cast<std::ptrdiff_t>(port), 2,
                    sent.begin() + static_cast<std::ptrdiff_t>(port));
    if (expect.entropy_prefix == 0) return sent;
    const bool v4 = expect.frame.at(expect.entropy_at - 12) >> 4 == 4;
    const std::size_t size = v4 ? 4 : 16;
    if (v4) {
        const auto header = sent.begin() + static_cast<std::ptrdiff_t>(expect.entropy_at - 12);
        if (internet_checksum(Bytes(header, header + 20)) != 0) return sent;
        for (const std::size_t at : {expect.entropy_at - 2, expect.entropy_at - 1})
            sent[at] = expect.frame[at];
    }
    for (std::size_t bit = expect.entropy_prefix; bit < size * 8; ++bit) {
        const std::size_t at = expect.entropy_at + bit / 8;
        const auto mask = static_cast<std::uint8_t>(0x80U >> bit % 8);
        sent[at] = static_cast<std::uint8_t>((sent[at] & ~mask) | (expect.frame[at] & mask));
    }
    return sent;
}

// What stands behind the IP header, or behind the destination options that follow IPv6's.
std::uint8_t protocol_of(const Bytes& frame) {
    if (frame.at(14) >> 4 == 4) return frame.at(23);
    return frame.at(20) == 60 ? frame.at(54) : frame.at(20);
}

// The TCP or UDP segment behind `at` sums up to all ones with its pseudo header.
bool sum_fits(const Bytes& frame, std::size_t at) {
    const bool v4 = frame.at(14) >> 4 == 4;
    const std::ptrdiff_t addresses = v4 ? 14 + 12 : 14 + 8, size = v4 ? 8 : 32;
    const std::size_t length = frame.size() - at;
    const Bytes pseudo = Bytes(frame.begin() + addresses, frame.begin() + addresses + size) +
                         Bytes{0, protocol_of(frame), static_cast<std::uint8_t>(length >> 8),
                               static_cast<std::uint8_t>(length)};
    return internet_checksum(
               pseudo + Bytes(frame.begin() + static_cast<std::ptrdiff_t>(at), frame.end())) == 0;
}

// Puts the expected source port, and the checksum that goes with it, in place of a good one.
Bytes without_pool_port(const Expect& expect, Bytes sent) {
    const std::size_t at = expect.pool_port_at;
    if (at == 0 || sent.size() != expect.frame.size()) return sent;
    const bool udp = protocol_of(sent) == 17;
    const std::size_t sum = at + (udp ? 6 : 16);
    const bool none = udp && sent[sum] == 0 && sent[sum + 1] == 0;
    if (sent[at] < 4 || (!none && !sum_fits(sent, at))) return sent;
    for (const std::size_t byte : {at, at + 1})
        sent[byte] = expect.frame[byte];
    for (const std::size_t byte : {sum, sum + 1})
        if (!none) sent[byte] = expect.frame[byte];
    return sent;
}

// Puts the expected id in place of another one.
Bytes without_fragment_id(const Expect& expect, Bytes sent) {
    const std::size_t at = expect.fragment_id_at;
    if (at == 0 || sent.size() != expect.frame.size()) return sent;
    std::vector<std::size_t> places{at, at + 1};
    if (sent.at(14) >> 4 == 4) {
        const auto header = sent.begin() + static_cast<std::ptrdiff_t>(at - 4);
        if (internet_checksum(Bytes(header, header + 20)) != 0) return sent;
        places.insert(places.end(), {at + 6, at + 7});
    } else {
        places.insert(places.end(), {at + 2, at + 3});
    }
    for (const std::size_t place : places)
        sent[place] = expect.frame[place];
    return sent;
}

}  // namespace

Expect of_fragment(const Expect& expect, std::size_t i) {
    Expect one = expect;
    one.later.clear();
    if (i == 0) return one;
    one.frame = expect.later.at(i - 1);
    one.port_entropy_at = 0;
    return one;
}

Bytes fragment_id(const Expect& expect, const Bytes& frame) {
    const std::size_t at = expect.fragment_id_at;
    return at == 0 ? Bytes{} : cut(frame, at, at + (frame.at(14) >> 4 == 4 ? 2 : 4));
}

std::string hex(const Bytes& bytes) {
    std::string text;
    for (std::size_t i = 0; i < bytes.size(); ++i)
        text += fmt::format("{:02x}{}", bytes[i], i % 16 == 15 ? "\n" : " ");
    return text;
}

std::string difference(const Expect& expect, const Bytes& sent) {
    const Bytes compared =
        without_fragment_id(expect, without_pool_port(expect, without_entropy(expect, sent)));
    if (compared.size() != expect.frame.size())
        return fmt::format("{} bytes, expected {}", sent.size(), expect.frame.size());
    for (std::size_t i = 0; i < compared.size(); ++i)
        if (compared[i] != expect.frame[i])
            return fmt::format("byte {} is {:02x}, expected {:02x}", i, compared[i],
                               expect.frame[i]);
    return {};
}

Cases all_cases() {
    Cases all;
    for (const auto& part :
         {ethernet_cases(), ipv4_cases(),    ipv6_cases(),         transport_cases(),
          service_cases(),  forward_cases(), kernel_cases(),       icmp_cases(),
          answer_cases(),   mss_cases(),     fragment_cases(),     tunnel_cases(),
          l3dsr_cases(),    nat_cases(),     nat_odd_cases(),      pieces_cases(),
          protocol_cases(), echo_cases(),    all_protocol_cases(), client_address_cases(),
          quic_cases(),     family_cases()})
        all.insert(all.end(), part.begin(), part.end());
    return all;
}

}  // namespace weir::test
