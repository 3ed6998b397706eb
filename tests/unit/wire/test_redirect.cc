// SPDX-License-Identifier: BSD-3-Clause
// L3DSR's rewrite against checksums computed from nothing.
#include <algorithm>
#include <array>
#include <cstdint>
#include <random>
#include <vector>

#include <catch2/catch.hpp>

#include "lib/wire/checksum.hh"
#include "lib/wire/redirect.hh"

namespace weir {

namespace {

using Bytes = std::vector<std::uint8_t>;
constexpr std::uint8_t tcp = 6, udp = 17;

// A packet of random bytes with sound lengths and checksums.
struct Whole {
    Family family;
    std::uint8_t protocol;
    std::size_t header;  // bytes of the IP header
    Bytes bytes;

    Whole(std::mt19937& random, Family f, std::uint8_t p, std::size_t options, std::size_t data)
        : family(f), protocol(p), header(f == Family::v4 ? 20 + options : 40) {
        bytes.resize(header + (p == tcp ? 20 : 8) + data);
        for (auto& byte : bytes)
            byte = static_cast<std::uint8_t>(random() % 8 == 0 ? 0xff : random());
        const unsigned first = f == Family::v4 ? 0x40u | static_cast<unsigned>(header / 4)
                                               : 0x60u | (bytes[0] & 0x0fu);
        bytes[0] = static_cast<std::uint8_t>(first);
        sum_up();
    }
    [[nodiscard]] std::size_t field() const { return header + (protocol == tcp ? 16 : 6); }
    [[nodiscard]] std::size_t addresses() const { return family == Family::v4 ? 12 : 8; }
    void put(std::size_t at, std::uint16_t value) {
        bytes[at] = static_cast<std::uint8_t>(value >> 8);
        bytes[at + 1] = static_cast<std::uint8_t>(value);
    }
    [[nodiscard]] std::uint16_t get(std::size_t at) const {
        return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
    }
    void sum_up() {
        const std::size_t size = family == Family::v4 ? 4 : 16;
        put(field(), 0);
        const std::span<const std::uint8_t> all(bytes);
        const std::uint32_t pseudo =
            pseudo_header_sum(all.subspan(addresses(), size), all.subspan(addresses() + size, size),
                              protocol, static_cast<std::uint32_t>(bytes.size() - header));
        const std::uint16_t sum =
            checksum_finish(checksum_sum(all.subspan(header), checksum_fold(pseudo)));
        put(field(), protocol == udp && sum == 0 ? 0xffff : sum);
        if (family == Family::v6) return;
        put(10, 0);
        put(10, checksum_finish(checksum_sum(all.first(header))));
    }
    void redirect(const DestinationRewrite& to) {
        rewrite_destination({bytes.data(), bytes.data() + header, family, protocol}, to);
    }
    // What it must become, by hand.
    [[nodiscard]] Whole by_hand(const DestinationRewrite& to) const {
        Whole next = *this;
        const std::size_t size = family == Family::v4 ? 4 : 16;
        std::copy_n(to.address.begin(), size,
                    next.bytes.begin() + static_cast<std::ptrdiff_t>(addresses() + size));
        if (family == Family::v4) {
            next.bytes[1] = static_cast<std::uint8_t>(to.dscp * 4 + (bytes[1] & 3));
        } else {
            next.bytes[0] = static_cast<std::uint8_t>(0x60 | to.dscp >> 2);
            next.bytes[1] = static_cast<std::uint8_t>((to.dscp & 3) << 6 | (bytes[1] & 0x3f));
        }
        next.sum_up();
        return next;
    }
};

DestinationRewrite random_target(std::mt19937& random, Family family) {
    DestinationRewrite to{};
    for (unsigned i = 0; i < (family == Family::v4 ? 4u : 16u); ++i)
        to.address[i] = static_cast<std::uint8_t>(random() % 8 == 0 ? 0xff : random());
    to.dscp = static_cast<std::uint8_t>(random() % 64);
    return to;
}

}  // namespace

TEST_CASE("redirect: the result is that of a full computation, whatever the packet",
          "[wire][property]") {
    std::mt19937 random(31);
    for (int round = 0; round < 100'000; ++round) {
        const Family family = round % 2 == 0 ? Family::v4 : Family::v6;
        const std::uint8_t protocol = round % 4 < 2 ? tcp : udp;
        const std::size_t options = random() % 3 == 0 ? random() % 11 * 4 : 0;
        Whole packet(random, family, protocol, options, random() % 64);
        const DestinationRewrite to = random_target(random, family);
        const Whole expected = packet.by_hand(to);
        packet.redirect(to);
        REQUIRE(packet.bytes == expected.bytes);
    }
}

TEST_CASE("redirect: a UDP checksum of 0 stays 0 over IPv4, and only there", "[wire]") {
    std::mt19937 random(32);
    Whole packet(random, Family::v4, udp, 0, 9);
    packet.put(packet.field(), 0);
    packet.redirect(random_target(random, Family::v4));
    CHECK(packet.get(packet.field()) == 0);
    Whole stream(random, Family::v4, tcp, 0, 9);
    stream.put(stream.field(), 0);
    stream.redirect(random_target(random, Family::v4));
    CHECK(stream.get(stream.field()) != 0);
}

TEST_CASE("redirect: a UDP checksum that becomes 0 is written as 0xffff", "[wire]") {
    std::mt19937 random(33);
    for (const Family family : {Family::v4, Family::v6}) {
        Whole packet(random, family, udp, 0, 2);
        const DestinationRewrite to = random_target(random, family);
        // Data that makes the checksum afterwards 0.
        packet.put(packet.bytes.size() - 2, 0);
        packet.sum_up();
        const Whole probe = packet.by_hand(to);
        packet.put(packet.bytes.size() - 2, probe.get(probe.field()));
        packet.sum_up();
        packet.redirect(to);
        CHECK(packet.get(packet.field()) == 0xffff);
        CHECK(packet.bytes == packet.by_hand(to).bytes);
    }
}

TEST_CASE("redirect: a checksum that was wrong stays wrong by as much", "[wire][property]") {
    std::mt19937 random(34);
    for (int round = 0; round < 10'000; ++round) {
        const Family family = round % 2 == 0 ? Family::v4 : Family::v6;
        Whole packet(random, family, tcp, 0, random() % 40);
        const DestinationRewrite to = random_target(random, family);
        const Whole right = packet.by_hand(to);
        const auto error = static_cast<std::uint16_t>(1 + random() % 0xfffe);
        const auto off = [error](std::uint16_t checksum) {
            return static_cast<std::uint16_t>((std::uint32_t{checksum} + error) % 0xffff);
        };
        packet.put(packet.field(), off(packet.get(packet.field())));
        packet.redirect(to);
        REQUIRE(packet.get(packet.field()) % 0xffff == off(right.get(right.field())));
    }
}

TEST_CASE("redirect: all 64 DSCPs, with each ECN", "[wire]") {
    std::mt19937 random(35);
    for (const Family family : {Family::v4, Family::v6}) {
        for (unsigned dscp = 0; dscp < 64; ++dscp) {
            for (unsigned before = 0; before < 256; ++before) {
                Whole packet(random, family, tcp, 0, 1);
                const unsigned label = packet.bytes[1] & 0x0f;
                if (family == Family::v4) {
                    packet.bytes[1] = static_cast<std::uint8_t>(before);
                } else {
                    packet.bytes[0] = static_cast<std::uint8_t>(0x60 | before >> 4);
                    packet.bytes[1] = static_cast<std::uint8_t>((before & 15) << 4 | label);
                }
                packet.sum_up();
                DestinationRewrite to = random_target(random, family);
                to.dscp = static_cast<std::uint8_t>(dscp);
                packet.redirect(to);
                const unsigned after = family == Family::v4
                                           ? packet.bytes[1]
                                           : (packet.bytes[0] & 15u) << 4 | packet.bytes[1] >> 4;
                REQUIRE(after == (dscp << 2 | (before & 3)));
                if (family == Family::v6) REQUIRE((packet.bytes[1] & 0x0f) == label);
            }
        }
    }
}

TEST_CASE("redirect: a later fragment has no checksum to change", "[wire]") {
    std::mt19937 random(36);
    for (const Family family : {Family::v4, Family::v6}) {
        Whole packet(random, family, udp, 0, 30);
        const DestinationRewrite to = random_target(random, family);
        Whole expected = packet.by_hand(to);
        expected.put(expected.field(), packet.get(packet.field()));
        rewrite_destination({packet.bytes.data(), nullptr, family, udp}, to);
        CHECK(packet.bytes == expected.bytes);
    }
}

TEST_CASE("redirect: ICMPv6 sums the addresses, ICMP does not", "[wire]") {
    std::mt19937 random(37);
    for (const Family family : {Family::v4, Family::v6}) {
        const bool v6 = family == Family::v6;
        const std::uint8_t protocol = v6 ? 58 : 1;
        Whole packet(random, family, udp, 0, 31);
        const DestinationRewrite to = random_target(random, family);
        const Whole expected = packet.by_hand(to);
        const std::uint16_t before = packet.get(packet.header + 2),
                            udp_before = packet.get(packet.field());
        rewrite_destination({packet.bytes.data(), &packet.bytes[packet.header], family, protocol},
                            to);
        // By as much as the sum of UDP, which has the same addresses.
        const unsigned change = (0xffffu + expected.get(expected.field()) - udp_before) % 0xffff;
        CHECK(packet.get(packet.header + 2) % 0xffff == (before + (v6 ? change : 0)) % 0xffff);
        CHECK(packet.get(packet.field()) == udp_before);
    }
}

}  // namespace weir
