// SPDX-License-Identifier: BSD-3-Clause
// Translation of addresses and ports: every field as asked, every checksum as if computed anew.
#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <vector>

#include <catch2/catch.hpp>

#include "lib/wire/checksum.hh"
#include "lib/wire/headers.hh"
#include "lib/wire/parse.hh"
#include "lib/wire/rewrite.hh"

using namespace weir;

namespace {

using Bytes = std::vector<std::uint8_t>;

// A packet of random content, its checksums made whole by sums over all of it.
struct Sample {
    Family family = Family::v4;
    std::uint8_t protocol = proto_tcp;
    std::size_t transport_at = 0;
    Bytes bytes;

    [[nodiscard]] std::size_t address_size() const { return family == Family::v4 ? 4 : 16; }
    [[nodiscard]] std::size_t source_at() const { return family == Family::v4 ? 12 : 8; }
    [[nodiscard]] std::size_t destination_at() const { return source_at() + address_size(); }
    [[nodiscard]] std::size_t ttl_at() const { return family == Family::v4 ? 8 : 7; }
    [[nodiscard]] std::size_t checksum_at() const {
        return transport_at + (protocol == proto_tcp ? 16 : 6);
    }
    [[nodiscard]] std::uint16_t word(std::size_t at) const {
        return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
    }
    void put(std::size_t at, std::uint16_t value) {
        bytes[at] = static_cast<std::uint8_t>(value >> 8);
        bytes[at + 1] = static_cast<std::uint8_t>(value);
    }
    [[nodiscard]] PacketHeaders headers() {
        return {bytes.data(), bytes.data() + transport_at, family, protocol};
    }
    // The transport checksum from nothing (RFC 768, 9293 3.1); UDP's 0 is sent as all ones.
    [[nodiscard]] std::uint16_t transport_checksum() const {
        const std::span<const std::uint8_t> all(bytes);
        Bytes segment(all.begin() + static_cast<std::ptrdiff_t>(transport_at), all.end());
        segment[checksum_at() - transport_at] = segment[checksum_at() - transport_at + 1] = 0;
        const std::uint32_t pseudo = pseudo_header_sum(
            all.subspan(source_at(), address_size()), all.subspan(destination_at(), address_size()),
            protocol, static_cast<std::uint32_t>(segment.size()));
        const std::uint16_t whole = checksum_finish(checksum_sum(segment, pseudo));
        return protocol == proto_udp && whole == 0 ? std::uint16_t{0xffff} : whole;
    }
    void finish() {
        if (family == Family::v4) {
            put(10, 0);
            put(10, checksum_finish(checksum_sum(std::span(bytes).first(transport_at))));
        }
        put(checksum_at(), transport_checksum());
    }
};

Sample random_sample(std::mt19937& random, Family family, std::uint8_t protocol) {
    Sample sample;
    sample.family = family;
    sample.protocol = protocol;
    sample.transport_at = family == Family::v4 ? 20 + 4 * (random() % 11) : 40;
    sample.bytes.resize(sample.transport_at + (protocol == proto_tcp ? 20 : 8) + random() % 64);
    // Bytes of only zeros and ones are common, as carries live there.
    const auto kind = static_cast<unsigned>(random() % 4);
    for (std::uint8_t& byte : sample.bytes) {
        const auto value = static_cast<std::uint32_t>(random());
        byte = static_cast<std::uint8_t>(kind == 0 ? 0 : kind == 1 ? 0xff : value);
    }
    if (family == Family::v4)
        sample.bytes[0] = static_cast<std::uint8_t>(0x40 | sample.transport_at / 4);
    if (family == Family::v4) sample.bytes[9] = protocol;
    sample.bytes[sample.ttl_at()] = static_cast<std::uint8_t>(1 + random() % 255);
    sample.finish();
    return sample;
}

PacketEnd random_end(std::mt19937& random, Family family) {
    PacketEnd end;
    end.address.family = family;
    const auto kind = static_cast<unsigned>(random() % 4);
    for (std::size_t i = 0; i < end.address.size(); ++i)
        end.address.bytes[i] = static_cast<std::uint8_t>(kind == 0   ? 0
                                                         : kind == 1 ? 0xff
                                                                     : random());
    end.port = static_cast<std::uint16_t>(kind == 2 ? 0 : random());
    return end;
}

// What the sample should be, by writing the fields and summing all of it.
Sample translated(Sample sample, const std::optional<PacketEnd>& source,
                  const std::optional<PacketEnd>& destination) {
    const auto write = [&](const PacketEnd& end, std::size_t address_at, std::size_t port_at) {
        std::copy_n(end.address.bytes.begin(), sample.address_size(),
                    sample.bytes.begin() + static_cast<std::ptrdiff_t>(address_at));
        sample.put(port_at, end.port);
    };
    if (source) write(*source, sample.source_at(), sample.transport_at);
    if (destination) write(*destination, sample.destination_at(), sample.transport_at + 2);
    --sample.bytes[sample.ttl_at()];
    sample.finish();
    return sample;
}

constexpr std::uint8_t protocols[] = {proto_tcp, proto_udp};
constexpr Family families[] = {Family::v4, Family::v6};

}  // namespace

TEST_CASE("translate: equals writing the fields and summing the whole packet anew",
          "[wire][property]") {
    std::mt19937 random(1624);
    for (const Family family : families) {
        for (const std::uint8_t protocol : protocols) {
            for (int round = 0; round < 50'000; ++round) {
                Sample sample = random_sample(random, family, protocol);
                std::optional<PacketEnd> source, destination;
                const auto which = static_cast<unsigned>(1 + random() % 3);
                if ((which & 1) != 0) source = random_end(random, family);
                if ((which & 2) != 0) destination = random_end(random, family);
                const Sample expected = translated(sample, source, destination);
                translate(sample.headers(), source ? &*source : nullptr,
                          destination ? &*destination : nullptr);
                REQUIRE(sample.bytes == expected.bytes);
            }
        }
    }
}

TEST_CASE("translate: there and back again gives the packet, two hops older", "[wire][property]") {
    std::mt19937 random(3022);
    for (const Family family : families) {
        for (const std::uint8_t protocol : protocols) {
            for (int round = 0; round < 5'000; ++round) {
                Sample sample = random_sample(random, family, protocol);
                if (sample.bytes[sample.ttl_at()] < 3) continue;
                const Sample before = sample;
                PacketEnd old;
                old.address.family = family;
                std::copy_n(
                    before.bytes.begin() + static_cast<std::ptrdiff_t>(before.destination_at()),
                    before.address_size(), old.address.bytes.begin());
                old.port = before.word(before.transport_at + 2);
                const PacketEnd other = random_end(random, family);
                translate(sample.headers(), nullptr, &other);
                translate(sample.headers(), nullptr, &old);
                sample.bytes[sample.ttl_at()] = before.bytes[before.ttl_at()];
                sample.finish();
                REQUIRE(sample.bytes == before.bytes);
            }
        }
    }
}

TEST_CASE("translate: a UDP datagram without a checksum over IPv4 keeps none", "[wire]") {
    std::mt19937 random(768);
    for (int round = 0; round < 1000; ++round) {
        Sample sample = random_sample(random, Family::v4, proto_udp);
        sample.put(sample.checksum_at(), 0);
        const PacketEnd end = random_end(random, Family::v4);
        translate(sample.headers(), &end, nullptr);
        REQUIRE(sample.word(sample.checksum_at()) == 0);
    }
}

TEST_CASE("translate: a UDP sum that becomes 0 is written as all ones", "[wire]") {
    for (const Family family : families) {
        std::mt19937 random(7);
        Sample sample = random_sample(random, family, proto_udp);
        PacketEnd end = random_end(random, family);
        // The port that makes the sum 0 is found by trying all of them.
        unsigned found = 0;
        for (unsigned port = 0; port <= 0xffff; ++port) {
            end.port = static_cast<std::uint16_t>(port);
            Sample tried = sample;
            translate(tried.headers(), &end, nullptr);
            REQUIRE(tried.word(tried.checksum_at()) != 0);
            if (tried.word(tried.checksum_at()) != 0xffff) continue;
            ++found;
            CHECK(tried.transport_checksum() == 0xffff);
        }
        CHECK(found >= 1);
    }
}

TEST_CASE("translate: TCP's sum may become 0 and stays 0", "[wire]") {
    std::mt19937 random(9293);
    Sample sample = random_sample(random, Family::v4, proto_tcp);
    PacketEnd end = random_end(random, Family::v4);
    unsigned zeros = 0;
    for (unsigned port = 0; port <= 0xffff; ++port) {
        end.port = static_cast<std::uint16_t>(port);
        Sample tried = sample;
        translate(tried.headers(), &end, nullptr);
        REQUIRE(tried.word(tried.checksum_at()) == tried.transport_checksum());
        zeros += tried.word(tried.checksum_at()) == 0 ? 1 : 0;
    }
    CHECK(zeros >= 1);
}

TEST_CASE("translate: a checksum that was wrong stays wrong by as much", "[wire][property]") {
    std::mt19937 random(1071);
    for (const Family family : families) {
        for (int round = 0; round < 5'000; ++round) {
            Sample sample = random_sample(random, family, proto_tcp);
            const auto offset = static_cast<std::uint16_t>(1 + random() % 0xfffd);
            const auto wrong = [&](std::uint16_t right) {
                return checksum_fold(std::uint32_t{right} + offset);
            };
            sample.put(sample.checksum_at(), wrong(sample.transport_checksum()));
            const PacketEnd end = random_end(random, family);
            translate(sample.headers(), nullptr, &end);
            const std::uint16_t got = sample.word(sample.checksum_at());
            // 0 and 0xffff are the same sum.
            REQUIRE(got % 0xffff == wrong(sample.transport_checksum()) % 0xffff);
            REQUIRE(got % 0xffff != sample.transport_checksum() % 0xffff);
        }
    }
}
